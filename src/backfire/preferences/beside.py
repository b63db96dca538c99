"""The rows that pairs came from, with all their columns: what a data set says beside the pairs is kept by them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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


@dataclass(frozen=True)
class Beside:
    """What a data set says beside its pairs."""

    said: frozenset[str]
    """Names of PROVENANCE and ARGUMENTS that the reader understood anywhere."""
    given: Mapping[str, str]
    """The data set's own columns that are no part of the pair, as they are, and what they are to be called."""
    not_kept: tuple[str, ...]
    """Such columns that cannot be kept, since a pair comes from two rows."""
    pairs: int

    def of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row's own columns under their new names."""
        return {new: row.get(name) for name, new in self.given.items()}


def columns_beside(data: Preferences, own: Collection[str]) -> Beside:
    """Look at every row for columns that are to be kept.

    A column whose name is one of `own` means something else where the pairs are written, and is called `given_NAME`. Where
    the reader has understood all of it under that name, it is not given twice.
    """
    said: dict[str, None] = {}
    there: dict[str, None] = {}
    differing: set[str] = set()
    pairs = 0
    for block, rows in data.with_rows():
        pairs += len(block)
        found = {name: block.column(IN_BLOCK.get(name, name)) for name in (*PROVENANCE, *ARGUMENTS)}
        said |= dict.fromkeys(name for name, column in found.items() if column.null_count < len(column))
        for place, row in enumerate(rows):
            there |= dict.fromkeys(map(str, row))
            for name, column in found.items():
                if row.get(name) not in (None, "", [], {}) and not column[place].is_valid:
                    differing.add(name)
    of_pair = {name for what in ("prompt", *SIDES) for name in data.columns.get(what, ())}
    taken = {*of_pair, *there, *own, *PROVENANCE, *ARGUMENTS}
    given = {}
    for name in there:
        if name not in of_pair and (name not in said or name in differing):
            given[name] = _free(f"given_{name}", taken) if name in own or name in said else name
    used = {*said, *(name for names in data.columns.values() for name in names)}
    not_kept = () if data.one_row_a_pair else tuple(n for n in data.all_columns if n not in used)
    return Beside(frozenset(said), given, not_kept, pairs)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
