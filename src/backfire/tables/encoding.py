"""Which encoding a text file is written in, and what to say of one that is not UTF-8."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable

import pyarrow as pa

from backfire.errors import InputError, setting

UTF8 = "utf-8"
SAMPLE = 1 << 16
"""Bytes of undecodable lines by which an encoding is guessed."""
_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks; that of UTF-16 is the beginning of UTF-32's."""
_NAMES = {
    "cp1252": "Windows, Western European",
    "cp1250": "Windows, Central European",
    "cp1251": "Windows, Cyrillic",
    "cp1253": "Windows, Greek",
    "cp1254": "Windows, Turkish",
    "cp1255": "Windows, Hebrew",
    "cp1256": "Windows, Arabic",
    "cp1257": "Windows, Baltic",
    "koi8_r": "Cyrillic",
    "gb18030": "Chinese, simplified",
    "big5": "Chinese, traditional",
    "cp932": "Japanese, Shift JIS",
    "euc_jp": "Japanese",
    "cp949": "Korean",
    "mac_roman": "old Macintosh",
    "cp850": "DOS, Western European",
}
_BETWEEN = re.compile(rb'[",;|\t\r\n]+')
"""Between the texts of a table; none of these bytes is part of another character in any of _NAMES."""
_WESTERN = frozenset(
    "àâäáãåæçéèêëíìîïñóòôöõøœúùûüßÀÂÄÁÃÅÆÇÉÈÊËÍÌÎÏÑÓÒÔÖÕØŒÚÙÛÜ’‘“”„–—…€£°«»©®™¿¡·•×§²½\u00a0"
)
"""What is not ASCII in most texts of Western Europe."""


def check_encoding(name: str | None) -> str | None:
    """The encoding that was asked for, as Python calls it.

    Raises:
        InputError: there is no text encoding of this name.
    """
    if name is None:
        return None
    try:
        "".encode(name)
        return codecs.lookup(name).name.removesuffix("-sig")
    except LookupError as error:
        raise InputError(
            f"encoding {name!r} is none that Python knows: write utf-8, utf-16, cp1252, gb18030, cp932 or the like"
        ) from error


def by_mark(first: bytes) -> tuple[str, int] | None:
    """The encoding that a byte order mark names, and how many bytes the mark has."""
    return next(((name, len(mark)) for mark, name in _MARKS if first.startswith(mark)), None)


def without_mark(first: bytes) -> str | None:
    """UTF-16 or UTF-32 where every second byte, or three of four, is zero as these write plain letters; None where not."""
    sample = first[: len(first) // 4 * 4]
    if len(sample) < 8:
        return None
    zeros = [sample[at::4].count(0) * 4 / len(sample) for at in range(4)]
    for name, full in (("utf-32-le", (0, 1, 1, 1)), ("utf-32-be", (1, 1, 1, 0))):
        if all((z > 0.9) == bool(f) for z, f in zip(zeros, full, strict=True)):
            return name
    for name, high in (("utf-16-le", 1), ("utf-16-be", 0)):
        some, none = (zeros[high] + zeros[high + 2]) / 2, zeros[1 - high] + zeros[3 - high]
        if some > 0.1 and none == 0 and _decodes(sample, name):
            return name
    return None


def _decodes(sample: bytes, name: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\r\n\t" for c in text)


def likely(sample: bytes) -> list[str]:
    """Encodings that a sample may be written in, the likeliest first; none where it looks like no text."""
    import charset_normalizer

    words = b"\n".join(dict.fromkeys(part for part in _BETWEEN.split(sample) if not part.isascii()))
    guesses = charset_normalizer.from_bytes(words, cp_isolation=list(_NAMES))
    names = [match.encoding for match in guesses]
    plain = (
        ["cp1252"] if _is_western(words) else [name for name in ("cp932", "euc_jp") if _is_kana(words, name)]
    )
    return list(dict.fromkeys(plain + names))


def _is_western(words: bytes) -> bool:
    """Whether it is as most text of Western Europe is: of few other letters than ASCII's, and these common ones."""
    try:
        other = [c for c in words.decode("cp1252") if not c.isascii()]
    except UnicodeDecodeError:
        return False
    return len(other) * 2 <= len(words) and _WESTERN.issuperset(other)


def _is_kana(words: bytes, name: str) -> bool:
    """Whether a good part of it is Japanese syllables, if it is in this encoding."""
    try:
        other = [c for c in words.decode(name) if not c.isascii()]
    except UnicodeDecodeError:
        return False
    return 5 * sum("\u3041" <= c <= "\u3096" for c in other) > len(other)


def not_utf8(origin: str, line: int, bad: bytes, sample: bytes) -> InputError:
    """What to say of a file whose `line` is the first that is not UTF-8, for the bytes `bad` in it."""
    where = f"{origin} is not UTF-8: line {line} has the byte{'s' if len(bad) > 1 else ''} {bad[:4].hex(' ').upper()}"
    names = likely(sample)
    if not names:
        return InputError(
            f"{where}, and the file looks like no text in a common encoding: is it a text file? If it is, name its "
            f"encoding by {setting('encoding')}, or save it as UTF-8"
        )
    first = names[0]
    others = f" (or {', '.join(names[1:4])})" if names[1:] else ""
    return InputError(
        f"{where}. It is likely in {first} ({_NAMES[first]}){others}: read it with {setting('encoding')} {first}, or save it as UTF-8"
    )


def is_utf8(text: bytes) -> bool:
    """Whether bytes are UTF-8 without half characters, without decoding them."""
    ends = pa.py_buffer(bytes(8) + len(text).to_bytes(8, "little"))
    try:
        pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(text)]).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def bad_lines(lines: Iterable[bytes]) -> tuple[int, int]:
    """How many lines are not UTF-8, and how many are that hold more than ASCII, half characters or not."""
    bad = sound = 0
    for line in lines:
        if line.isascii():
            continue
        try:
            line.decode(UTF8, "surrogatepass")
            sound += 1
        except UnicodeDecodeError:
            bad += 1
    return bad, sound
