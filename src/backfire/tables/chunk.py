"""What a source hands over: some consecutive rows, as an Arrow table where that is safe, and as values always."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

UNREAD = object()
"""Stands for a row that could not be decoded."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a data set."""

    numbers: np.ndarray
    """Row numbers, int64, ascending."""
    values: Callable[[np.ndarray], list[Any]]
    """The values of the rows at these positions; UNREAD, or anything but a mapping, is a defective row."""
    table: pa.Table | None = None
    """The wanted columns of the same rows; None where only `values` can be trusted."""


@dataclass(frozen=True)
class Head:
    """The first rows of a data set, by which its form is recognised."""

    columns: list[str]
    rows: list[Mapping[str, Any]] = field(default_factory=list)


class Source(Protocol):
    """A data set that can be read from the start as often as one likes."""

    origin: str

    def head(self, count: int) -> Head:
        """The columns, and up to `count` first rows that are mappings.

        Raises:
            InputError: it cannot be read.
        """

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        """Every row in order. `names` are the columns that values need (None: all), others may be left out; `wanted`
        are those of tables, with the types to expect (None: no tables)."""

    def fault(self, number: int) -> str:
        """What is wrong with a row that is UNREAD, by its number."""


def listed(rows: Sequence[Any]) -> Callable[[np.ndarray], list[Any]]:
    """`Chunk.values` of rows in a list."""
    return lambda positions: [rows[int(i)] for i in positions]
