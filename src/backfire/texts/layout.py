"""What each text has of signs and of lines, counted on its bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backfire.texts.pieces import PADDING, SEPARATOR, Piece

Counts = dict[str, NDArray[np.int64]]

_SIGNS: dict[str, bytes] = {
    "capitals": b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "digits": b"0123456789",
    "commas": b",",
    "full stops": b".",
    "exclamation marks": b"!",
    "question marks": b"?",
    "colons": b":",
    "quotation marks": b'"',
    "apostrophes": b"'",
    "brackets": b"(",
    "hyphens": b"-",
    "stars": b"*",
    "backticks": b"`",
    "line feeds": b"\n",
    "continuations": bytes(range(0x80, 0xC0)),
    "Latin letters with marks": bytes(range(0xC3, 0xCA)),
    "Greek letters": b"\xce\xcf",
    "Cyrillic letters": b"\xd0\xd1\xd2\xd3",
    "Hebrew, Arabic, Indic or Thai letters": b"\xd6\xd7\xd8\xd9\xda\xdb\xe0",
    "Latin, Greek and others": b"\xe1",
    "symbols": b"\xe2",
    "Chinese or Japanese characters": bytes(range(0xE3, 0xEA)),
    "Hangul": b"\xea\xeb\xec\xed",
    "beyond": b"\xf0",
}
"""Bytes that are counted, at most one sign for a byte; beyond ASCII the first bytes of UTF-8 characters."""

_SIGN_OF = np.zeros(256, dtype=np.uint8)
for _number, _bytes in enumerate(_SIGNS.values(), start=1):
    _SIGN_OF[[*_bytes]] = _number
_NUMBER = {name: number for number, name in enumerate(_SIGNS, start=1)}
_IS_BLANK = np.zeros(256, dtype=bool)
_IS_BLANK[[*b" \t"]] = True
_ENDS_WORD = np.zeros(256, dtype=bool)
_ENDS_WORD[[*b" \t\r\n\"')]*"]] = True
_DEEPEST = 32
"""Spaces and tabs before a line's mark; what stands deeper is no mark."""


def sign_counts(piece: Piece) -> Counts:
    """How often each text has each sign of _SIGNS, and the signs made of several: each [texts]."""
    data = piece.data[:-PADDING]
    at = np.flatnonzero(np.take(_SIGN_OF, data, mode="clip"))
    sign = _SIGN_OF[data[at]]
    width = len(_SIGNS) + 1
    table = np.bincount(piece.owners(at) * width + sign, minlength=len(piece) * width).reshape(-1, width)
    counts: Counts = {name: table[:, number] for name, number in _NUMBER.items()}
    counts["characters"] = piece.lengths - counts["continuations"]

    def places(*names: str) -> NDArray[np.int64]:
        return at[np.isin(sign, [_NUMBER[name] for name in names])]

    after = piece.data
    ends = places("full stops", "exclamation marks", "question marks")
    wide = places("Chinese or Japanese characters")
    wide = wide[(after[wide] == 0xE3) & (after[wide + 1] == 0x80) & (after[wide + 2] == 0x82)]
    counts["sentences"] = piece.counts(ends[_ENDS_WORD[after[ends + 1]]]) + piece.counts(wide)
    dots, stars, dashes = places("full stops"), places("stars"), places("hyphens")
    symbols = places("symbols")
    symbols = symbols[after[symbols + 1] == 0x80]
    code = after[symbols + 2]
    beyond, added = places("beyond"), places("Latin, Greek and others")
    added = added[(after[added + 1] >= 0xB8) & (after[added + 1] <= 0xBB)]
    counts["emoji"] = piece.counts(beyond[after[beyond + 1] == 0x9F])
    counts["Latin letters with marks"] = counts["Latin letters with marks"] + piece.counts(added)
    three = (after[dots + 1] == ord(".")) & (after[dots + 2] == ord(".")) & (after[dots - 1] != ord("."))
    counts["ellipses"] = piece.counts(dots[three]) + piece.counts(symbols[code == 0xA6])
    spaced = (after[dashes - 1] == ord(" ")) & (after[dashes + 1] == ord(" "))
    counts["dashes"] = piece.counts(symbols[(code == 0x93) | (code == 0x94)]) + piece.counts(dashes[spaced])
    counts["curly quotes"] = piece.counts(symbols[(code >= 0x98) & (code <= 0x9D)])
    double = (after[stars + 1] == ord("*")) & (after[stars - 1] != ord("*"))
    counts["bold marks"] = piece.counts(stars[double])
    return counts


def line_counts(piece: Piece) -> Counts:
    """How many lines each text has, and how many of each kind: each [texts]."""
    data = piece.data
    ends = np.flatnonzero(data[:-PADDING] == SEPARATOR)
    starts = np.concatenate((ends[:0], [0], ends[:-1] + 1))[: len(ends)]
    at = _past_blanks(data, starts)
    edges = np.searchsorted(ends, piece.offsets)

    def each(kind: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.diff(np.concatenate(([0], np.cumsum(kind)))[edges])

    first, second, third, fourth = (data[at + i] for i in range(4))
    digit = [(byte - np.uint8(48)) < 10 for byte in (first, second, third)]
    bullet = np.isin(first, [*b"-*+"]) & _IS_BLANK[second]
    dot = (first == 0xE2) & (second == 0x80) & (third == 0xA2) & _IS_BLANK[fourth]
    numbered, width = np.zeros(len(at), dtype=bool), 2 * bullet + 4 * dot
    for digits in (1, 2, 3):
        ended = np.isin(data[at + digits], [*b".)"]) & _IS_BLANK[data[at + digits + 1]]
        fits = ended & np.logical_and.reduce(digit[:digits])
        numbered |= fits
        width += (digits + 2) * fits
    heading, hashes = np.zeros(len(at), dtype=bool), first == ord("#")
    for level in range(1, 7):
        heading |= hashes & _IS_BLANK[data[at + level]]
        hashes = hashes & (data[at + level] == ord("#"))
    inner = at + width
    return {
        "lines": np.diff(edges),
        "blank lines": each((first == SEPARATOR) | ((first == 13) & (second == SEPARATOR))),
        "indented lines": each((at > starts) & (at < ends)),
        "bulleted items": each(bullet | dot),
        "numbered items": each(numbered),
        "headings": each(heading),
        "lines that open in bold": each((data[inner] == ord("*")) & (data[inner + 1] == ord("*"))),
        "code fences": each((first == ord("`")) & (second == ord("`")) & (third == ord("`"))),
        "table rows": each(first == ord("|")),
        "lines that end in a colon": each((ends > starts) & (data[ends - 1] == ord(":"))),
    }


def _past_blanks(data: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    at, moving = starts.copy(), np.arange(len(starts))
    for _ in range(_DEEPEST):
        moving = moving[_IS_BLANK[data[at[moving]]]]
        if not len(moving):
            break
        at[moving] += 1
    return at
