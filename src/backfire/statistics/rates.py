"""The one place that divides: a rate with its interval, its n, and what could not be scored."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from backfire.statistics.intervals import (
    clustered_interval,
    equivalent_cases,
    normal_quantile,
    student_quantile,
    wilson,
)


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

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """The interval at this confidence; None where nothing was scored. low and high are those at 0.95."""
        return wilson(self.hits, self.scored, normal_quantile(confidence)) if self.scored else None

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
        return student_quantile(self.clusters - 1)

    @property
    def low(self) -> float | None:
        return self._interval()[0] if self.scored else None

    @property
    def high(self) -> float | None:
        return self._interval()[1] if self.scored else None

    def interval(self, confidence: float) -> tuple[float, float] | None:
        return self._interval(confidence) if self.scored else None

    def _interval(self, confidence: float = 0.95) -> tuple[float, float]:
        return clustered_interval(self.hits / self.scored, self.effective, self.clusters, confidence)


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
        equivalent_cases([(hits, size) for hits, size in counts.values()]) if counts else (0.0, 0.0)
    )
    return ClusteredRate(hits, scored, unscored, clusters, effective)
