"""Differences between two independent samples: of shares by their counts, of other estimates by their intervals."""

from __future__ import annotations

from math import erfc, sqrt

from backfire.statistics.intervals import Z95, wilson

Interval = tuple[float, float, float]
"""A value with its lower and its upper limit."""


def difference_of_estimates(before: Interval, after: Interval) -> Interval:
    """`after` - `before` with its 95% interval, from the two 95% intervals alone.

    The limits are recovered variances (MOVER; Zou and Donner 2008): each side of the difference takes that side of either
    interval which bears on it, so that lopsided intervals stay so.
    """
    (old, old_low, old_high), (new, new_low, new_high) = before, after
    change = new - old
    low = change - sqrt((new - new_low) ** 2 + (old_high - old) ** 2)
    high = change + sqrt((new_high - new) ** 2 + (old - old_low) ** 2)
    return change, low, high


def p_of_difference(difference: Interval) -> float:
    """Two-sided p that there is no difference, as far as its 95% interval tells: normal on the side that faces 0."""
    change, low, high = difference
    half = change - low if change > 0 else high - change
    if change == 0:
        return 1.0
    return erfc(abs(change) / (half / Z95) / sqrt(2)) if half > 0 else 0.0


def difference_of_shares(before: tuple[int, int], after: tuple[int, int]) -> Interval:
    """The difference of two shares, each (hits, of), with Newcombe's 95% interval (1998, method 10): MOVER by Wilson's."""
    shares = [(hits / n, *wilson(hits, n)) for hits, n in (before, after)]
    change, low, high = difference_of_estimates(shares[0], shares[1])
    return change, max(-1.0, low), min(1.0, high)


def fisher_exact(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Two-sided p that both shares, each (hits, of), are equal: Fisher's exact test (1935), which never errs too often."""
    from scipy.stats import fisher_exact as exact

    (old, of_old), (new, of_new) = before, after
    return float(exact([[old, of_old - old], [new, of_new - new]]).pvalue)
