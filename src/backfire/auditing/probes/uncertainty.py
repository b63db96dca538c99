"""Intervals of cross-fitted numbers, and their controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backfire.answers.estimates import Share
from backfire.auditing.audited_pairs import Ints
from backfire.statistics import Rate
from backfire.statistics.clusters import clustered_variance, group_sums
from backfire.statistics.intervals import mean_interval

Values = NDArray[np.float64]

INTERVAL = (
    "95%, of what the same cross-fitting gives on average over data sets of this size from the same source: first-order"
    " influence of every pair as a held-out and as a training pair, summed within prompt groups (infinitesimal"
    " jackknife), with the second-order part that the label swaps show. Controls: the same probe refitted after swapping"
    " the sides of random prompt groups; p = (1 + swaps at least as high) / (1 + swaps)."
)


@dataclass(frozen=True)
class Swapped:
    """The same number on random labels."""

    values: Values
    """[swaps]."""
    variances: Values
    """[swaps]: of each, the clustered variance with the fitted probe taken as given."""
    noise: float
    """Variance of the scores that swapped labels give over that of the true ones': the share that fitting adds, 0 to 1."""
    pairs: int
    """Pairs that they were refitted on."""

    @property
    def variance(self) -> float:
        """Over swaps: all there is when the label says nothing."""
        return float(self.values.var(ddof=1)) if len(self.values) > 1 else 0.0


def variance_of(testing: Values, training: Values, groups: Ints, swapped: Swapped) -> float:
    """Variance of a cross-fitted number.

    testing, training [pairs]: each pair's influence through its own held-out score, and through the probes fitted on
    it. Without any signal the number is made of interactions of two pairs' noise, and its variance is that of the
    swaps; with some, that much times the share of the score that is such noise, and the held-out variance beyond
    what swaps have too.

    What is missing then is what the probes' fit moves beyond noise. The clustered sum of both influences, the
    infinitesimal jackknife, has it, but counts interactions twice (Efron and Stein 1981), and is by far the less
    certain of the two. So what it shows beyond, once the swaps' part is taken off, is added as far as it exceeds its
    own error (Breiman's garrote, 1995): the larger of the two would be too large where nothing is planted.
    """
    noise = swapped.noise * swapped.variance
    held_out = clustered_variance(testing, groups)
    known = max(noise, held_out + max(0.0, noise - swapped.noise * float(swapped.variances.mean())))
    further = clustered_variance(testing + training, groups) - noise - known
    each = group_sums(testing + training, groups) ** 2 - group_sums(testing, groups) ** 2
    by_chance = float(np.sum((each - each.mean()) ** 2)) + 8 * noise**2 / max(1, len(swapped.values) - 1)
    return known + max(0.0, further - by_chance / further) if further > 0 else known


def control_of(value: float, swapped: Swapped) -> dict[str, Any]:
    """The fields of `answers.estimates.ProbeEstimate` beside the interval; `value` on the pairs of the swaps."""
    swaps = len(swapped.values)
    at_least = int(np.count_nonzero(swapped.values >= value - 1e-12))
    return {
        "control": float(swapped.values.mean()),
        "control_high": float(np.quantile(swapped.values, 0.95)),
        "p": (1 + at_least) / (1 + swaps),
        "swaps": swaps,
        "control_pairs": swapped.pairs,
    }


def clustered_mean(values: Values, groups: Ints) -> tuple[float, float, float]:
    """(mean, low, high) of values [pairs], 95%, prompt groups independent."""
    mean = float(values.mean())
    return (mean, *mean_interval(mean, clustered_variance((values - mean) / len(values), groups)))


def share(hits: int, scored: int, unscored: int = 0) -> Share:
    """Of counts; rate and interval are left out where nothing was scored."""
    rate = Rate(int(hits), int(scored), int(unscored))
    interval: Mapping[str, Any] = {"rate": rate.rate, "low": rate.low, "high": rate.high}
    return Share(hits=rate.hits, scored=rate.scored, unscored=rate.unscored, **interval)
