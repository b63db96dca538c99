"""`auto`: the smallest change whose prediction lies above a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from backfire.errors import InputError
from backfire.repairing.filtering import Values
from backfire.statistics.clusters import clustered_mean

LADDER = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Shares of the pairs that are filtered out, or replaced."""


@dataclass(frozen=True)
class Prediction:
    """What is predicted of the pairs that a change leaves, with its 95% interval: their mean influence, clustered by prompt,
    or the margin change of a pilot on them, over probes."""

    share: float
    pairs: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """Every step of the ladder that was looked at, and the one that was taken."""

    target: float
    ladder: tuple[Prediction, ...]
    taken: int | None
    """Place in the ladder; None where no step's interval lies above the target."""

    @property
    def prediction(self) -> Prediction | None:
        return None if self.taken is None else self.ladder[self.taken]

    def as_dict(self) -> dict[str, Any]:
        """For repair.json: undefined numbers are None."""
        steps = [
            {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(p).items()}
            for p in self.ladder
        ]
        return {"target": self.target, "ladder": steps, "taken": self.taken}


def choose_share(
    predict: Callable[[float], Prediction], target: float, *, ladder: Sequence[float] = LADDER
) -> Choice:
    """Climb the ladder until the lower limit of the prediction lies above the target.

    A prediction of mean influence is first order and says nothing of what training does to itself on the way. Where the
    values are noisy, the mean of those selected for being high is too high: the interval does not hold that bias.

    Args:
        predict: what a share of the pairs left out, or replaced, is predicted to give.
        target: in the prediction's unit.
    """
    if not np.isfinite(target):
        raise InputError(f"target {target}: give a finite number, in the unit of the prediction")
    steps = []
    for share in sorted(ladder):
        steps.append(predict(share))
        if steps[-1].low > target:
            return Choice(target, tuple(steps), len(steps) - 1)
    return Choice(target, tuple(steps), None)


def mean_of(share: float, values: Values, groups: Sequence[str]) -> Prediction:
    """The mean of these values with its clustered interval, as the prediction of a share."""
    return Prediction(share, len(values), *clustered_mean(values, groups))
