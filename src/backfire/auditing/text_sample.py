"""The sample of pairs whose text is kept, drawn while the pairs come by."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from backfire.auditing.audited_pairs import Ints, Keys
from backfire.preferences import SCHEMA

SAMPLE_PAIRS = 20_000
"""Text is kept, and probes of words are fitted, on so many pairs at most: whole prompts, drawn by their content."""


def first_prompts(keys: Keys, most: int) -> Ints:
    """Indices, ascending, of at most `most` pairs: whole prompts, those with the smallest keys, whatever the order.

    A prompt that does not fit ends the sample; one that would be alone in it is cut.
    """
    order = np.argsort(keys, kind="stable")
    if len(keys) > most:
        fitting = int(np.searchsorted(keys[order], keys[order[most]], "left"))
        order = order[: fitting or most]
    return np.sort(order)


class TextSample:
    """Holds the text of the `first_prompts` among all pairs that came by."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.limit = wanted, np.uint64(0xFFFFFFFFFFFFFFFF)
        self.tables: list[pa.Table] = []
        self.keys = np.zeros(0, dtype=np.uint64)
        self.indices = np.zeros(0, dtype=np.int64)
        self.seen = 0

    def offer(self, text: pa.RecordBatch, keys: Keys) -> None:
        small = np.flatnonzero(keys <= self.limit)
        self.tables.append(pa.Table.from_batches([text]).take(small))
        self.keys = np.concatenate([self.keys, keys[small]])
        self.indices = np.concatenate([self.indices, small + self.seen])
        self.seen += len(keys)
        if len(self.keys) > 2 * self.wanted:
            self._trim()

    def taken(self) -> tuple[Ints, pa.Table]:
        """Indices, ascending, and their rows."""
        if len(self.keys) > self.wanted:
            self._trim()
        table = pa.concat_tables(self.tables) if self.tables else SCHEMA.empty_table()
        return self.indices, table

    def _trim(self) -> None:
        first = first_prompts(self.keys, self.wanted)
        self.tables = [pa.concat_tables(self.tables).take(first)]
        self.keys, self.indices = self.keys[first], self.indices[first]
        self.limit = self.keys.max()
