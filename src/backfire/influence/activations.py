"""Activation contrast: how far chosen responses lie from rejected ones along the policy's own direction of refusing.

a(y) is the mean hidden state over a response's tokens at one layer. v is the mean, over the refusal probes, of a(refusal) less
a(compliance), both of the policy's own making; d is the mean over pairs of a(chosen) less a(rejected). The contrast is <d, v> / |v|^2:
at 1 the chosen responses differ from the rejected ones as much as a refusal does from a compliance, at 0 not along that direction.
It takes forward passes only.

Neighbours: projections of training data on difference-of-means directions (persona vectors, arXiv 2507.21509), and the attribution of
a DPO run's loss of refusals to its pairs by activations (arXiv 2602.11079). Here the layer is fixed by the probes alone, norms do not
depend on the number of pairs, and a placebo and an interval stand beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backfire.answers.estimates import Estimate
from backfire.answers.influence import ActivationContrast, ProbeContrast
from backfire.influence.estimates import Shards, align, jackknife, squared_norm
from backfire.influence.margins import Encoded, Progress
from backfire.models.forward_pass import Reader

if TYPE_CHECKING:
    from backfire.models import LocalModel

AT_ONCE = 128
"""Pairs or probes whose hidden states of every layer are held at a time."""


@dataclass(frozen=True, eq=False)
class Probed:
    """A probe set as token rows, and its shards: positions of probes."""

    encoded: Encoded
    shards: Sequence[NDArray[np.int64]]
    undetermined: str | None
    """Why it gives no conclusion whatever the numbers, such as too few probes."""


@dataclass(frozen=True, eq=False)
class ActivationsRead:
    """The answer, and the contrast of each pair by itself."""

    answer: ActivationContrast
    values: NDArray[np.float64]
    """Of the pairs that the answer is of: [pairs]; NaN where nothing fits the context."""
    others: NDArray[np.float64]
    """Of the other pairs that were asked for."""


def read_activations(
    model: LocalModel,
    pairs: Encoded,
    parts: Sequence[NDArray[np.int64]],
    probes: Mapping[str, Probed],
    others: Encoded | None = None,
    *,
    progress: Progress | None = None,
) -> ActivationsRead:
    """The contrast of pairs, by the probe sets `refusal`, and `benign` and `placebo` where they are there.

    parts: the pairs' shards, whole groups of prompts together. others: pairs that get a value each, and of which the answer is not.
    """
    refusal = probes["refusal"]
    layers = model.layers
    every = {"refusal": differences(model, refusal.encoded, range(1, layers))}
    agreements = [agreement(every["refusal"][:, place]) for place in range(layers - 1)]
    place = int(np.argmax(agreements))
    layer = place + 1
    at_layer = {"refusal": every.pop("refusal")[:, place]}
    for name, probed in probes.items():
        if name != "refusal":
            at_layer[name] = differences(model, probed.encoded, [layer])[:, 0]
    of_pairs = differences(model, pairs, [layer], progress)[:, 0]

    sums: list[NDArray[np.float64]] = []
    counts: list[int] = []
    places: dict[str, Shards] = {}
    for name, vectors, shards in (
        ("pairs", of_pairs, parts),
        *((name, at_layer[name], probed.shards) for name, probed in probes.items()),
    ):
        places[name] = np.arange(len(sums), len(sums) + len(shards))
        for part in shards:
            usable = vectors[part][np.isfinite(vectors[part]).all(axis=1)].astype(np.float64)
            sums.append(usable.sum(axis=0))
            counts.append(len(usable))
    stacked, counted = np.array(sums), np.array(counts, dtype=np.int64)
    gram = stacked @ stacked.T
    answers = {
        name: _probe_contrast(
            gram, counted, places["pairs"], places[name], places["refusal"], probed.undetermined
        )
        for name, probed in probes.items()
    }
    axis = np.nanmean(at_layer["refusal"].astype(np.float64), axis=0)
    axis /= max(float(axis @ axis), np.finfo(np.float64).tiny)
    beside = np.zeros(0) if others is None else differences(model, others, [layer])[:, 0] @ axis
    answer = ActivationContrast(
        layer=layer,
        layers=layers - 1,
        agreement=max(0.0, min(1.0, agreements[place])),
        refusal=answers["refusal"],
        benign=answers.get("benign"),
        placebo=answers.get("placebo"),
    )
    return ActivationsRead(answer, of_pairs @ axis, beside)


def agreement(vectors: NDArray[np.floating]) -> float:
    """How much of single contrasts' squared length is common to all: 1 where all are alike, about 0 where none agree.

    vectors: [contrasts, hidden]. The squared length of the common part is estimated from products of different contrasts, so that noise
    adds nothing to it. The layer where this is greatest is the one that is read: nothing of it depends on the data or on outcomes.
    """
    usable = vectors[np.isfinite(vectors).all(axis=1)].astype(np.float64)
    count = len(usable)
    if count < 2:
        return 0.0
    total = usable.sum(axis=0)
    own = float((usable * usable).sum())
    return (float(total @ total) - own) / (count - 1) / own if own > 0 else 0.0


def differences(
    model: LocalModel, encoded: Encoded, layers: Sequence[int], progress: Progress | None = None
) -> NDArray[np.float32]:
    """Mean hidden state of each contrast's `plus` less that of its `minus`: [contrasts, layers, hidden]; NaN where it is not usable."""
    hidden = int(model.model.config.get_text_config().hidden_size)
    vectors = np.full((encoded.count, len(layers), hidden), np.nan, dtype=np.float32)
    reader = Reader(model.model, model.name, model.filler)
    for positions in _slices(encoded.count):
        some = encoded.subset(positions)
        states = reader.read(some.rows, scored=False, layers=layers).states.astype(np.float32, copy=False)
        sums = np.zeros((len(positions), len(layers), hidden), dtype=np.float32)
        np.add.at(sums, some.items, states * some.weights[:, None, None].astype(np.float32))
        vectors[positions[some.usable]] = sums[some.usable]
        if progress is not None:
            progress(int(positions[-1]) + 1, encoded.count)
    return vectors


def _slices(count: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, count, AT_ONCE):
        yield np.arange(start, min(start + AT_ONCE, count))


def _probe_contrast(
    gram: NDArray[np.float64],
    counts: NDArray[np.int64],
    pairs: Shards,
    probes: Shards,
    refusal: Shards,
    undetermined: str | None,
) -> ProbeContrast:
    """Cosine and contrast with one probe set; a placebo's or another's are in the units of the refusal probes' length."""
    yardstick = None if probes is refusal else refusal
    alignment = align(gram, counts, pairs, probes, yardstick=yardstick)
    reason = undetermined or alignment.reason
    if reason is not None or alignment.cosine is None:
        return ProbeContrast(undetermined=reason or "no cosine")
    pairs, probes = pairs[counts[pairs] > 0], probes[counts[probes] > 0]

    def contrast(d: Shards, v: Shards) -> float:
        measured = v if yardstick is None else yardstick
        return float(gram[np.ix_(d, v)].sum() / (counts[d].sum() * counts[v].sum())) / squared_norm(
            gram, counts, measured
        )

    numbers = jackknife(contrast, pairs, probes)
    if not np.isfinite(numbers).all():
        return ProbeContrast(undetermined="a shard alone carries the norm: more pairs or probes are needed")
    return ProbeContrast(
        cosine=Estimate(**alignment.cosine._asdict()), contrast=Estimate(**numbers._asdict())
    )
