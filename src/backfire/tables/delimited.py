"""CSV and TSV files as sources."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.errors import InputError
from backfire.tables.chunk import UNREAD, Chunk, Head
from backfire.tables.json_lines import opened

ROWS = 8192
"""Rows handed over at once, at most."""


class Delimited:
    """A CSV or TSV file, read row by row. Rows are numbered from 1 below the header; a blank line has a number too."""

    def __init__(self, path: Path, delimiter: str) -> None:
        self.origin = str(path)
        self._path = path
        self._delimiter = delimiter

    def head(self, count: int) -> Head:
        chunks = self.chunks(None, None)
        columns = self._header()
        rows: list[Any] = []
        for chunk in chunks:
            rows += [row for row in chunk.values(np.arange(len(chunk.numbers))) if isinstance(row, dict)]
            if len(rows) >= count:
                break
        return Head(columns, rows[:count])

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        with opened(self._path) as file:
            reader = self._reader(file)
            header = next(reader, None)
            if header is None:
                return
            start = 1
            while rows := self._next(reader, start):
                numbers = np.arange(start, start + len(rows))
                start += len(rows)
                if not all(rows):
                    there = [bool(row) for row in rows]
                    rows, numbers = [row for row in rows if row], numbers[there]
                table = None if wanted is None else _table(header, rows, wanted)
                yield Chunk(numbers, partial(_rows, header, rows), table)

    def _header(self) -> list[str]:
        with opened(self._path) as file:
            header: list[str] | None = next(self._reader(file), None)
        if header is None:
            raise InputError(f"{self.origin} is empty")
        return header

    def _reader(self, file: Any) -> Any:
        csv.field_size_limit(1 << 30)
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
        return csv.reader(text, delimiter=self._delimiter)

    def _next(self, reader: Any, start: int) -> list[list[str]]:
        try:
            return list(itertools.islice(reader, ROWS))
        except csv.Error as error:
            raise InputError(
                f"{self.origin} is not readable as CSV after row {start - 1}: {error}"
            ) from error


def _rows(header: list[str], rows: list[list[str]], positions: np.ndarray) -> list[Any]:
    return [_row(header, rows[int(i)]) for i in positions]


def _row(header: list[str], cells: list[str]) -> Any:
    if len(cells) != len(header):
        return UNREAD
    return {name: _cell(cell) for name, cell in zip(header, cells, strict=True)}


def _cell(value: str) -> Any:
    """A cell that holds a conversation as JSON becomes one."""
    if value.startswith("[{") and value.rstrip().endswith("}]"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _table(header: list[str], rows: list[list[str]], wanted: pa.Schema) -> pa.Table | None:
    """The cells as text; None where a row is not plain, and for forms whose parts are not all text."""
    if any(type_ != pa.large_string() for type_ in wanted.types) or set(map(len, rows)) != {len(header)}:
        return None
    if len(set(header)) != len(header):
        return None
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    if any(cell.startswith("[{") for name in wanted.names for cell in columns[name]):
        return None
    try:
        return pa.table({name: pa.array(columns[name], pa.large_string()) for name in wanted.names})
    except UnicodeEncodeError:
        return None
