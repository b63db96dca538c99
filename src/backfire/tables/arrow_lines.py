"""Lines of JSON read by Arrow, where it reads what Python's json would read.

Arrow cares nothing for lines, refuses all for one row of another type, and takes numbers that are no JSON. So lines that are
not plainly one object, and those that it refuses, are blanked out for it: their rows are null, and are read by Python.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.json as arrow_json

WINDOW = 1 << 20
"""Bytes read at once when looking for the lines that Arrow refuses."""
MANY = 4
"""When more than one line in so many is refused, Arrow is of no use."""
_ROW = re.compile(r"in row (\d+)")
_SPACES = b" \t\r"


@dataclass(frozen=True)
class Lines:
    """The lines that are not empty: where each begins and ends in `raw`, and how many lines stand before it."""

    raw: bytes
    starts: np.ndarray
    stops: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(cls, raw: bytes) -> Lines:
        breaks = np.flatnonzero(np.frombuffer(raw, dtype=np.uint8) == 10)
        starts = np.concatenate([[0], breaks + 1])
        stops = np.concatenate([breaks, [len(raw)]])
        rows = np.flatnonzero(stops > starts)
        return cls(raw, starts[rows], stops[rows], rows)


def table_of(lines: Lines, wanted: pa.Schema) -> pa.Table | None:
    """A table with a row for each line, null for the lines that only Python can read; None if these are many.

    A schema's metadata may name `keys`, with commas between: a line with one of them is for Python, too. It may name `late`
    columns, which the table has as text where a line has them; a line in which one holds anything else is for Python.

    Lines of blanks are null rows too, if any: they are no rows of the data set, so None is given for them.
    """
    data = np.frombuffer(lines.raw, dtype=np.uint8)
    if not len(lines.starts):
        return None
    first, last = data[lines.starts], data[lines.stops - 1]
    last = np.where(last == 13, data[np.maximum(lines.stops - 2, 0)], last)
    odd = np.flatnonzero((first != ord("{")) | (last != ord("}")))
    notes = wanted.metadata or {}
    keys = notes.get(b"keys", b"")
    for name in filter(None, notes.get(b"late", b"").decode().split(",")):
        wanted = wanted.append(pa.field(name, pa.large_string()))
    return _read(lines, wanted, set(odd.tolist()) | _loose(lines) | _with_keys(lines, data, keys))


def _read(lines: Lines, wanted: pa.Schema, odd: set[int]) -> pa.Table | None:
    """Every line begins with { and ends with } or is blanked out, so that no object can span two lines, and as many
    objects as lines are one a line."""
    count = len(lines.starts)
    raw = _blanked(lines, odd)
    if raw is None or len(odd) > count // MANY + 1:
        return None
    table, _ = _parsed(raw, wanted)
    if table is None or len(table) != count:
        odd |= _undecodable(lines)
        refused = _refused(lines, raw, wanted, count // MANY + 1)
        raw = None if refused is None else _blanked(lines, odd | refused)
        table = None if raw is None else _parsed(raw, wanted)[0]
    return table if table is not None and len(table) == count else None


def _blanked(lines: Lines, odd: Iterable[int]) -> bytes | bytearray | None:
    """The lines with {} in place of the odd ones; None if one has no room for it, or is blank and so no row."""
    changed: bytearray | None = None
    for index in odd:
        changed = changed or bytearray(lines.raw)
        start, stop = int(lines.starts[index]), int(lines.stops[index])
        line = lines.raw[start:stop]
        if stop - start < 2 or not line.decode("utf-8", "surrogateescape").strip():
            return None
        changed[start:stop] = b"{" + b" " * (stop - start - 2) + b"}"
    return lines.raw if changed is None else changed


def _parsed(raw: bytes | bytearray | memoryview, wanted: pa.Schema) -> tuple[pa.Table | None, str]:
    try:
        table = arrow_json.read_json(
            pa.BufferReader(raw),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(raw) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=wanted, newlines_in_values=False, unexpected_field_behavior="ignore"
            ),
        )
        table.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        return None, str(error)
    return table, ""


def _refused(lines: Lines, raw: bytes | bytearray, wanted: pa.Schema, most: int) -> set[int] | None:
    """The lines that Arrow refuses or takes for several objects; None if there are more than `most`.

    Arrow mostly names the row; where it does not, halving finds the line.
    """
    refused: set[int] = set()
    view = memoryview(raw)
    count, start, stop = len(lines.starts), 0, 0
    while start < count and len(refused) <= most:
        begin = int(lines.starts[start])
        if stop <= start:
            stop = max(start + 1, int(np.searchsorted(lines.stops, begin + WINDOW, side="right")))
        table, why = _parsed(view[begin : int(lines.stops[stop - 1])], wanted)
        if table is not None and len(table) == stop - start:
            start = stop
        elif named := _ROW.search(why):
            row = min(start + int(named.group(1)), stop - 1)
            refused.add(row)
            start, stop = row + 1, 0
        elif stop - start == 1:
            refused.add(start)
            start = stop
        else:
            stop = (start + stop) // 2
    return refused if len(refused) <= most else None


def _undecodable(lines: Lines) -> set[int]:
    """The lines with bytes that are not UTF-8."""
    rows: set[int] = set()
    view, at = memoryview(lines.raw), 0
    while at < len(view):
        try:
            codecs.utf_8_decode(view[at:], "strict", True)
        except UnicodeDecodeError as error:
            row = int(np.searchsorted(lines.stops, at + error.start, side="right"))
            rows.add(row)
            at = int(lines.stops[row])
            continue
        break
    return rows


def _with_keys(lines: Lines, data: np.ndarray, keys: bytes) -> set[int]:
    """The lines that hold one of these keys anywhere. Quotation marks are looked for in all bytes at once, and what follows
    only where the first letters fit."""
    rows: set[int] = set()
    names = [b'"' + key + b'"' for key in keys.split(b",") if key]
    if not names:
        return rows
    places = np.flatnonzero(data[:-3] == ord('"'))
    for letter in (1, 2, 3):
        following = data[places + letter]
        fits = np.zeros(len(places), dtype=bool)
        for wanted in {name[letter] for name in names}:
            fits |= following == wanted
        places = places[fits]
    for start in places.tolist():
        if any(lines.raw.startswith(name, start) for name in names):
            rows.add(int(np.searchsorted(lines.stops, start, side="right")))
    return rows


def _loose(lines: Lines) -> set[int]:
    """The lines that may hold a number that Arrow takes and JSON has not: Inf, -NaN."""
    rows: set[int] = set()
    for word in (b"Inf", b"-NaN"):
        at = lines.raw.find(word)
        while at >= 0:
            after = lines.raw[at + len(word) : at + 16].lstrip(_SPACES)
            if after[:1] in (b",", b"}", b"]", b""):
                rows.add(int(np.searchsorted(lines.stops, at, side="right")))
            at = lines.raw.find(word, at + 1)
    return rows
