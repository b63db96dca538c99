"""Rows that are in memory already: lists of mappings, and the data sets of `datasets`."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.errors import InputError
from backfire.tables.chunk import UNREAD, Chunk, Head, listed

ROWS = 8192
"""Rows handed over at once."""


class ListOfRows:
    """A list whose items are rows; an item that is no mapping is a defective row."""

    def __init__(self, rows: Sequence[Any], origin: str) -> None:
        self.origin = origin
        self._rows = rows

    def head(self, count: int) -> Head:
        if not self._rows:
            raise InputError(f"{self.origin} holds no rows")
        rows = [row for row in self._rows[:count] if isinstance(row, Mapping)]
        return Head(list(dict.fromkeys(str(name) for row in rows for name in row)), rows)

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        for start in range(0, len(self._rows), ROWS):
            rows = self._rows[start : start + ROWS]
            yield Chunk(np.arange(start + 1, start + len(rows) + 1), listed(rows))

    def fault(self, number: int) -> str:
        return f"row {number} is no object"


class TableOfDatasets:
    """A `datasets.Dataset`, read from its Arrow files."""

    def __init__(self, dataset: Any, origin: str) -> None:
        self.origin = origin
        self._dataset = dataset.with_format(None)

    def head(self, count: int) -> Head:
        first = range(min(count, len(self._dataset)))
        rows = [
            row for row in _rows_of(self._dataset, 0, np.array(first, dtype=np.int64)) if row is not UNREAD
        ]
        return Head(list(self._dataset.column_names), rows)

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        dataset = self._dataset if names is None else self._dataset.select_columns(sorted(names))
        arrow = None if wanted is None else dataset.select_columns(list(wanted.names)).with_format("arrow")
        for start in range(0, len(dataset), ROWS):
            stop = min(start + ROWS, len(dataset))
            numbers = np.arange(start + 1, stop + 1)
            table = None if arrow is None else arrow[start:stop]
            yield Chunk(numbers, partial(_rows_of, dataset, start), table)

    def fault(self, number: int) -> str:
        return f"row {number} holds text that is not UTF-8"


def _rows_of(dataset: Any, start: int, positions: np.ndarray) -> list[Any]:
    if not len(positions):
        return []
    try:
        columns = dataset[(positions + start).tolist()]
    except UnicodeDecodeError:
        if len(positions) == 1:
            return [UNREAD]
        return [value for position in positions for value in _rows_of(dataset, start, np.array([position]))]
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class StreamOfDatasets:
    """A `datasets.IterableDataset`, read row by row."""

    def __init__(self, dataset: Any, origin: str) -> None:
        self.origin = origin
        self._dataset = dataset

    def head(self, count: int) -> Head:
        rows = list(itertools.islice(iter(self._dataset), count))
        return Head(list(dict.fromkeys(name for row in rows for name in row)), rows)

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        stream, start = iter(self._dataset), 1
        while rows := list(itertools.islice(stream, ROWS)):
            yield Chunk(np.arange(start, start + len(rows)), listed(rows))
            start += len(rows)

    def fault(self, number: int) -> str:
        return f"row {number} is no object"
