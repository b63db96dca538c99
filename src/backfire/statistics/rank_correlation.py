"""Rank correlation, with what its size can mean."""

from __future__ import annotations

from collections.abc import Sequence

SIGNIFICANT_AT_SEVEN = 0.79
"""Smaller in size than this (rounded), Spearman's rho of seven pairs is not significant at the 5% level (two-sided, exact)."""


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Spearman's rho; undefined for fewer than three pairs, or where one side is all ties."""
    if len(xs) < 3 or len(set(xs)) < 2 or len(set(ys)) < 2:
        return None
    from scipy.stats import spearmanr

    return max(-1.0, min(1.0, float(spearmanr(xs, ys).statistic)))
