"""JSON with one row a line, read in pieces of whole lines."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa

from backfire.errors import InputError
from backfire.tables.arrow_lines import Lines, table_of
from backfire.tables.chunk import UNREAD, Chunk, Head

PIECE = 16 << 20
"""Bytes read at once."""
SMALL = 1 << 20
"""Bytes of a piece that says nothing of the others."""
LARGEST = 1 << 30
_BOM = b"\xef\xbb\xbf"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unzipped if its name ends in .gz.

    Raises:
        InputError: it cannot be read, or is cut short.
    """
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path, "rb") as zipped:
                yield cast(IO[bytes], zipped)
        else:
            with path.open("rb") as plain:
                yield plain
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def value_of(line: bytes) -> Any:
    """One line's value, UNREAD if it is not JSON. Bytes that are not UTF-8 become lone surrogates."""
    try:
        return json.loads(line.decode("utf-8", "surrogateescape"), parse_int=_integer)
    except (ValueError, RecursionError):
        return UNREAD


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 4000 else float("inf")


class JsonLines:
    """A JSONL file, zipped or not. Rows are numbered by line; blank lines are no rows."""

    def __init__(self, path: Path, piece: int = PIECE) -> None:
        self.origin = str(path)
        self._path = path
        self._piece = piece

    def head(self, count: int) -> Head:
        columns: dict[str, None] = {}
        rows: list[Any] = []
        lines = 0
        for line in self._lines(count):
            lines += 1
            value = value_of(line)
            if isinstance(value, dict):
                columns.update(dict.fromkeys(value))
                rows.append(value)
            elif value is not UNREAD:
                rows.append(value)
        if lines and not rows:
            which = f"its {lines} lines" if lines < count else f"its first {lines} lines"
            raise InputError(f"{self.origin}: none of {which} is JSON; is it another format?")
        return Head(list(columns), [row for row in rows if isinstance(row, dict)])

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        """As Source says; a file of which Arrow reads little is soon read without it."""
        number = 1
        for raw in self._pieces():
            chunk = _chunk(raw, number, wanted)
            yield chunk
            if chunk.table is None and len(raw) > SMALL:
                wanted = None
            number += raw.count(b"\n")

    def _lines(self, count: int) -> Iterator[bytes]:
        for raw in self._pieces(1 << 20):
            for line in raw.split(b"\n"):
                if _is_row(line):
                    yield line
                    count -= 1
                    if not count:
                        return

    def _pieces(self, size: int | None = None) -> Iterator[bytes]:
        """The file in pieces that end with a line."""
        with opened(self._path) as file:
            rest: list[bytes] = []
            first = True
            while raw := file.read(size or self._piece):
                raw = raw.removeprefix(_BOM) if first else raw
                first = False
                end = raw.rfind(b"\n") + 1
                if end:
                    yield b"".join([*rest, raw[:end]])
                    rest = []
                rest.append(raw[end:])
            if last := b"".join(rest):
                yield last


def _is_row(line: bytes) -> bool:
    return bool(line.strip()) and bool(line.decode("utf-8", "surrogateescape").strip())


def _chunk(raw: bytes, number: int, wanted: pa.Schema | None) -> Chunk:
    """Some whole lines, the first of which is line `number`: with a table if Arrow reads most of what Python would."""
    if wanted is None or len(raw) >= LARGEST:
        return _slow(raw, number)
    lines = Lines.of(raw)
    table = table_of(lines, wanted)
    if table is None:
        return _slow(raw, number)
    return Chunk(number + lines.numbers, partial(_values, lines), table)


def _values(lines: Lines, positions: np.ndarray) -> list[Any]:
    return [value_of(lines.raw[lines.starts[i] : lines.stops[i]]) for i in positions]


def _slow(raw: bytes, number: int) -> Chunk:
    rows = [(n, line) for n, line in enumerate(raw.split(b"\n"), start=number) if _is_row(line)]
    numbers = np.array([n for n, _ in rows], dtype=np.int64)
    return Chunk(numbers, lambda positions: [value_of(rows[int(i)][1]) for i in positions])
