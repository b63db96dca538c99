"""Batches of any size made into blocks whose cuts depend on nothing but the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS = 8192
BYTES = 32 << 20
TEXTS = ("prompt", "messages", "chosen", "rejected")


def in_blocks(
    batches: Iterable[pa.RecordBatch], rows: int = ROWS, size: int = BYTES
) -> Iterator[pa.RecordBatch]:
    """The same rows in blocks of at most `rows` rows and `size` bytes of text; a longer row is a block alone."""
    waiting: list[pa.RecordBatch] = []
    lengths: list[np.ndarray] = []
    for batch in batches:
        if not len(batch):
            continue
        waiting.append(batch)
        lengths.append(_bytes(batch))
        if sum(map(len, lengths)) < rows and sum(int(n.sum()) for n in lengths) < size:
            continue
        table, bytes_ = pa.Table.from_batches(waiting), np.concatenate(lengths)
        start = 0
        while (stop := start + _fit(bytes_[start:], rows, size)) < len(table) or stop - start == rows:
            yield _block(table, start, stop)
            start = stop
            if start == len(table):
                break
        waiting = [] if start == len(table) else [_block(table, start, len(table))]
        lengths = [bytes_[start:]]
    if waiting:
        yield _block(pa.Table.from_batches(waiting), 0, sum(map(len, waiting)))


def _bytes(batch: pa.RecordBatch) -> np.ndarray:
    total = np.zeros(len(batch), dtype=np.int64)
    for name in TEXTS:
        total += np.asarray(pc.fill_null(pc.binary_length(batch.column(name)), 0))
    return total


def _fit(bytes_: np.ndarray, rows: int, size: int) -> int:
    return max(1, int(np.searchsorted(np.cumsum(bytes_[:rows]), size, side="right")))


def _block(table: pa.Table, start: int, stop: int) -> pa.RecordBatch:
    return table.slice(start, stop - start).combine_chunks().to_batches()[0]
