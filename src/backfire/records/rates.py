"""The one place that divides: a rate with its interval, its n, and what could not be scored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

Z95 = 1.959963984540054


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


def wilson(hits: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a binomial proportion (Wilson 1927), z standard errors wide."""
    if n <= 0:
        raise ValueError("an interval over nothing is undefined")
    p = hits / n
    centre = p + z * z / (2 * n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = (centre - half) / scale if hits else 0.0
    high = (centre + half) / scale if hits < n else 1.0
    return low, high


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
