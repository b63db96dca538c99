"""The rows that pairs came from, with all their columns: what a data set says beside the pairs is kept by them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from backfire.tables.chunk import Chunk


class RowsBeside:
    """Rows by their numbers, from one pass over the data set; numbers have to ascend, and may repeat."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks: Iterator[Chunk] = iter(chunks)
        self._chunk: Chunk | None = None

    def at(self, numbers: np.ndarray) -> list[Any]:
        """The values of the rows with these numbers."""
        found: list[Any] = []
        while len(found) < len(numbers):
            left = numbers[len(found) :]
            chunk = self._chunk
            if chunk is None or not len(chunk.numbers) or chunk.numbers[-1] < left[0]:
                self._chunk = next(self._chunks)
                continue
            here, back = np.unique(left[left <= chunk.numbers[-1]], return_inverse=True)
            values = chunk.values(np.searchsorted(chunk.numbers, here))
            found += [values[i] for i in back]
        return found
