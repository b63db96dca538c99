"""The bytes of a text file as UTF-8, whatever it is packed with and written in."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from backfire.errors import InputError, setting
from backfire.tables.encoding import SAMPLE, UTF8, bad_lines, by_mark, is_utf8, not_utf8, without_mark

PACKED = (".gz", ".zst", ".bz2", ".xz")
"""Endings of packed files; what a file is packed with is told by its first bytes."""
FIRST = 1 << 16
"""Bytes by which an encoding and a format are recognised."""
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_FEW, _SOME = 3, 1000
"""So many undecodable lines, one in so many or more, make a file one of another encoding."""
_MANY = 100
"""One undecodable line in so many, or more, makes a file one of another encoding, be it the only one."""


def packed_with(first: bytes) -> str | None:
    """gzip, zstd, bzip2 or xz, by the first bytes of a file."""
    return next((name for magic, name in _MAGIC.items() if first.startswith(magic)), None)


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if it is packed.

    Raises:
        InputError: it cannot be read, or is cut short.
    """
    try:
        with path.open("rb") as plain:
            name = packed_with(plain.read(8))
            plain.seek(0)
            if name is None:
                yield plain
            else:
                with _unpacking(plain, name) as file:
                    yield file
    except (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _unpacking(file: IO[bytes], name: str) -> Any:
    if name == "gzip":
        return gzip.open(file, "rb")
    if name == "zstd":
        return pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
    return bz2.open(file, "rb") if name == "bzip2" else lzma.open(file, "rb")


@contextmanager
def opened(path: Path, encoding: str | None = None) -> Iterator[IO[bytes]]:
    """The text of a file in UTF-8, without a byte order mark.

    `encoding` None takes it for what its byte order mark says, for UTF-16 where it is plainly that, else for UTF-8, in
    which case bytes that are none are left as they are, as long as they are a few lines' that look like damage.

    Raises:
        InputError: it cannot be read, is cut short, or is written in another encoding, with the likely one.
    """
    with unpacked(path) as file:
        first = _read(file, FIRST)
        written = written_in(first, encoding)
        mark = by_mark(first)
        rest = first[mark[1] :] if mark is not None and mark[0] == written else first
        if written != UTF8:
            yield cast(IO[bytes], _Recoded(rest, file, written, str(path)))
        elif encoding is not None:
            yield cast(IO[bytes], _Rest(rest, file))
        else:
            yield cast(IO[bytes], _Checked(rest, file, path))


def written_in(first: bytes, given: str | None = None) -> str:
    """The encoding of a file that begins so: the one asked for, else what its first bytes plainly are, else UTF-8."""
    if given not in (None, "utf-16", "utf-32"):
        return str(given)
    mark = by_mark(first)
    encoding = mark[0] if mark is not None else without_mark(first)
    if given is None:
        return encoding or UTF8
    return encoding if encoding is not None and encoding.startswith(given) else f"{given}-le"


def _read(file: IO[bytes], size: int) -> bytes:
    """Up to `size` bytes, fewer at the end only."""
    pieces, missing = [], size
    while missing and (piece := file.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


class _Rest(io.BufferedIOBase):
    """A file some of whose first bytes were read already."""

    def __init__(self, first: bytes, file: IO[bytes]) -> None:
        super().__init__()
        self._first = first
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            pieces = []
            while piece := self.read(1 << 24):
                pieces.append(piece)
            return b"".join(pieces)
        piece, self._first = self._first[:size], self._first[size:]
        return piece + self._file.read(size - len(piece)) if piece else self._file.read(size)

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(size if size > 0 else io.DEFAULT_BUFFER_SIZE)


class _Checked(_Rest):
    """A file that should be UTF-8: passed on as it is, until it is found to be something else."""

    def __init__(self, first: bytes, file: IO[bytes], path: Path) -> None:
        super().__init__(first, file)
        self._path = path
        self._carried = b""
        self._bytes = self._bad = self._sound = 0
        self._line = 0.0
        """Bytes of a line, in the piece that was found damaged last."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return super().read(size)
        piece = super().read(size)
        self._bytes += len(piece)
        if self._carried or not piece or not piece.isascii():
            self._check(piece)
        return piece

    def _check(self, piece: bytes) -> None:
        text = self._carried + piece if self._carried else piece
        end = _last_begun(text) if piece else len(text)
        self._carried = text[end:]
        text = text[:end] if end < len(text) else text
        if is_utf8(text):
            self._sound += bool(piece)
        else:
            lines = text.split(b"\n")
            self._line = len(text) / len(lines)
            bad, sound = bad_lines(lines)
            self._bad += bad
            self._sound += sound
        if self._bad:
            self._decide(ended=not piece)

    def _decide(self, ended: bool) -> None:
        """Other encodings have bytes that are no UTF-8 wherever they leave ASCII; damage has them here and there."""
        if self._bad <= self._sound:
            return
        lines = self._bytes / max(self._line, 1.0)
        few = self._bad >= _FEW and self._bad * _SOME >= lines
        if few or ((ended or lines >= _MANY) and self._bad * _MANY >= lines):
            raise _explained(self._path)


def _last_begun(text: bytes) -> int:
    """Where a character begins that the end of the text cuts; the text's length if none is cut."""
    for back in range(1, min(4, len(text) + 1)):
        byte = text[-back]
        if byte >= 0xC0:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(text) - back if width > back else len(text)
        if byte < 0x80:
            break
    return len(text)


def _explained(path: Path) -> InputError:
    """Read a file that is not UTF-8 from its start, for the first line that shows it."""
    first: tuple[int, bytes] | None = None
    sample, size, number = [], 0, 0
    with unpacked(path) as file:
        for line in _lines(file):
            number += 1
            try:
                line.decode(UTF8, "surrogatepass")
            except UnicodeDecodeError as error:
                first = first or (number, line[error.start : error.end])
                sample.append(line[:SAMPLE])
                size += len(line)
                if size >= SAMPLE:
                    break
    line_, bad = first or (1, b"")
    return not_utf8(str(path), line_, bad, b"".join(sample)[:SAMPLE])


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while piece := file.read(1 << 20):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    yield rest


class _Recoded(_Rest):
    """A file in another encoding, as UTF-8."""

    def __init__(self, first: bytes, file: IO[bytes], encoding: str, origin: str) -> None:
        super().__init__(first, file)
        self._lenient = "surrogatepass" if encoding.startswith(("utf-16", "utf-32")) else "strict"
        self._decoder = codecs.getincrementaldecoder(encoding)(self._lenient)
        self._encoding, self._origin = encoding, origin
        self._ready = b""
        self._line = 1
        self._ended = False

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return super().read(size)
        while not self._ready and not self._ended:
            piece = super().read(max(size, 1 << 16))
            self._ended = not piece
            self._ready = self._decoded(piece)
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    def _decoded(self, piece: bytes) -> bytes:
        try:
            text = self._decoder.decode(piece, not piece)
        except UnicodeDecodeError as error:
            line = self._line + error.object[: error.start].decode(self._encoding, "replace").count("\n")
            raise InputError(
                f"{self._origin} is not {self._encoding}: line {line} has the bytes "
                f"{error.object[error.start : error.end][:4].hex(' ').upper()} ({error.reason}): name its encoding by "
                f"{setting('encoding')}, or save it as UTF-8"
            ) from error
        self._line += text.count("\n")
        return text.encode(UTF8, "surrogatepass")
