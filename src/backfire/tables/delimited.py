"""CSV and its relatives as sources: cells set apart by commas, semicolons, tabs or bars."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.errors import InputError
from backfire.tables.chunk import UNREAD, Chunk, Head
from backfire.tables.columns import USUAL, listed, normal
from backfire.tables.text_files import opened

ROWS = 8192
"""Rows handed over at once, at most."""
MARKS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What cells are set apart by."""
LARGEST_CELL = 1 << 30
_SNIFFED = 200
"""Rows by which the delimiter is told."""
_SEP = re.compile(r'"?sep=(.)"?\r?\n')
"""The first line that Excel writes and reads to name the delimiter."""


@dataclass(frozen=True)
class Layout:
    """How a file sets its cells apart."""

    delimiter: str
    declared: bool = False
    """Whether its first line says so, and is not the header."""
    known: int = 0
    """How many of the header's names are usual ones, if it has several."""


def sniffed(text: str, usual: str) -> Layout:
    """The layout of a file that begins with `text`: what its first line says; else the delimiter which gives the header
    the most of the usual names, the first rows as many cells as the header, and the most columns; `usual` if none does."""
    if declared := _SEP.match(text):
        return Layout(
            declared.group(1), declared=True, known=_known(_first(text[declared.end() :], declared.group(1)))
        )
    judged = {mark: _judged(text, mark) for mark in (usual, *MARKS)}
    best = max(judged, key=lambda mark: judged[mark])
    return Layout(best if judged[best] > (0, 0.0, 0) else usual, known=judged[best][0])


def _judged(text: str, delimiter: str) -> tuple[int, float, int]:
    rows = _first(text, delimiter)
    if not rows or len(rows[0]) < 2:
        return 0, 0.0, 0
    fitting = [len(row) == len(rows[0]) for row in rows[1:] if row]
    return _known(rows), (1 + sum(fitting)) / (1 + len(fitting)), len(rows[0])


def _known(rows: list[list[str]]) -> int:
    return sum(normal(name) in USUAL for name in rows[0]) if rows and len(rows[0]) > 1 else 0


def _first(text: str, delimiter: str) -> list[list[str]]:
    """The first rows of a text; its last, which may be cut, only if it is the header."""
    rows: list[list[str]] = []
    with suppress(csv.Error):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows.extend(itertools.islice(reader, _SNIFFED))
    return rows[:-1] if 1 < len(rows) < _SNIFFED else rows


class Delimited:
    """A CSV file, read row by row. Rows are numbered from 1 below the header; a blank line has a number too."""

    def __init__(self, path: Path, layout: Layout, origin: str = "", encoding: str | None = None) -> None:
        self.origin = origin or str(path)
        self._path = path
        self._layout = layout
        self._encoding = encoding

    def head(self, count: int) -> Head:
        with opened(self._path, self._encoding) as file:
            columns = self._header(self._reader(file))
        rows: list[Any] = []
        seen: list[int] = []
        for chunk in self.chunks(None, None):
            rows += [row for row in chunk.values(np.arange(len(chunk.numbers))) if isinstance(row, dict)]
            seen = seen or chunk.numbers.tolist()
            if len(rows) >= count:
                break
        if not seen:
            raise InputError(f"{self.origin} holds no rows: below its header ({listed(columns)}) is nothing")
        if not rows:
            raise InputError(
                f"{self.origin}: no row has as many cells as the header, which is {listed(columns)}; {self.fault(seen[0])}"
            )
        return Head(columns, rows[:count])

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        last: list[str] = []
        with opened(self._path, self._encoding) as file:
            reader = self._reader(file)
            header = self._header(reader)
            start = 1
            while rows := self._next(reader, start):
                numbers = np.arange(start, start + len(rows))
                start += len(rows)
                last = rows[-1]
                if not all(rows):
                    there = [bool(row) for row in rows]
                    rows, numbers = [row for row in rows if row], numbers[there]
                table = None if wanted is None else _table(header, rows, wanted)
                yield Chunk(numbers, partial(_rows, header, rows), table)
        if last and (len(last) != len(header) or "\n" in last[-1]):
            self._check_closed()

    def fault(self, number: int) -> str:
        """What is wrong with a row that is UNREAD."""
        with opened(self._path, self._encoding) as file:
            reader = self._reader(file)
            header = self._header(reader)
            cells: list[str] = next(itertools.islice(reader, number - 1, None), [])
        return (
            f"row {number} has {'more' if len(cells) > len(header) else 'fewer'} cells than the header: {len(cells)}, not "
            f"{len(header)}; quote cells that hold {MARKS.get(self._layout.delimiter, 'the delimiter')}"
        )

    def _header(self, reader: Any) -> list[str]:
        try:
            header: list[str] = next(filter(None, reader), [])
        except csv.Error as error:
            raise InputError(f"{self.origin} is not readable as CSV: its header: {error}") from error
        if not header:
            raise InputError(f"{self.origin} is empty: it has neither a header nor rows")
        if twice := [name for name, count in Counter(header).items() if count > 1 and name.strip()]:
            raise InputError(
                f"{self.origin} has the column name{'s' if len(twice) > 1 else ''} {', '.join(map(repr, twice))} more than "
                "once in its header: give each column a name of its own"
            )
        return header

    def _reader(self, file: Any) -> Any:
        csv.field_size_limit(1 << 30)
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        if self._layout.declared:
            text.readline()
        return csv.reader(text, delimiter=self._layout.delimiter)

    def _next(self, reader: Any, start: int) -> list[list[str]]:
        try:
            return list(itertools.islice(reader, ROWS))
        except csv.Error as error:
            raise InputError(
                f"{self.origin} is not readable as CSV after row {start - 1}: {error}"
            ) from error

    def _check_closed(self) -> None:
        """Raise InputError for a quote that is never closed, so that all that follows it went into one cell."""
        with opened(self._path, self._encoding) as file:
            if sum(piece.count(b'"') for piece in iter(partial(file.read, 1 << 20), b"")) % 2 == 0:
                return
        with opened(self._path, self._encoding) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
            lines: list[str] = []

            def noted() -> Iterator[str]:
                for line in text:
                    lines.append(line)
                    yield line

            row, begun, end = -1 - self._layout.declared, 1, 1
            record: list[str] = []
            for _ in csv.reader(noted(), delimiter=self._layout.delimiter):
                row, begun, end, record = row + 1, end, end + len(lines), list(lines)
                lines.clear()
        try:
            list(csv.reader(record, delimiter=self._layout.delimiter, strict=True))
        except csv.Error as error:
            raise InputError(
                f"{self.origin}: a quote that is opened in row {row} (line {begun}) is never closed, so that all {end - begun} lines "
                "from there on would be one cell: close it, or double quotes within a cell"
            ) from error


def _rows(header: list[str], rows: list[list[str]], positions: np.ndarray) -> list[Any]:
    return [_row(header, rows[int(i)]) for i in positions]


def _row(header: list[str], cells: list[str]) -> Any:
    if len(cells) != len(header):
        return UNREAD
    return dict(zip(header, cells, strict=True))


def _table(header: list[str], rows: list[list[str]], wanted: pa.Schema) -> pa.Table | None:
    """The cells as text; None where a row is not plain, and for forms whose parts are not all text."""
    if any(type_ != pa.large_string() for type_ in wanted.types) or set(map(len, rows)) != {len(header)}:
        return None
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    try:
        return pa.table({name: pa.array(columns[name], pa.large_string()) for name in wanted.names})
    except UnicodeEncodeError:
        return None
