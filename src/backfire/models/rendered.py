"""Rendered pairs as columns: what TRL is handed, and masks of what happened to each pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.models.losses import LOSSES, Fault
from backfire.models.rendering import AT_ONCE, Rendered, Row

if TYPE_CHECKING:
    Mask = NDArray[np.bool_]

IDS = pa.schema([(name, pa.list_(pa.int32())) for name in ("prompt_ids", "chosen_ids", "rejected_ids")])
"""The columns that TRL's DPO trainer takes."""
SIDES = ("chosen", "rejected")


@dataclass(frozen=True)
class PairRow:
    """One pair as it is trained on. Ids are those left by `max_length`."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]
    happened: tuple[str, ...]
    """Names of what happened to it, as in `RenderedPairs.happened`."""
    lost: tuple[int, int]
    """Tokens of the chosen and of the rejected side beyond `max_length`."""
    fault: Fault | None


@dataclass(frozen=True, eq=False)
class RenderedPairs:
    """Pairs in their order. The ids are in Arrow, so that 100,000 pairs take as many bytes as four a token."""

    ids: pa.Table
    """IDS."""
    max_length: int | None
    lost: NDArray[np.int64]
    """Tokens beyond `max_length`: [pairs, 2]."""
    end_missing: Mask
    """[pairs, 2]"""
    end_doubled: Mask
    """[pairs, 2]"""
    bos_missing: Mask
    bos_doubled: Mask
    merged: Mask
    fills: Mask
    faults: dict[int, Fault]
    """What the template loses or refuses of a pair, by its place."""

    @classmethod
    def of(cls, rendered: Iterable[Rendered], max_length: int | None) -> RenderedPairs:
        """From items of two completions each."""
        parts: list[pa.RecordBatch] = []
        lost: list[list[int]] = []
        sides: list[list[list[bool]]] = []
        single: list[tuple[bool, ...]] = []
        faults: dict[int, Fault] = {}
        batch: list[tuple[list[int], list[int], list[int]]] = []
        for done in rendered:
            if done.fault is not None:
                faults[len(lost)] = done.fault
            lost.append(done.lost)
            sides.append([done.end_missing, done.end_doubled])
            single.append((done.bos_missing, done.bos_doubled, done.merged, done.fills))
            batch.append((done.prompt, done.sides[0], done.sides[1]))
            if len(batch) == AT_ONCE:
                parts.append(_batch(batch))
                batch = []
        parts.append(_batch(batch))
        ends = np.array(sides, dtype=bool).reshape(-1, 2, 2)
        alone = np.array(single, dtype=bool).reshape(-1, 4)
        return cls(
            pa.Table.from_batches(parts, IDS),
            max_length,
            np.array(lost, dtype=np.int64).reshape(-1, 2),
            ends[:, 0],
            ends[:, 1],
            alone[:, 0],
            alone[:, 1],
            alone[:, 2],
            alone[:, 3],
            faults,
        )

    @classmethod
    def joined(cls, parts: Sequence[RenderedPairs]) -> RenderedPairs:
        """One after the other; all have the same `max_length`."""
        starts = np.cumsum([0, *map(len, parts)])
        return cls(
            pa.concat_tables([part.ids for part in parts]),
            parts[0].max_length,
            np.concatenate([part.lost for part in parts]),
            np.concatenate([part.end_missing for part in parts]),
            np.concatenate([part.end_doubled for part in parts]),
            np.concatenate([part.bos_missing for part in parts]),
            np.concatenate([part.bos_doubled for part in parts]),
            np.concatenate([part.merged for part in parts]),
            np.concatenate([part.fills for part in parts]),
            {int(n) + k: f for n, part in zip(starts, parts, strict=False) for k, f in part.faults.items()},
        )

    def __len__(self) -> int:
        return len(self.fills)

    def happened(self) -> dict[str, Mask]:
        """What happened to which pairs: [pairs] by name, every name being there."""
        each: dict[str, Mask] = {"prompt_fills_max_length": self.fills}
        for k, side in enumerate(SIDES):
            each[f"{side}_cut"] = self.lost[:, k] > 0
            each[f"{side}_end_missing"] = self.end_missing[:, k]
            each[f"{side}_end_doubled"] = self.end_doubled[:, k]
        each["bos_missing"], each["bos_doubled"] = self.bos_missing, self.bos_doubled
        each["boundary_merged"] = self.merged
        for kind in LOSSES:
            mask = np.zeros(len(self), dtype=bool)
            mask[[place for place, fault in self.faults.items() if fault.kind == kind]] = True
            each[kind.replace(" ", "_")] = mask
        return each

    @property
    def trained(self) -> Mask:
        """Which pairs are trained on: something of the responses is left, and the template takes them."""
        usable = ~self.fills
        usable[[place for place, fault in self.faults.items() if fault.stops]] = False
        return usable

    def tokens(self) -> NDArray[np.int64]:
        """Tokens of prompt, chosen and rejected side, as they are left: [pairs, 3]."""
        if not len(self):
            return np.zeros((0, 3), dtype=np.int64)
        import pyarrow.compute as pc

        columns = [pc.list_value_length(self.ids[name]).to_numpy(zero_copy_only=False) for name in IDS.names]
        return np.stack(columns, axis=1).astype(np.int64)

    def row(self, place: int) -> PairRow:
        ids = {name: self.ids[name][place].as_py() for name in IDS.names}
        names = tuple(name for name, mask in self.happened().items() if mask[place])
        chosen, rejected = self.lost[place].tolist()
        return PairRow(**ids, happened=names, lost=(chosen, rejected), fault=self.faults.get(place))

    def rows(self, side: str) -> list[Row]:
        """Each pair's prompt and one side, and where the side starts, as a Reader takes them."""
        return list(self._rows(side))

    def _rows(self, side: str) -> Iterator[Row]:
        for batch in self.ids.select(["prompt_ids", f"{side}_ids"]).to_batches():
            for prompt, sides in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield prompt + sides, len(prompt)


def _batch(rows: list[tuple[list[int], list[int], list[int]]]) -> pa.RecordBatch:
    columns = [pa.array([row[k] for row in rows], IDS.field(k).type) for k in range(3)]
    return pa.RecordBatch.from_arrays(columns, schema=IDS)
