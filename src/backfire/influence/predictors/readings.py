"""The one pass over the pairs that all predictors share, and the block that is read, which the probes alone decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backfire.errors import InputError
from backfire.influence.margins import Contrast, Encoded, Progress, encode
from backfire.influence.stored_parts import StoredParts
from backfire.models.forward_pass import Pool, Reader
from backfire.models.settings import MAX_LENGTH
from backfire.records import Completion, PairBody

if TYPE_CHECKING:
    from backfire.influence.probe_sets import ProbeSet
    from backfire.judges.judge import Judge
    from backfire.models import LocalModel

AT_ONCE = 128
"""Pairs or probes whose hidden states are held at a time."""


class StatesOf(NamedTuple):
    """States of one layer, averaged over some tokens of a response."""

    layer: int
    pool: Pool = "mean"


@dataclass(frozen=True, eq=False)
class SideStates:
    """Hidden states of both sides of some pairs or probes."""

    contrasts: Sequence[Contrast]
    states: Mapping[StatesOf, NDArray[np.float32]]
    """[pairs, 2, hidden], the mean over a side's responses; NaN where a pair is not usable."""
    tokens: NDArray[np.float64]
    """Of either side: [pairs, 2]."""

    def difference(self, of: StatesOf) -> NDArray[np.float32]:
        """Of the first side less the second: [pairs, hidden]."""
        of_sides = self.states[of]
        return of_sides[:, 0] - of_sides[:, 1]


Reduce = Callable[[SideStates], Mapping[str, NDArray[np.floating]]]
"""What is left of some pairs' states, by name: [pairs, ...]."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs as they were given and as token rows."""

    contrasts: Sequence[Contrast]
    encoded: Encoded

    @classmethod
    def of(cls, model: LocalModel, bodies: Sequence[PairBody], plain: bool, max_length: int | None) -> Pairs:
        contrasts = [Contrast(prompt, (chosen,), (rejected,)) for prompt, chosen, rejected in bodies]
        return cls(contrasts, encode(model, contrasts, plain=plain, max_length=max_length))


@dataclass(frozen=True, eq=False)
class Probed:
    """A probe set as token rows, and its shards: positions of probes."""

    probe_set: ProbeSet
    encoded: Encoded
    shards: Sequence[NDArray[np.int64]]
    undetermined: str | None
    """Why it gives no conclusion whatever the numbers, such as too few probes."""


class Block(NamedTuple):
    """The block that is read, from 1, and how much of single probes' squared difference is common to all there."""

    number: int
    agreement: float


@dataclass(eq=False)
class Readings:
    """What predictors are concluded from."""

    model: LocalModel
    pairs: Pairs
    rows: NDArray[np.int64]
    """Row numbers of the pairs, from 1."""
    groups: NDArray[np.int64]
    """Prompt groups of the pairs."""
    parts: Sequence[NDArray[np.int64]]
    """The pairs' shards, whole groups of prompts together."""
    others: Pairs | None
    """Pairs that get a value each, and of which no answer is."""
    probes: Mapping[str, Probed]
    """`refusal`, and `benign` and `placebo` where they are there."""
    judge: Judge
    own_answers: Mapping[str, tuple[Completion, ...]] | None = None
    """The policy's own answers to prompts of the pairs, by prompt id, where some were given."""
    parts_stored: StoredParts = field(default_factory=StoredParts)
    plain: bool = False
    max_length: int | None = MAX_LENGTH
    progress: Progress | None = None

    @property
    def last(self) -> int:
        """The last layer."""
        return self.model.layers - 1

    @cached_property
    def _refusal_at_every_block(self) -> NDArray[np.floating]:
        every = [StatesOf(layer) for layer in range(1, self.model.layers)]

        def reduce(sides: SideStates) -> Mapping[str, NDArray[np.floating]]:
            return {"blocks": np.stack([sides.difference(of) for of in every], axis=1)}

        return self.of_probes("refusal", every, reduce)["blocks"]

    @cached_property
    def block(self) -> Block:
        """Where single refusal probes agree most. Nothing of it depends on the data or on outcomes."""
        every = self._refusal_at_every_block
        agreements = [agreement(every[:, place]) for place in range(every.shape[1])]
        place = int(np.argmax(agreements))
        return Block(place + 1, max(0.0, min(1.0, agreements[place])))

    def at_block(self, name: str) -> NDArray[np.floating]:
        """Each probe's difference of its two sides at the block that is read: [probes, hidden]."""
        if name == "refusal":
            return self._refusal_at_every_block[:, self.block.number - 1]
        of = StatesOf(self.block.number)
        return self.of_probes(name, [of], lambda sides: {"block": sides.difference(of)})["block"]

    def of_probes(
        self, name: str, wanted: Sequence[StatesOf], reduce: Reduce
    ) -> dict[str, NDArray[np.floating]]:
        """What `reduce` leaves of each probe of a set; its first side is the one that is counted up."""
        if name not in self.probes:
            raise InputError(f"there are no {name} probes: give probe prompts")
        probed = self.probes[name]
        contrasts = [Contrast(p.prompt, p.toward, p.away) for p in probed.probe_set.probes]
        pairs = Pairs(contrasts, probed.encoded)
        return reduced(self.model, pairs, wanted, reduce, name, self.parts_stored)


