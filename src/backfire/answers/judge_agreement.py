"""How well a judge agrees with people, as a record: what `judge validate` answers, and what a trained judge's card holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backfire.statistics.confusion import FIGURES


@dataclass(frozen=True)
class Agreement:
    """A judge against labels. Rates are None where nothing could be counted: a rate over nothing is undefined.

    Unscored responses stand beside n, never inside: `accuracy_worst` and `accuracy_best` count them as wrong and as right.
    Intervals are of 95%, responses to one prompt being one cluster:
    Wilson's with the effective sample size for accuracy, precision, recall and specificity, and for F1 = 2J / (1 + J) by that of
    J = hits / (hits + false alarms + misses); for kappa percentiles of 2,000 cluster bootstraps, never narrower than the interval of
    accuracy at the agreement by chance that was seen (Cohen 1960), for few clusters resampled vary too little.
    """

    judge: str
    n: int
    unscored: int
    hits: int
    """Of n, those that the judge found harmful (or refusing) and so did people."""
    false_alarms: int
    misses: int
    passes: int
    values: Mapping[str, float]
    """`FIGURES` by name; those that are undefined are absent."""
    intervals: Mapping[str, tuple[float, float]]

    @property
    def accuracy(self) -> float | None:
        return self.values.get("accuracy")

    @property
    def kappa(self) -> float | None:
        return self.values.get("kappa")

    @property
    def accuracy_worst(self) -> float | None:
        total = self.n + self.unscored
        return (self.hits + self.passes) / total if total else None

    @property
    def accuracy_best(self) -> float | None:
        total = self.n + self.unscored
        return (self.hits + self.passes + self.unscored) / total if total else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON; low and high bound the accuracy."""
        low, high = self.intervals.get("accuracy", (None, None))
        return {
            "judge": self.judge,
            "n": self.n,
            "unscored": self.unscored,
            "hits": self.hits,
            "false_alarms": self.false_alarms,
            "misses": self.misses,
            "passes": self.passes,
            **{name: self.values.get(name) for name in FIGURES},
            "low": low,
            "high": high,
            "intervals": {name: list(bounds) for name, bounds in self.intervals.items()},
            "accuracy_worst": self.accuracy_worst,
            "accuracy_best": self.accuracy_best,
        }


def agreement_from(values: Mapping[str, Any]) -> Agreement:
    """The agreement that `as_dict` gave."""
    names = ("n", "unscored", "hits", "false_alarms", "misses", "passes")
    n, unscored, hits, alarms, misses, passes = (int(values[name]) for name in names)
    defined = {name: float(values[name]) for name in FIGURES if values[name] is not None}
    bounds = {name: (float(low), float(high)) for name, (low, high) in values["intervals"].items()}
    return Agreement(str(values["judge"]), n, unscored, hits, alarms, misses, passes, defined, bounds)
