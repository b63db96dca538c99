"""Inference from a handful of clusters, such as worlds: exact sign flips, Holm's correction, Student's interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import isfinite, sqrt

MOST = 20
"""Clusters whose sign flips are enumerated: a million."""


def sign_flip(values: Sequence[float]) -> float:
    """Two-sided p of a mean of 0, over all 2^n flips of the signs; exact where the values are symmetric about 0.

    The smallest p of n clusters is 2 / 2^n. Raises ValueError for more than MOST values, or none.
    """
    if not 1 <= len(values) <= MOST or not all(map(isfinite, values)):
        raise ValueError(f"{len(values)} values: 1 to {MOST} finite ones can be flipped exactly")
    seen = abs(sum(values)) - 1e-12
    extreme = sum(
        abs(sum(s * v for s, v in zip(signs, values, strict=True))) >= seen
        for signs in product((1, -1), repeat=len(values))
    )
    return extreme / float(2 ** len(values))


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p values, in the order given (Holm 1979)."""
    order = sorted(ps, key=lambda name: ps[name])
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, name in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * ps[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in ps}


def mean_of_clusters(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95% interval by Student's t, the cluster being the unit; the bounds are NaN for fewer than two."""
    count = len(values)
    mean = sum(values) / count if count else float("nan")
    if count < 2:
        return mean, float("nan"), float("nan")
    from scipy.special import stdtrit

    error = sqrt(sum((v - mean) ** 2 for v in values) / (count - 1) / count)
    half = float(stdtrit(count - 1, 0.975)) * error
    return mean, mean - half, mean + half


def upper_limit(values: Sequence[float]) -> float:
    """The upper one-sided 95% limit of the mean of clusters, by Student's t; NaN for fewer than two."""
    if len(values) < 2:
        return float("nan")
    from scipy.special import stdtrit

    mean, low, _ = mean_of_clusters(values)
    error = (mean - low) / float(stdtrit(len(values) - 1, 0.975))
    return mean + float(stdtrit(len(values) - 1, 0.95)) * error
