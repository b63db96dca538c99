"""Exact tests of paired differences, and Holm's correction for several tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import isfinite

MOST_FLIPPED = 20
"""Clusters whose sign flips are enumerated: a million."""


def sign_flip(values: Sequence[float]) -> float:
    """Two-sided p of a mean of 0, over all 2^n flips of the signs; exact where the values are symmetric about 0.

    The smallest p of n clusters is 2 / 2^n. Raises ValueError for more than MOST_FLIPPED values, or none.
    """
    if not 1 <= len(values) <= MOST_FLIPPED or not all(map(isfinite, values)):
        raise ValueError(f"{len(values)} values: 1 to {MOST_FLIPPED} finite ones can be flipped exactly")
    seen = abs(sum(values)) - 1e-12
    extreme = sum(
        abs(sum(s * v for s, v in zip(signs, values, strict=True))) >= seen
        for signs in product((1, -1), repeat=len(values))
    )
    return extreme / float(2 ** len(values))


def swap_p(differences: Sequence[int]) -> float:
    """Two-sided p that swapping the two policies in every cluster at random gives as great a sum, exactly.

    The distribution of the sum over all 2^n swaps, by convolution. With differences of -1, 0 and 1 it is exact
    McNemar: the binomial test of the pairs that differ (McNemar 1947; Fagerland et al. 2013).
    """
    import numpy as np

    steps = [abs(d) for d in differences if d]
    reach = sum(steps)
    chance = np.zeros(2 * reach + 1)
    chance[reach] = 1.0
    for step in steps:
        chance = (np.roll(chance, step) + np.roll(chance, -step)) / 2
    seen = abs(sum(differences))
    return float(min(1.0, 2 * chance[: reach - seen + 1].sum())) if seen else 1.0


def sign_test(gained: int, lost: int) -> float:
    """Two-sided p that as many cases gain as lose: the binomial test of those that change, exact; 1 where none does."""
    if gained + lost == 0:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p values, in the order given (Holm 1979)."""
    order = sorted(ps, key=lambda name: ps[name])
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, name in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * ps[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in ps}
