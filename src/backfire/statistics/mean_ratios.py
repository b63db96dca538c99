"""The ratio of two means over the same items, such as the scores of two models on general tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from backfire.statistics.intervals import student_quantile
from backfire.statistics.paired_outcomes import ROUNDING, bootstrap_interval


@dataclass(frozen=True)
class PairedItems:
    """What two models got on the same items of one task, item by item, each between 0 and 1."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    weight: float
    """The task's weight in the mean over tasks."""


@dataclass(frozen=True)
class MeanRatio:
    """The second model's mean over the first's, with an interval; `difference` is the second's less the first's."""

    first: float
    second: float
    ratio: float | None
    """None where the first's mean is 0, as the interval then is."""
    low: float | None
    high: float | None
    """None too where the first's mean cannot be told from 0, or a task has one item."""
    difference: float
    difference_low: float | None
    difference_high: float | None
    n: int
    """Items of all tasks."""
    differing: int
    """Items on which the two differ."""


def compare_means(tasks: Sequence[PairedItems], *, seed: int = 0, confidence: float = 0.95) -> MeanRatio:
    """Compare weighted means over tasks, paired by item.

    The difference's interval adds up those of the tasks (`bootstrap_interval`, each item a cluster) by MOVER (Zou and Donner 2008).
    The ratio's is Fieller's (1954) of paired means, Student's quantile having as many degrees of freedom as the smallest task
    has items but one. It is never narrower than the difference's, which knows that a few items say little where all agree.
    Raises ValueError where the models were not asked the same items, or none.
    """
    if not tasks or any(len(one.first) != len(one.second) or not len(one.first) for one in tasks):
        raise ValueError("paired means need the same items on both sides, and at least one")
    first, second = (sum(one.weight * float(side(one).mean()) for one in tasks) for side in (_first, _second))
    difference = second - first
    low, high = _difference_interval(tasks, difference, seed, confidence)
    ratio = second / first if first > ROUNDING else None
    ratio_low, ratio_high = _fieller(tasks, first, second, confidence) if ratio is not None else (None, None)
    if ratio_low is None or ratio_high is None or low is None or high is None:
        ratio_low = ratio_high = None
    else:
        ratio_low, ratio_high = max(0.0, min(ratio_low, 1 + low / first)), max(ratio_high, 1 + high / first)
    return MeanRatio(
        first=first,
        second=second,
        ratio=ratio,
        low=ratio_low,
        high=ratio_high,
        difference=difference,
        difference_low=low,
        difference_high=high,
        n=sum(len(one.first) for one in tasks),
        differing=sum(int((np.abs(one.second - one.first) > ROUNDING).sum()) for one in tasks),
    )


def _first(one: PairedItems) -> NDArray[np.float64]:
    return one.first


def _second(one: PairedItems) -> NDArray[np.float64]:
    return one.second


def _difference_interval(
    tasks: Sequence[PairedItems], difference: float, seed: int, confidence: float
) -> tuple[float | None, float | None]:
    """The interval of the weighted sum of the tasks' differences: MOVER, each task's own interval put together."""
    below = above = 0.0
    for one in tasks:
        sums = (one.second - one.first).tolist()
        low, high = bootstrap_interval(sums, [1] * len(sums), seed=seed, confidence=confidence)
        if low is None or high is None:
            return None, None
        centre = float((one.second - one.first).mean())
        below += (one.weight * (centre - low)) ** 2
        above += (one.weight * (high - centre)) ** 2
    return difference - sqrt(below), difference + sqrt(above)


def _fieller(
    tasks: Sequence[PairedItems], first: float, second: float, confidence: float
) -> tuple[float | None, float | None]:
    """The ratios t at which second - t * first lies within its own quantile of 0; None where there is no bounded interval."""
    smallest = min(len(one.first) for one in tasks)
    if smallest < 2:
        return None, None
    squared = student_quantile(smallest - 1, (1 + confidence) / 2) ** 2
    v11 = v12 = v22 = 0.0
    for one in tasks:
        spread = np.cov(one.first, one.second) * one.weight**2 / len(one.first)
        v11, v12, v22 = v11 + float(spread[0, 0]), v12 + float(spread[0, 1]), v22 + float(spread[1, 1])
    a, b, c = first**2 - squared * v11, first * second - squared * v12, second**2 - squared * v22
    if a <= 0:
        return None, None
    root = sqrt(max(0.0, b * b - a * c))
    return (b - root) / a, (b + root) / a
