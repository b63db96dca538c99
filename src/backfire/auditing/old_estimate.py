"""Held-out AUROC and accuracy, with intervals that know which pairs share a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backfire.records.rates import Z95

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Control:
    """What the same probe reaches when it is refitted after swapping sides at random within pairs."""

    mean: float
    high: float
    """The 95th percentile over the swaps."""
    p: float
    """(1 + swaps at least as high as the true labels) / (1 + swaps); never below 1 / (1 + swaps)."""
    swaps: int


@dataclass(frozen=True)
class Estimate:
    """A held-out value with its 95% interval and its shuffled control."""

    value: float
    low: float
    high: float
    control: Control

    def as_dict(self, name: str) -> dict[str, Any]:
        """JSON-ready, the value under `name` (`auroc` or `accuracy`)."""
        return {
            name: self.value,
            "low": self.low,
            "high": self.high,
            "control": self.control.mean,
            "control_high": self.control.high,
            "p": self.control.p,
        }


def auroc_by_fold(chosen: Values, rejected: Values, folds: NDArray[np.int64]) -> tuple[float, Values]:
    """AUROC within each fold, averaged by the fold's pairs, and each pair's influence on it.

    chosen, rejected: out-of-fold scores [pairs]; ties count half. The influence values [pairs] sum to 0; the
    variance of their sums over prompt groups is the variance of the average (DeLong, DeLong and Clarke-Pearson
    1988, clustered as in Obuchowski 1997).
    """
    pairs = len(chosen)
    influence = np.zeros(pairs)
    total = 0.0
    for fold in np.unique(folds):
        inside = folds == fold
        high, low = chosen[inside], rejected[inside]
        above = _share_below(high, low)
        below = 1 - _share_below(low, high)
        area = float(above.mean())
        total += area * len(high)
        influence[inside] = (above - area) + (below - area)
    return total / pairs, influence / pairs


def _share_below(values: Values, others: Values) -> Values:
    """For each value the share of the others below it, ties counted half."""
    ordered = np.sort(others)
    left, right = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    share: Values = (left + right) / (2 * len(others))
    return share


def right_of_pairs(difference: Values) -> Values:
    """1 where the chosen side scores higher, 0 where lower, a half on a tie: [pairs]."""
    right: Values = (np.sign(difference) + 1) / 2
    return right


def clustered_interval(value: float, influence: Values, groups: NDArray[np.int64]) -> tuple[float, float]:
    """95% interval of a cross-fitted share, from each pair's influence [pairs] summed within its prompt group [pairs].

    The variance of held-out scores takes the fitted probes as given. Near chance that is half the truth: swapping a
    test pair with a training pair moves the estimate twice. So it is multiplied by 1 + 1 / (1 + (z/8)²), where z is
    the distance from chance in such standard errors; the 8 is fitted to simulations, in which intervals covered
    in 90 to 98% (`test_auditing_coverage.py`). The interval is Wilson's (1927) at the effective sample size
    value (1 - value) / variance: inside 0..1, and not of width 0 at 0 or 1, where the number of groups stands in.
    """
    sums = np.bincount(groups, influence)
    count = len(sums)
    variance = float(np.sum(sums**2)) * count / max(1, count - 1)
    spread = value * (1 - value)
    if variance > 0 and spread > 0:
        effective = spread / (variance * (1 + 1 / (1 + (value - 0.5) ** 2 / variance / 64)))
    else:
        effective = float(count)
    if spread * count < 1:
        effective = min(effective, float(count))
    centre = value + Z95**2 / (2 * effective)
    half = Z95 * sqrt(spread / effective + Z95**2 / (4 * effective**2))
    scale = 1 + Z95**2 / effective
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def compared(value: float, interval: tuple[float, float], swapped: Values) -> Estimate:
    """The estimate beside the values [swaps] that random side swaps gave."""
    swaps = len(swapped)
    at_least = int(np.count_nonzero(swapped >= value - 1e-12))
    control = Control(
        float(swapped.mean()), float(np.quantile(swapped, 0.95)), (1 + at_least) / (1 + swaps), swaps
    )
    return Estimate(value, *interval, control)
