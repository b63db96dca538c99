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
            with pa.memory_map(str(self._path)) as file:
                indexed = file.read(6) == b"ARROW1"
                file.seek(0)
                with pa.ipc.open_file(file) if indexed else pa.ipc.open_stream(file) as reader:
                    yield pa.RecordBatch.from_pylist([], schema=reader.schema)
                    batches = (
                        (reader.get_batch(n) for n in range(reader.num_record_batches)) if indexed else reader
                    )
                    for batch in batches:
                        for start in range(0, len(batch), ROWS):
                            yield batch.slice(start, ROWS)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"cannot read {self.origin} as Arrow: {error}") from error
