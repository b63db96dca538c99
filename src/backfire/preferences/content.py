"""What a data set's pairs are, as one digest: the same for the same pairs, whatever form and packing they came in."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backfire.preferences.schema import SCHEMA

COLUMNS = tuple(name for name in SCHEMA.names if name not in ("row", "earlier_row"))
"""What a pair is; in which rows of its file it stands is no part of it."""
WIDTH = 8
"""Bytes of a number, such as a score."""


class ContentDigest:
    """SHA-256 over every column of the pairs of a data set, in their order; where blocks are cut does not matter."""

    def __init__(self) -> None:
        self.pairs = 0
        self._values = {name: hashlib.sha256() for name in COLUMNS}
        self._lengths = {name: hashlib.sha256() for name in COLUMNS}
        self._nulls = dict.fromkeys(COLUMNS, 0)
        """Null values at the end of each column that were not hashed yet: most columns are null throughout."""

    def add(self, block: pa.RecordBatch) -> None:
        """The next pairs, as SCHEMA."""
        self.pairs += len(block)
        for name in COLUMNS:
            column = block.column(name)
            if column.null_count == len(column):
                self._nulls[name] += len(column)
            else:
                self._add(name, column)

    def _add(self, name: str, column: pa.Array) -> None:
        text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        given = pc.binary_length(column) if text else pc.if_else(column.is_valid(), WIDTH, None)
        lengths = pc.fill_null(given, -1).to_numpy(zero_copy_only=False).astype("<i4")
        before, self._nulls[name] = self._nulls[name], 0
        if before:
            self._lengths[name].update(np.full(before, -1, "<i4").tobytes())
        self._lengths[name].update(lengths.tobytes())
        self._values[name].update(_text_of(column) if text else column.drop_null().to_numpy().tobytes())

    def hexdigest(self) -> str:
        """64 hex digits. A column without any value does not count, so that a new one changes no digest."""
        whole = hashlib.sha256(f"pairs 1 {self.pairs}".encode())
        for name in COLUMNS:
            if self._nulls[name] == self.pairs:
                continue
            lengths = self._lengths[name].copy()
            lengths.update(np.full(self._nulls[name], -1, "<i4").tobytes())
            whole.update(name.encode() + self._values[name].digest() + lengths.digest())
        return whole.hexdigest()


def _text_of(column: pa.Array) -> pa.Buffer | bytes:
    """The bytes of all texts of a column, one after the other; null ones have none."""
    if column.null_count:
        column = column.drop_null()
    offsets = column.buffers()[1]
    places = np.frombuffer(offsets, dtype=np.int64 if pa.types.is_large_string(column.type) else np.int32)
    first, last = places[column.offset], places[column.offset + len(column)]
    data = column.buffers()[2]
    return b"" if data is None or first == last else data.slice(int(first), int(last - first))