def reduced(
    model: LocalModel,
    pairs: Pairs,
    wanted: Sequence[StatesOf],
    reduce: Reduce,
    what: str,
    stored: StoredParts,
    progress: Progress | None = None,
) -> dict[str, NDArray[np.floating]]:
    """Read the pairs AT_ONCE at a time and keep what `reduce` leaves of them. Parts that are stored are not read again."""
    parts: list[Mapping[str, NDArray[np.floating]]] = []
    for positions in _slices(pairs.encoded.count):
        some = pairs.encoded.subset(positions)
        contrasts = [pairs.contrasts[i] for i in positions]

        def compute(
            some: Encoded = some, contrasts: Sequence[Contrast] = contrasts
        ) -> Mapping[str, NDArray[np.floating]]:
            return reduce(read_sides(model, contrasts, some, wanted))

        parts.append(stored.arrays(("states", what, *wanted), model, some, compute))
        if progress is not None:
            progress(int(positions[-1]) + 1, pairs.encoded.count)
    return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}


def read_sides(
    model: LocalModel, contrasts: Sequence[Contrast], encoded: Encoded, wanted: Sequence[StatesOf]
) -> SideStates:
    """One forward pass over each response, which ends at the last layer that is wanted."""
    hidden = int(model.model.config.get_text_config().hidden_size)
    side = (encoded.weights < 0).astype(np.int64)
    read = Reader(model.model, model.name, model.filler).read(
        encoded.rows, scored=False, layers=[of.layer for of in wanted], pool=[of.pool for of in wanted]
    )
    weights = np.abs(encoded.weights)
    tokens = np.zeros((encoded.count, 2))
    np.add.at(tokens, (encoded.items, side), weights * read.tokens)
    states: dict[StatesOf, NDArray[np.float32]] = {}
    for place, of in enumerate(wanted):
        sums = np.zeros((encoded.count, 2, hidden), dtype=np.float32)
        weighted = read.states[:, place].astype(np.float32, copy=False) * weights[:, None].astype(np.float32)
        np.add.at(sums, (encoded.items, side), weighted)
        sums[~encoded.usable] = np.nan
        states[of] = sums
    return SideStates(contrasts, states, tokens)


def agreement(vectors: NDArray[np.floating]) -> float:
    """How much of single contrasts' squared length is common to all: 1 where all are alike, about 0 where none agree.

    vectors: [contrasts, hidden]. The squared length of the common part is estimated from products of different contrasts, so that noise
    adds nothing to it.
    """
    usable = vectors[np.isfinite(vectors).all(axis=1)].astype(np.float64)
    count = len(usable)
    if count < 2:
        return 0.0
    total = usable.sum(axis=0)
    own = float((usable * usable).sum())
    return (float(total @ total) - own) / (count - 1) / own if own > 0 else 0.0


def _slices(count: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, count, AT_ONCE):
        yield np.arange(start, min(start + AT_ONCE, count))
