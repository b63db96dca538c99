"""From inner products of shards' gradients to a cosine that does not depend on how many pairs there are.

The squared norm of a mean gradient from n pairs is too large by (noise variance / n), so that a plain cosine shrinks with
few pairs. Products of *different* shards have no such bias: the squared norm is estimated from these alone, as a
U-statistic over disjoint shards. Intervals delete a shard of the data, or of the probes, at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backfire.statistics import student_quantile

Values = NDArray[np.float64]
Shards = NDArray[np.int64]


class Estimated(NamedTuple):
    """A value with its 95% interval."""

    value: float
    low: float
    high: float


class Alignment(NamedTuple):
    """How the data's mean gradient d lies to the probes' mean gradient v."""

    cosine: Estimated | None
    """None where a norm is not clearly positive."""
    point: float
    """Its value all the same; NaN where a norm's estimate is not even positive."""
    product: Estimated
    """<d, v>: the change of the probe margin, in nats, per unit step along d."""
    data_norm: Estimated
    """Squared norm of d, debiased: it may be negative."""
    probe_norm: Estimated
    reason: str | None


def align(
    gram: Values, counts: NDArray[np.int64], data: Shards, probes: Shards, *, yardstick: Shards | None = None
) -> Alignment:
    """Estimate <d, v> / (|d| |v|) from summed gradients of shards.

    gram: [shards, shards] inner products of the shards' summed gradients. counts: contrasts of each shard. data, probes:
    which shards are whose. yardstick: probes whose |v| is divided by instead, taken as known: a placebo has no direction of
    its own, and is to be seen in the units of what it stands beside. The interval is the delete-a-shard jackknife of
    both (independent) samples, on the scale of
    the value; Student's quantile with the smaller number of shards less one degrees of freedom.
    """
    data, probes = data[counts[data] > 0], probes[counts[probes] > 0]
    if len(data) < 3 or len(probes) < 3:
        nothing = Estimated(float("nan"), float("nan"), float("nan"))
        return Alignment(
            None, float("nan"), nothing, nothing, nothing, "fewer than 3 shards of pairs or of probes"
        )

    def product(d: Shards, v: Shards) -> float:
        return float(gram[np.ix_(d, v)].sum() / (counts[d].sum() * counts[v].sum()))

    def cosine(d: Shards, v: Shards) -> float:
        measured = v if yardstick is None else yardstick
        length = squared_norm(gram, counts, d) * squared_norm(gram, counts, measured)
        return product(d, v) / length**0.5 if length > 0 else float("nan")

    data_norm = jackknife(lambda d, _: squared_norm(gram, counts, d), data, probes)
    measured = probes if yardstick is None else yardstick
    probe_norm = jackknife(lambda _, v: squared_norm(gram, counts, v), data, measured)
    reason = None
    for norm, what in ((data_norm, "the data's mean gradient"), (probe_norm, "the probes' mean gradient")):
        if not norm.low > 0 and reason is None:
            reason = f"the norm of {what} is not clearly above its noise: more pairs or probes are needed"
    estimates = jackknife(cosine, data, probes)
    sound = reason is None and all(np.isfinite(estimates))
    return Alignment(
        estimates if sound else None,
        estimates.value,
        jackknife(product, data, probes),
        data_norm,
        probe_norm,
        reason
        if sound or reason is not None
        else "a shard alone carries the norm: more pairs or probes are needed",
    )


def squared_norm(gram: Values, counts: NDArray[np.int64], shards: Shards) -> float:
    """The squared norm of the mean gradient, from products of different shards alone; its expectation has no noise."""
    own = gram[shards, shards].sum()
    sizes = counts[shards].astype(np.float64)
    return float((gram[np.ix_(shards, shards)].sum() - own) / (sizes.sum() ** 2 - (sizes**2).sum()))


def plain_cosine(gram: Values, counts: NDArray[np.int64], data: Shards, probes: Shards) -> float:
    """The cosine of the two summed gradients, biased towards 0 by their noise; for comparison."""
    lengths = gram[np.ix_(data, data)].sum() * gram[np.ix_(probes, probes)].sum()
    return float(gram[np.ix_(data, probes)].sum() / lengths**0.5) if lengths > 0 else float("nan")


def jackknife(statistic: Callable[[Shards, Shards], float], data: Shards, probes: Shards) -> Estimated:
    """The statistic of all shards and its delete-a-shard interval, the two samples being independent."""
    value = statistic(data, probes)
    variance = 0.0
    for side, shards in enumerate((data, probes)):
        left = [
            statistic(np.delete(data, k), probes) if side == 0 else statistic(data, np.delete(probes, k))
            for k in range(len(shards))
        ]
        spread = np.array(left) - np.mean(left)
        variance += float((len(shards) - 1) / len(shards) * (spread @ spread))
    free = min(len(data), len(probes)) - 1
    half = student_quantile(free) * variance**0.5
    return Estimated(value, value - half, value + half)
