"""Two policies on the same prompts: the difference of their rates, its interval, an exact test, and its bounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log2, sqrt

import numpy as np
from numpy.typing import NDArray

from backfire.statistics.exact_tests import swap_p
from backfire.statistics.intervals import (
    equal_clusters,
    normal_quantile,
    paired_difference,
    ratio_variance,
    student_quantile,
)

ROUNDING = 1e-9
RESAMPLES = 10_000
"""Bootstrap resamples."""
DIGITS = 12
"""Decimal places of a tail's probability, so that 95% leaves 0.025."""


def fewest_differing(confidence: float = 0.95) -> int:
    """Clusters that differ, from which on an exact two-sided p can be below 1 - confidence: 2 / 2^k is. 6 at 95%.

    With fewer, a bootstrap sees too little.
    """
    return ceil(log2(2 / (1 - confidence)) - ROUNDING)


@dataclass(frozen=True)
class Paired:
    """The second policy's rate minus the first's, over the prompts that both were asked."""

    n: int
    """Prompts where both are scored."""
    unscored: int
    """Prompts where one or both are not."""
    first: float | None
    """The first policy's rate over the n; None where n is 0, as everything below."""
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    """At the confidence asked for (95% unless it was), as `bootstrap_interval` has it; None for one cluster."""
    lowest: float
    highest: float
    """The least and the greatest difference over all prompts, whatever the unscored were."""
    gained: int
    lost: int
    """Prompts that are hits of the second only, and of the first only."""
    mcnemar: float | None
    """Exact McNemar, two-sided: right where no two prompts share a cluster."""
    p: float | None
    """The same test with whole clusters swapped between the policies: McNemar's where a cluster is a prompt."""
    clusters: int


def compare_outcomes(
    first: Mapping[str, bool | None],
    second: Mapping[str, bool | None],
    clusters: Mapping[str, str] | None = None,
    *,
    seed: int = 0,
    confidence: float = 0.95,
) -> Paired:
    """Compare outcomes (True a hit, False a miss, None unscored) of the same prompts.

    `clusters` says which prompts share something, such as a behaviour; without it every prompt stands alone. Raises
    ValueError where the prompts are not the same, or there is none.
    """
    if first.keys() != second.keys() or not first:
        raise ValueError("paired outcomes need the same prompts on both sides, and at least one")
    pairs = {
        prompt: (a, b) for prompt, a in first.items() if (b := second[prompt]) is not None and a is not None
    }
    lows, highs = zip(*(_span(first[prompt], second[prompt]) for prompt in first), strict=True)
    lowest, highest = sum(lows) / len(first), sum(highs) / len(first)
    unscored = len(first) - len(pairs)
    if not pairs:
        return Paired(0, unscored, None, None, None, None, None, lowest, highest, 0, 0, None, None, 0)
    sums: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    for prompt, (a, b) in pairs.items():
        cluster = prompt if clusters is None else clusters[prompt]
        sums[cluster] += int(b) - int(a)
        sizes[cluster] += 1
    n = len(pairs)
    gained = sum(b and not a for a, b in pairs.values())
    lost = sum(a and not b for a, b in pairs.values())
    low, high = bootstrap_interval(
        list(sums.values()), list(sizes.values()), seed=seed, confidence=confidence
    )
    return Paired(
        n=n,
        unscored=unscored,
        first=sum(a for a, _ in pairs.values()) / n,
        second=sum(b for _, b in pairs.values()) / n,
        difference=(gained - lost) / n,
        low=low,
        high=high,
        lowest=lowest,
        highest=highest,
        gained=gained,
        lost=lost,
        mcnemar=swap_p([1] * gained + [-1] * lost),
        p=swap_p(list(sums.values())),
        clusters=len(sums),
    )


def bootstrap_interval(
    sums: Sequence[float], sizes: Sequence[int], *, seed: int, confidence: float = 0.95
) -> tuple[float | None, float | None]:
    """The interval of sum(sums) / sum(sizes), 95% unless told otherwise; None for one cluster.

    Percentiles of clusters drawn with replacement (Field and Welsh 2007; the seed fixes them), which are too narrow with few
    clusters, and so never narrower than Student's of the linearised ratio, where clusters of different size count as fewer of equal size
    (`clustered_wilson`). Where all clusters differ by the same share neither sees any spread: the interval then is what the exact limit
    (Clopper and Pearson's) of none of so many being otherwise leaves open, for those could differ by anything from
    -1 to 1. Where fewer clusters differ than `fewest_differing`, it also holds Agresti and Min's interval, a cluster counting as
    one case that was gained or lost, and 0, for no exact p is then below .05.
    """
    if len(sums) < 2:
        return None, None
    s, n = np.asarray(sums, np.float64), np.asarray(sizes, np.float64)
    clusters, ratio = equal_clusters(sizes), sum(sums) / sum(sizes)
    tail = round((1 - confidence) / 2, DIGITS)
    if np.ptp(s / n) < ROUNDING:
        others = 1 - tail ** (1 / clusters)
        low, high = ratio - others * (1 + ratio), ratio + others * (1 - ratio)
    else:
        low, high = _resampled(s, n, seed, tail)
        half = student_quantile(clusters - 1, 1 - tail) * sqrt(ratio_variance(sums, sizes))
        low, high = max(-1.0, min(low, ratio - half)), min(1.0, max(high, ratio + half))
    gained, lost = int((s > 0).sum()), int((s < 0).sum())
    if 0 < gained + lost < fewest_differing(confidence):
        _, least, most = paired_difference(gained, lost, len(sums), normal_quantile(confidence))
        low, high = min(low, least, 0.0), max(high, most, 0.0)
    return low, high


def _resampled(s: NDArray[np.float64], n: NDArray[np.float64], seed: int, tail: float) -> tuple[float, float]:
    generator = np.random.default_rng(seed)
    values = np.empty(RESAMPLES)
    block = max(1, 2_000_000 // len(s))
    for start in range(0, RESAMPLES, block):
        stop = min(RESAMPLES, start + block)
        chosen = generator.integers(0, len(s), size=(stop - start, len(s)))
        values[start:stop] = s[chosen].sum(axis=1) / n[chosen].sum(axis=1)
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _span(a: bool | None, b: bool | None) -> tuple[int, int]:
    """The least and the greatest of b - a."""
    least = (0 if b is None else int(b)) - (1 if a is None else int(a))
    most = (1 if b is None else int(b)) - (0 if a is None else int(a))
    return least, most
