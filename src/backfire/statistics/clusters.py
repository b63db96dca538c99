"""Means over clusters, such as worlds or prompts: the cluster is the unit, the interval is Student's."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan, sqrt
from typing import TYPE_CHECKING, Any

from backfire.statistics.intervals import student_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def mean_of_clusters(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of one value a cluster and its 95% interval, (mean, low, high); the bounds are NaN for fewer than two."""
    count = len(values)
    mean = sum(values) / count if count else nan
    if count < 2:
        return mean, nan, nan
    half = student_quantile(count - 1) * _error(values, mean)
    return mean, mean - half, mean + half


def upper_limit(values: Sequence[float]) -> float:
    """The upper one-sided 95% limit of the mean of clusters, by Student's t; NaN for fewer than two."""
    count = len(values)
    if count < 2:
        return nan
    mean = sum(values) / count
    return mean + student_quantile(count - 1, 0.95) * _error(values, mean)


def _error(values: Sequence[float], mean: float) -> float:
    count = len(values)
    return sqrt(sum((v - mean) ** 2 for v in values) / (count - 1) / count)


def clustered_variance(parts: NDArray[np.float64], groups: NDArray[Any]) -> float:
    """The variance of the sum of `parts` [cases], where the cases of one group depend on one another and groups do not.

    G/(G-1) times the sum over G groups of the squared deviations of their sums (Liang and Zeger 1986).
    """
    import numpy as np

    sums = group_sums(parts, groups)
    count = len(sums)
    return float(np.sum((sums - sums.mean()) ** 2)) * count / max(1, count - 1)


def group_sums(parts: NDArray[np.float64], groups: NDArray[Any]) -> NDArray[np.float64]:
    """The sum of `parts` within each group, in the groups' sorted order."""
    import numpy as np

    return np.bincount(np.unique(groups, return_inverse=True)[1], parts).astype(np.float64)


def clustered_mean(
    values: NDArray[np.float64], groups: Sequence[str] | NDArray[Any]
) -> tuple[float, float, float]:
    """The mean of the finite values and its 95% interval, (mean, low, high), values of one group being one cluster.

    Student's quantile has as many degrees of freedom as groups but one. With fewer than two groups the limits are NaN,
    and without values all three.
    """
    import numpy as np

    there = np.isfinite(values)
    x = values[there]
    if not len(x):
        return nan, nan, nan
    mean = float(x.mean())
    of_values = np.asarray(groups)[there]
    count = len(np.unique(of_values))
    if count < 2:
        return mean, nan, nan
    half = student_quantile(count - 1) * sqrt(clustered_variance(x - mean, of_values)) / len(x)
    return mean, mean - half, mean + half
