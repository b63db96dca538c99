"""Parquet files as a source."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.errors import InputError
from backfire.tables.chunk import UNREAD, Chunk, Head

ROWS = 8192
"""Rows handed over at once, at most."""


class Parquet:
    """Parquet files, one after the other; their rows are numbered through. A column that a file lacks is null there."""

    def __init__(self, paths: Sequence[Path], origin: str) -> None:
        self.origin = origin
        self._paths = paths

    def head(self, count: int) -> Head:
        columns: dict[str, None] = {}
        for path in self._paths:
            with self._file(path) as file:
                columns.update(dict.fromkeys(distinct(file.schema_arrow.names, str(path))))
        rows: list[Any] = []
        for chunk in self.chunks(None, None):
            rows += [
                row for row in chunk.values(np.arange(min(len(chunk.numbers), count))) if row is not UNREAD
            ]
            if len(rows) >= count:
                break
        return Head(list(columns), rows[:count])

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        start = 1
        for path in self._paths:
            with self._file(path) as file:
                there = file.schema_arrow.names
                read = [name for name in there if names is None or name in names]
                for batch in self._batches(file, read):
                    table = pa.Table.from_batches([batch])
                    numbers = np.arange(start, start + len(table))
                    yield Chunk(numbers, values_of(table), None if wanted is None else table)
                    start += len(table)

    def fault(self, number: int) -> str:
        return f"row {number} holds text that is not UTF-8"

    def _file(self, path: Path) -> Any:
        import pyarrow.parquet as parquet

        try:
            file = parquet.ParquetFile(path)
            _ = file.schema_arrow.names
            return file
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {path} as Parquet: {error}") from error

    def _batches(self, file: Any, names: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            yield from file.iter_batches(batch_size=ROWS, columns=names)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"cannot read {self.origin} as Parquet: {error}") from error


def distinct(names: Sequence[str], origin: str) -> Sequence[str]:
    """The names of a table's columns.

    Raises:
        InputError: two columns have one name.
    """
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(
            f"{origin} has two columns of the name {twice!r}: give each column a name of its own"
        )
    return names


def values_of(table: pa.Table) -> Callable[[np.ndarray], list[Any]]:
    """`Chunk.values` of a table's rows."""

    def values(positions: np.ndarray) -> list[Any]:
        if not len(positions):
            return []
        some = table if len(positions) == len(table) else table.take(pa.array(positions))
        try:
            return list(some.to_pylist())
        except UnicodeDecodeError:
            if len(positions) == 1:
                return [UNREAD]
            return [value for position in positions for value in values(np.array([position]))]

    return values
