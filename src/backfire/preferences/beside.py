"""The rows that pairs came from, with all their columns: what a data set says beside the pairs is kept by them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backfire.preferences.provenance import says_nothing
from backfire.preferences.schema import SIDES
from backfire.tables.chunk import Chunk

if TYPE_CHECKING:
    from backfire.preferences.preferences import Preferences

PROVENANCE = (
    "kind",
    *(f"{side}_{part}" for part in ("source", "stop_reason", "decoding") for side in SIDES),
    "tags",
)
"""What the reader understands beside the texts, under the names by which it reads them back."""
ARGUMENTS = ("tools", "chat_template_kwargs")
"""What a row says to its chat template, likewise."""
IN_BLOCK = {"chat_template_kwargs": "template_options"} | {f"{s}_stop_reason": f"{s}_stop" for s in SIDES}
"""Their names in blocks, where these are others."""


class RowsBeside:
    """Rows by their numbers, from one pass over the data set; numbers have to ascend, and may repeat."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self._chunks: Iterator[Chunk] = iter(chunks)
        self._chunk: Chunk | None = None

    def at(self, numbers: np.ndarray) -> list[Any]:
        """The values of the rows with these numbers."""
        rows: list[Any] = []
        while len(rows) < len(numbers):
            left = numbers[len(rows) :]
            chunk = self._chunk
            if chunk is None or not len(chunk.numbers) or chunk.numbers[-1] < left[0]:
                self._chunk = next(self._chunks)
                continue
            here, back = np.unique(left[left <= chunk.numbers[-1]], return_inverse=True)
            values = chunk.values(np.searchsorted(chunk.numbers, here))
            rows += [values[i] for i in back]
        return rows


class TwoRows(NamedTuple):
    """The two rows that one pair was made of."""

    chosen: Mapping[str, Any]
    rejected: Mapping[str, Any]
    chosen_row: int
    rejected_row: int

    @property
    def later(self) -> Mapping[str, Any]:
        """The row whose number, kind and tags the pair has."""
        return self.chosen if self.chosen_row > self.rejected_row else self.rejected


ROWS_OF_SIDES = tuple(f"{side}_row" for side in SIDES)
"""Under which names the numbers of both rows are written."""


@dataclass(frozen=True)
class Beside:
    """What a data set says beside its pairs."""

    understood: frozenset[str]
    """Names of PROVENANCE and ARGUMENTS that the reader understood anywhere."""
    given: Mapping[str, str]
    """The data set's own columns that are no part of the pair, as they are, and what they are to be called."""
    by_side: Mapping[str, tuple[str, str]]
    """Where a pair is made of two rows: such columns that differ between the two of some pair, and what they are to be
    called on the chosen and on the rejected side."""
    pairs: int

    def of(self, row: Mapping[str, Any] | TwoRows) -> dict[str, Any]:
        """The own columns of a pair's row, or of its two rows, under their new names."""
        if not isinstance(row, TwoRows):
            return {new: row.get(name) for name, new in self.given.items()}
        columns: dict[str, Any] = dict(zip(ROWS_OF_SIDES, (row.chosen_row, row.rejected_row), strict=True))
        columns |= {new: row.chosen.get(name) for name, new in self.given.items()}
        for name, (chosen, rejected) in self.by_side.items():
            columns |= {chosen: row.chosen.get(name), rejected: row.rejected.get(name)}
        return columns


def columns_beside(data: Preferences, own: Collection[str]) -> Beside:
    """Look at every row for columns that are to be kept.

    A column whose name is one of `own` means something else where the pairs are written, and is called `given_NAME`. Where
    the reader has understood all of it under that name, it is not given twice. Of pairs that are made of two rows, a column
    that is the same in both rows of every pair is kept once, and another as `chosen_NAME` and `rejected_NAME`.
    """
    understood: dict[str, None] = {}
    there: dict[str, None] = {}
    apart: set[str] = set()
    differing: set[str] = set()
    pairs = 0
    for block, rows in data.with_rows():
        pairs += len(block)
        spelled = {name: block.column(IN_BLOCK.get(name, name)) for name in (*PROVENANCE, *ARGUMENTS)}
        understood |= dict.fromkeys(
            name for name, column in spelled.items() if column.null_count < len(column)
        )
        for place, row in enumerate(rows):
            if isinstance(row, TwoRows):
                both = dict.fromkeys(map(str, (*row.chosen, *row.rejected)))
                there |= both
                apart |= {
                    n for n in both if n not in apart and not _same(row.chosen.get(n), row.rejected.get(n))
                }
                row = row.later
            there |= dict.fromkeys(map(str, row))
            for name, column in spelled.items():
                if not says_nothing(name, row.get(name)) and not column[place].is_valid:
                    differing.add(name)
    of_pair = {name for what in ("prompt", *SIDES) for name in data.columns.get(what, ())}
    if data.labelled:
        of_pair |= {*data.columns.get("preference", ())}
    taken = {*of_pair, *there, *own, *PROVENANCE, *ARGUMENTS}
    given: dict[str, str] = {}
    by_side: dict[str, tuple[str, str]] = {}
    for name in there:
        if name in of_pair:
            continue
        if name in apart:
            chosen, rejected = (_new(f"{side}_{name}", taken) for side in SIDES)
            by_side[name] = (chosen, rejected)
        elif name not in understood or name in differing:
            given[name] = _free(f"given_{name}", taken) if name in own or name in understood else name
    return Beside(frozenset(understood), given, by_side, pairs)


def _same(one: Any, other: Any) -> bool:
    """Whether two cells hold the same; two that are no number (NaN) do."""
    try:
        return type(one) is type(other) and bool(one == other or (one != one and other != other))
    except (TypeError, ValueError):
        return one is other


def _new(name: str, taken: set[str]) -> str:
    """A name that no column has, and what it is in `given_NAME` where one has it."""
    if name in taken:
        return _free(f"given_{name}", taken)
    taken.add(name)
    return name


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
