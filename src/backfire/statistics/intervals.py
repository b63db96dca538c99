"""Intervals: Wilson's of a share, the same over clusters, Student's quantile, and that of a paired change."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt

Z95 = 1.959963984540054
"""The normal distribution's two-sided 95% quantile."""
ROUNDING = 1e-12
"""A share's value times one minus it is 0 below this: no data set has as many cases as would make it so."""
ONE = 1 + 1e-9
"""Up to so many clusters of equal size, rounding considered, there is one."""


def normal_quantile(confidence: float = 0.95) -> float:
    """The normal distribution's two-sided quantile at this confidence."""
    from statistics import NormalDist

    return Z95 if confidence == 0.95 else NormalDist().inv_cdf((1 + confidence) / 2)


def student_quantile(degrees: float, probability: float = 0.975) -> float:
    """Student's quantile with so many degrees of freedom; infinite where there are none. The default is the two-sided 95% one."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability)) if degrees > ONE - 1 else inf


def wilson(hits: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a binomial proportion (Wilson 1927), z standard errors wide."""
    if n <= 0:
        raise ValueError("an interval over nothing is undefined")
    return score_interval(hits / n, n, z)


def score_interval(p: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's score interval of a share p that as much is known of as n independent cases tell."""
    p = _settled(p)
    centre = p + z * z / (2 * n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = (centre - half) / scale if p > 0 else 0.0
    high = (centre + half) / scale if p < 1 else 1.0
    return max(0.0, low), min(1.0, high)


def _settled(share: float) -> float:
    """A share that is 0 or 1 but for rounding, such as 1.0000000000000002, as exactly that."""
    return float(round(share)) if share * (1 - share) < ROUNDING else share


def clustered_wilson(hits: Sequence[float], sizes: Sequence[float]) -> tuple[float, float]:
    """A 95% interval for the rate over cases that share something by cluster, such as a behaviour or a prompt.

    Wilson's interval at the effective sample size (Kish 1965): the number of cases over the design effect, which is the rate's
    variance between clusters against that of independent cases, never taken as below 1; Student's quantile with as many
    degrees of freedom as clusters but one (Korn and Graubard 1998; Franco et al. 2019, J. Surv. Stat. Methodol. 7, compare such
    intervals), where clusters of different size count as fewer of equal size, (sum of sizes)^2 / sum of squares. Where all cases agree no
    variance is seen, and every cluster counts as one case; a rate near 0 or 1 says no more than that, so its interval holds the
    bound that all agreeing would have. One cluster says nothing: (0, 1).

    Args:
        hits: of each cluster. sizes: the cases of each cluster; a cluster of size 0 says nothing and is left out.
    """
    pairs = [(float(hit), float(size)) for hit, size in zip(hits, sizes, strict=True) if size > 0]
    if not pairs:
        raise ValueError("an interval over nothing is undefined")
    rate = sum(hit for hit, _ in pairs) / sum(size for _, size in pairs)
    return clustered_interval(rate, *equivalent_cases(pairs))


def clustered_interval(
    rate: float, effective: float, clusters: float, confidence: float = 0.95
) -> tuple[float, float]:
    """`clustered_wilson` of a rate whose `equivalent_cases` are known, at any confidence."""
    if clusters <= ONE:
        return 0.0, 1.0
    quantile = student_quantile(clusters - 1, (1 + confidence) / 2)
    low, high = score_interval(rate, effective, quantile)
    least, most = score_interval(1.0, clusters, quantile)[0], score_interval(0.0, clusters, quantile)[1]
    return min(low, least), max(high, most)


def equivalent_cases(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(independent cases, clusters of equal size) that would tell as much as clusters of (hits, cases)."""
    sums, sizes = zip(*pairs, strict=True)
    cases, clusters = sum(sizes), equal_clusters(sizes)
    rate = _settled(sum(sums) / cases)
    if rate in (0.0, 1.0) or clusters <= ONE:
        return clusters, clusters
    effect = ratio_variance(sums, sizes) / (rate * (1 - rate) / cases)
    return cases / max(1.0, effect), clusters


def equal_clusters(sizes: Sequence[float]) -> float:
    """How many clusters of equal size would tell as much: (sum of sizes)^2 / sum of squares (Kish 1965)."""
    return sum(sizes) ** 2 / sum(size**2 for size in sizes)


def ratio_variance(sums: Sequence[float], sizes: Sequence[float]) -> float:
    """The linearised variance of sum(sums) / sum(sizes) over two or more clusters."""
    cases, clusters = sum(sizes), equal_clusters(sizes)
    ratio = sum(sums) / cases
    spread = sum((s - ratio * size) ** 2 for s, size in zip(sums, sizes, strict=True))
    return spread * clusters / (clusters - 1) / cases**2


EFFECTIVE = 1e-9, 1e18
"""Numbers of cases beyond which an interval is all of 0..1, or a point."""


def share_interval(
    value: float, variance: float, clusters: int, quantile: float = Z95
) -> tuple[float, float]:
    """Wilson's interval of a share whose variance is known, at the effective sample size value (1 - value) / variance."""
    value = _settled(value)
    spread = value * (1 - value)
    effective = spread / variance if variance > 0 and spread > 0 else float(clusters)
    if spread * clusters < 1:
        effective = min(effective, float(clusters))
    effective = min(max(effective, EFFECTIVE[0]), EFFECTIVE[1])
    return score_interval(value, effective, quantile)


def mean_interval(value: float, variance: float, quantile: float = Z95) -> tuple[float, float]:
    """The 95% interval of a number without bounds, whose variance is known."""
    half = quantile * sqrt(max(0.0, variance))
    return value - half, value + half


def paired_difference(gained: int, lost: int, n: int, z: float = Z95) -> tuple[float, float, float]:
    """The change of a proportion between two looks at the same n cases, with its interval: (change, low, high).

    gained: cases that became hits; lost: cases that ceased to be. The interval is Agresti and Min's (2005): Wald's after
    half a case is added to each of the four cells, which keeps its coverage where few cases change.
    """
    if not (gained >= 0 and lost >= 0 and n > 0 and gained + lost <= n):
        raise ValueError(f"not a paired change: {gained} gained and {lost} lost of {n}")
    total = n + 2
    centre = (gained - lost) / total
    half = z * sqrt((gained + lost + 1) / total - centre**2) / sqrt(total)
    return (gained - lost) / n, max(-1.0, centre - half), min(1.0, centre + half)
