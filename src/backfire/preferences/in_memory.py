"""Rows that are in memory already: lists of mappings, and the data sets of `datasets`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.preferences.chunk import UNREAD, Chunk, Head, listed

ROWS = 8192
"""Rows handed over at once."""


class ListOfRows:
    """A list whose items are rows; an item that is no mapping is a defective row."""

    def __init__(self, rows: Sequence[Any], origin: str) -> None:
        self.origin = origin
        self._rows = rows

    def head(self, count: int) -> Head:
        rows = [row for row in self._rows[:count] if isinstance(row, Mapping)]
        return Head(list(dict.fromkeys(str(name) for row in rows for name in row)), rows)

    def chunks(self, wanted: pa.Schema | None) -> Iterator[Chunk]:
        for start in range(0, len(self._rows), ROWS):
            rows = self._rows[start : start + ROWS]
            yield Chunk(np.arange(start + 1, start + len(rows) + 1), listed(rows))


class TableOfDatasets:
    """A `datasets.Dataset`, read from its Arrow files."""

    def __init__(self, dataset: Any, origin: str) -> None:
        self.origin = origin
        self._dataset = dataset.with_format(None)

    def head(self, count: int) -> Head:
        first = range(min(count, len(self._dataset)))
        rows = [row for row in self._values(np.array(first, dtype=np.int64)) if row is not UNREAD]
        return Head(list(self._dataset.column_names), rows)

    def chunks(self, wanted: pa.Schema | None) -> Iterator[Chunk]:
        arrow = self._dataset.with_format("arrow")
        if wanted is not None:
            arrow = arrow.select_columns(list(wanted.names))
        for start in range(0, len(self._dataset), ROWS):
            stop = min(start + ROWS, len(self._dataset))
            numbers = np.arange(start + 1, stop + 1)
            table = None if wanted is None else arrow[start:stop]
            yield Chunk(numbers, partial(self._from, start), table)

    def _from(self, start: int, positions: np.ndarray) -> list[Any]:
        return self._values(positions + start)

    def _values(self, rows: np.ndarray) -> list[Any]:
        if not len(rows):
            return []
        try:
            columns = self._dataset[rows.tolist()]
        except UnicodeDecodeError:
            if len(rows) == 1:
                return [UNREAD]
            return [value for row in rows for value in self._values(np.array([row]))]
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

    def chunks(self, wanted: pa.Schema | None) -> Iterator[Chunk]:
        stream, start = iter(self._dataset), 1
        while rows := list(itertools.islice(stream, ROWS)):
            yield Chunk(np.arange(start, start + len(rows)), listed(rows))
            start += len(rows)
