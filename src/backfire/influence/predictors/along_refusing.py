"""How far vectors of pairs lie along the policy's own direction of refusing, beside the placebo, with an interval.

a(y) is the mean hidden state over a response's tokens at one block. v is the mean, over the refusal probes, of a(refusal) less
a(compliance), both of the policy's own making; d is the mean over pairs of some difference of two responses. The number is
<d, v> / |v|^2: at 1 the two responses differ as much as a refusal does from a compliance, at 0 not along that direction.

The block is fixed by the probes alone (`readings.Readings.block`); norms do not depend on the number of pairs; the interval is a
jackknife over parts of the pairs and of the probes; a placebo of two samples of one decision stands beside.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from backfire.answers.estimates import Estimate
from backfire.answers.influence import Predicted
from backfire.answers.numerals import band
from backfire.answers.phrases import estimate_text
from backfire.influence.estimates import Estimated, Shards, align, jackknife, squared_norm
from backfire.influence.predictors.predictor import Measured
from backfire.influence.predictors.readings import Readings

SETS = {
    "refusal": "refusing harmful requests",
    "benign": "helping with benign requests",
    "placebo": "placebo (two samples of one decision)",
}


def along_refusing(
    readings: Readings, of_pairs: NDArray[np.floating], of_others: NDArray[np.floating]
) -> Measured:
    """The number of each probe set and of each pair. of_pairs: [pairs, hidden]; NaN where a pair has none."""
    at_block = {name: readings.at_block(name) for name in readings.probes}
    sums: list[NDArray[np.float64]] = []
    counts: list[int] = []
    places: dict[str, Shards] = {}
    for name, vectors, shards in (
        ("pairs", of_pairs, readings.parts),
        *((name, at_block[name], probed.shards) for name, probed in readings.probes.items()),
    ):
        places[name] = np.arange(len(sums), len(sums) + len(shards))
        for part in shards:
            usable = vectors[part][np.isfinite(vectors[part]).all(axis=1)].astype(np.float64)
            sums.append(usable.sum(axis=0))
            counts.append(len(usable))
    stacked, counted = np.array(sums), np.array(counts, dtype=np.int64)
    gram = stacked @ stacked.T
    numbers: dict[str, Estimate] = {}
    contrasts: dict[str, Estimate] = {}
    reasons: dict[str, str] = {}
    for name, probed in readings.probes.items():
        if probed.undetermined is not None:
            reasons[name] = probed.undetermined
            continue
        of_set = _contrast(gram, counted, places["pairs"], places[name], places["refusal"], name)
        if isinstance(of_set, str):
            reasons[name] = of_set
        else:
            numbers[f"{name}_cosine"], contrasts[name] = map(_estimate, of_set)
    axis = np.nanmean(at_block["refusal"].astype(np.float64), axis=0)
    axis /= max(float(axis @ axis), np.finfo(np.float64).tiny)
    answer = Predicted(
        pairs=int(np.isfinite(of_pairs).all(axis=1).sum()),
        value=contrasts.get("refusal"),
        benign=contrasts.get("benign"),
        placebo=contrasts.get("placebo"),
        undetermined=reasons.get("refusal"),
        reasons={name: why for name, why in reasons.items() if name != "refusal"},
        layer=readings.block.number,
        layers=readings.last,
        agreement=readings.block.agreement,
        numbers=numbers,
    )
    return Measured(answer, of_pairs @ axis, of_others @ axis)


def _contrast(
    gram: NDArray[np.float64],
    counts: NDArray[np.int64],
    pairs: Shards,
    probes: Shards,
    refusal: Shards,
    name: str,
) -> tuple[Estimated, Estimated] | str:
    """Cosine and number with one probe set, or why there is none; others are in the units of the refusal probes' length."""
    yardstick = None if name == "refusal" else refusal
    alignment = align(gram, counts, pairs, probes, yardstick=yardstick)
    if alignment.reason is not None or alignment.cosine is None:
        return alignment.reason or "no cosine"
    pairs, probes = pairs[counts[pairs] > 0], probes[counts[probes] > 0]

    def contrast(d: Shards, v: Shards) -> float:
        measured = v if yardstick is None else yardstick
        product = float(gram[np.ix_(d, v)].sum() / (counts[d].sum() * counts[v].sum()))
        return product / squared_norm(gram, counts, measured)

    numbers = jackknife(contrast, pairs, probes)
    if not np.isfinite(numbers).all():
        return "a shard alone carries the norm: more pairs or probes are needed"
    return alignment.cosine, numbers


def line_of(predicted: Predicted, what: str) -> str:
    """Every probe set that was read, in one line. what: the two responses, such as `chosen less rejected`."""
    sets = {"refusal": predicted.value, "benign": predicted.benign, "placebo": predicted.placebo}
    reasons: Mapping[str, str | None] = {"refusal": predicted.undetermined, **(predicted.reasons or {})}
    shown = [
        f"{SETS[name]} "
        + (
            f"undetermined: {reasons[name]}"
            if estimate is None
            else band(estimate.value, estimate.low, estimate.high, 2)
        )
        for name, estimate in sets.items()
        if estimate is not None or reasons.get(name)
    ]
    return (
        f"by hidden states of block {predicted.layer} of {predicted.layers}, {what}, in distances between a compliance and a refusal"
        f" of the policy: {'; '.join(shown)}"
    )


def sentence_of(predicted: Predicted, sides: str, other: str) -> list[str]:
    """Where the chosen side lies, beside the placebo.

    sides: the two that are compared, such as `Chosen and rejected responses`; other: what chosen is seen from.
    """
    where = f"in the policy's hidden states (block {predicted.layer} of {predicted.layers})"
    value = predicted.value
    if value is None:
        return [
            f"Whether chosen responses resemble the policy's refusals more than {other} do, {where}, is undetermined:"
            f" {predicted.undetermined}."
        ]
    side = "its refusals" if value.low > 0 else "its compliances" if value.high < 0 else None
    distance = "of the distance between a compliance and a refusal of its own"
    if side is None:
        text = f"{sides} do not differ clearly along refusing {where}: {estimate_text(value)} {distance}"
    else:
        text = f"Chosen responses lie towards {side} {where}, seen from {other}: {estimate_text(value)} {distance}"
    placebo = predicted.placebo
    if placebo is not None:
        meets = value.low <= placebo.high and value.high >= placebo.low
        text += f" (placebo {estimate_text(placebo)}"
        text += ": the intervals meet, so that need not be about refusing)" if side and meets else ")"
    return [f"{text}."]


def _estimate(numbers: Estimated) -> Estimate:
    return Estimate(**numbers._asdict())
