"""How numbers and hostile text are shown. An undefined number is an en dash, never 0 and never nan."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from math import isfinite

UNDEFINED = "–"


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal, without the sign: 0.614 is `61.4`."""
    return UNDEFINED if value is None or not isfinite(value) else f"{100 * value:.1f}"


def decimal(value: float | None, places: int = 3) -> str:
    return UNDEFINED if value is None or not isfinite(value) else f"{value:.{places}f}"


def signed(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign: −0.041 is `−4.1`."""
    if value is None or not isfinite(value):
        return UNDEFINED
    text = f"{100 * value:+.1f}"
    return text.replace("-", "−") if float(text) else "0.0"


def interval(low: str, high: str) -> str:
    """Two shown numbers as an interval, or nothing where there is none."""
    if UNDEFINED in (low, high):
        return ""
    return f"{low} to {high}" if {"−", "+"} & set(low + high) else f"{low}–{high}"


def plural(count: int, one: str, several: str) -> str:
    return one if count == 1 else several


def count_of(count: int, noun: str) -> str:
    """`1 pair`, `1,200 pairs`."""
    return f"{count:,} {plural(count, noun, f'{noun}s')}"


def listed(names: list[str]) -> str:
    """Names in prose: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def printable(text: str) -> str:
    """Text with its control and direction-changing characters made visible.

    A response is hostile input: escape sequences must not reach a terminal, and right-to-left overrides must
    not reorder what stands around them.
    """
    return "".join(c if c in "\n\t" or c.isprintable() else _visible(c) for c in text)


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if unicodedata.category(character) == "Zs":
        return character
    return f"‹U+{code:04X}›"


def cut(text: str, most: int) -> tuple[str, int]:
    """The first `most` characters, and how many were left off."""
    return text[:most], max(0, len(text) - most)


def number(value: float | None, places: int = 3) -> str:
    """A number with a true minus sign, and none before a zero."""
    text = decimal(value, places)
    return text.lstrip("-") if not text.strip("-0.") else text.replace("-", "−")


def span(low: float | None, high: float | None, places: int = 3) -> str:
    """`0.918–0.958`, `−0.002 to 0.006`, or nothing where there is no interval."""
    return interval(number(low, places), number(high, places))


def band(value: float | None, low: float | None, high: float | None, places: int = 3) -> str:
    """`0.938 [0.918–0.958]`."""
    text = span(low, high, places)
    return f"{number(value, places)} [{text}]" if text else number(value, places)


def p_value(p: float | None) -> str:
    """`p = 0.005`, `p < 0.001`, or nothing."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def shown_rows(rows: Sequence[int], most: int, count: int | None = None) -> str:
    """The first `most` row numbers, and how many of `count` (all of `rows`, if not given) are not shown."""
    left = (len(rows) if count is None else count) - min(most, len(rows))
    text = ", ".join(map(str, rows[:most]))
    return f"{text} and {left} more" if text and left > 0 else text
