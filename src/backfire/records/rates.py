"""The one place that divides: a rate with its interval, its n, and what could not be scored."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import inf, sqrt

Z95 = 1.959963984540054
ONE = 1 + 1e-9
"""Up to so many clusters of equal size, rounding considered, there is one."""


@dataclass(frozen=True)
class Rate:
    """`hits` out of `scored`, with a 95% Wilson interval; `unscored` stands beside, never inside.

    rate, low and high are None when nothing was scored: a rate over nothing is undefined, never 0.
    best and worst bound the rate over all cases, the unscored counted as misses and as hits.
    """

    hits: int
    scored: int
    unscored: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.scored or self.unscored < 0:
            raise ValueError(f"not a rate: {self.hits} of {self.scored}, {self.unscored} unscored")

    @property
    def rate(self) -> float | None:
        return self.hits / self.scored if self.scored else None

    @property
    def low(self) -> float | None:
        return wilson(self.hits, self.scored)[0] if self.scored else None

    @property
    def high(self) -> float | None:
        return wilson(self.hits, self.scored)[1] if self.scored else None

    @property
    def best(self) -> float | None:
        total = self.scored + self.unscored
        return self.hits / total if total else None

    @property
    def worst(self) -> float | None:
        total = self.scored + self.unscored
        return (self.hits + self.unscored) / total if total else None


@dataclass(frozen=True)
class ClusteredRate(Rate):
    """A rate over cases that share something by cluster, such as a behaviour or a prompt; its interval is `clustered_wilson`'s."""

    clusters: float = 0.0
    """How many of equal size would tell as much, (sum of sizes)^2 / sum of squares; less one, the interval's degrees of freedom."""
    effective: float = 0.0
    """The number of independent cases that would tell as much."""

    @property
    def quantile(self) -> float:
        """Student's, two-sided 95%; infinite where one cluster says nothing."""
        return student(self.clusters)

    @property
    def low(self) -> float | None:
        return self._interval()[0] if self.scored else None

    @property
    def high(self) -> float | None:
        return self._interval()[1] if self.scored else None

    def _interval(self) -> tuple[float, float]:
        return _clustered_interval(self.hits / self.scored, self.effective, self.clusters)


def wilson(hits: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a binomial proportion (Wilson 1927), z standard errors wide."""
    if n <= 0:
        raise ValueError("an interval over nothing is undefined")
    return _score_interval(hits / n, n, z)


def _score_interval(p: float, n: float, z: float) -> tuple[float, float]:
    centre = p + z * z / (2 * n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = (centre - half) / scale if p > 0 else 0.0
    high = (centre + half) / scale if p < 1 else 1.0
    return max(0.0, low), min(1.0, high)


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
    return _clustered_interval(rate, *_effective(pairs))


def _clustered_interval(rate: float, effective: float, clusters: float) -> tuple[float, float]:
    if clusters <= ONE:
        return 0.0, 1.0
    quantile = student(clusters)
    low, high = _score_interval(rate, effective, quantile)
    least, most = _score_interval(1.0, clusters, quantile)[0], _score_interval(0.0, clusters, quantile)[1]
    return min(low, least), max(high, most)


def _effective(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(independent cases, clusters of equal size) that would tell as much as clusters of (hits, cases)."""
    sums, sizes = zip(*pairs, strict=True)
    cases, clusters = sum(sizes), equal_clusters(sizes)
    rate = sum(sums) / cases
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


def student(clusters: float) -> float:
    """Student's two-sided 95% quantile for so many clusters; infinite where one says nothing."""
    from scipy.special import stdtrit

    return float(stdtrit(clusters - 1, 0.975)) if clusters > ONE else inf


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


def rate_of(outcomes: Iterable[bool | None]) -> Rate:
    """Count outcomes: True a hit, False a miss, None unscored."""
    hits = scored = unscored = 0
    for outcome in outcomes:
        if outcome is None:
            unscored += 1
        else:
            scored += 1
            hits += outcome
    return Rate(hits, scored, unscored)


def clustered_rate_of(outcomes: Iterable[tuple[bool | None, Hashable]]) -> ClusteredRate:
    """Count (outcome, cluster) pairs, the outcome as for `rate_of`; cases of one cluster share something, such as a prompt."""
    counts: dict[Hashable, list[int]] = {}
    unscored = 0
    for outcome, cluster in outcomes:
        if outcome is None:
            unscored += 1
        else:
            hits_and_size = counts.setdefault(cluster, [0, 0])
            hits_and_size[0] += outcome
            hits_and_size[1] += 1
    hits, scored = (sum(pair[i] for pair in counts.values()) for i in (0, 1))
    effective, clusters = (
        _effective([(hits, size) for hits, size in counts.values()]) if counts else (0.0, 0.0)
    )
    return ClusteredRate(hits, scored, unscored, clusters, effective)
