"""Arrow files as sources, such as those in the cache of `datasets`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.errors import InputError
from backfire.tables.chunk import UNREAD, Chunk, Head
from backfire.tables.parquet import ROWS, distinct, values_of


class ArrowFile:
    """An Arrow file, of the format with or without random access."""

    def __init__(self, path: Path, origin: str) -> None:
        self.origin = origin
        self._path = path

    def head(self, count: int) -> Head:
        columns: list[str] = []
        rows: list[Any] = []
        for batch in self._batches():
            columns = columns or list(distinct(batch.schema.names, self.origin))
            some = values_of(pa.Table.from_batches([batch]))(np.arange(min(len(batch), count - len(rows))))
            rows += [row for row in some if row is not UNREAD]
            if len(rows) >= count:
                break
        return Head(columns, rows)

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        start = 1
        for batch in self._batches():
            read = [name for name in batch.schema.names if names is None or name in names]
            table = pa.Table.from_batches([batch]).select(read)
            yield Chunk(
                np.arange(start, start + len(table)), values_of(table), None if wanted is None else table
            )
            start += len(table)

    def fault(self, number: int) -> str:
        return f"row {number} holds text that is not UTF-8"

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """At most ROWS rows at a time; a file of no rows gives one batch without any."""
        try:
            # Not mapped into memory: what a damaged file says lies beyond its end would end this process by SIGBUS.
            with pa.OSFile(str(self._path)) as file:
                indexed = file.read(6) == b"ARROW1"
                file.seek(0)
                with pa.ipc.open_file(file) if indexed else pa.ipc.open_stream(file) as reader:
                    yield pa.RecordBatch.from_pylist([], schema=reader.schema)
                    batches = (
                        (reader.get_batch(n) for n in range(reader.num_record_batches)) if indexed else reader
                    )
                    for batch in batches:
                        for column in batch.columns:
                            _check(column)
                        for start in range(0, len(batch), ROWS):
                            yield batch.slice(start, ROWS)
        except (pa.ArrowException, OSError, ValueError, IndexError, MemoryError) as error:
            raise InputError(f"cannot read {self.origin} as Arrow: {error}") from error


def check_arrow(path: Path) -> None:
    """InputError for a damaged Arrow file, which another program is about to map into memory."""
    for _ in ArrowFile(path, str(path))._batches():
        pass


def _check(array: pa.Array) -> None:
    """Raise ValueError or an ArrowException for places of values that lie outside of the file, which nothing looks at later.

    Text that is not UTF-8 passes: it costs its own row.
    """
    array.validate()
    kind = array.type
    if pa.types.is_string(kind):
        array.view(pa.binary()).validate(full=True)
    elif pa.types.is_large_string(kind):
        array.view(pa.large_binary()).validate(full=True)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        _check_places(array.offsets.to_numpy(zero_copy_only=False), len(_values(array)))
        _check(_values(array))
    elif pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            _check(array.field(place))
    elif pa.types.is_dictionary(kind):
        places = array.indices.drop_null().to_numpy(zero_copy_only=False)
        if len(places) and not 0 <= places.min() <= places.max() < len(array.dictionary):
            raise ValueError("a value's place in its dictionary lies outside of it")
        _check(array.dictionary)
    else:
        array.validate(full=True)


def _values(array: pa.Array) -> pa.Array:
    """The values of all lists. Those of a map are its keys and items, which come without their struct."""
    if pa.types.is_map(array.type):
        return pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
    return array.values


def _check_places(offsets: np.ndarray, count: int) -> None:
    if len(offsets) and (offsets[0] < 0 or offsets[-1] > count or (np.diff(offsets) < 0).any()):
        raise ValueError("a list begins or ends outside of the values")
