"""The ladder of linear probes: how well a response's chosen or rejected label shows on held-out prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.old_estimate import (
    Estimate,
    auroc_by_fold,
    clustered_interval,
    compared,
    right_of_pairs,
)
from backfire.auditing.old_folds import assign_folds
from backfire.auditing.probe import cross_fit, standardised, unit_scaled

FEWEST_PAIRS = 30
"""Below this many usable pairs, no number."""

Matrix = NDArray[np.floating]


@dataclass(frozen=True)
class Split:
    """How pairs are divided: made once, shared by every rung, so that their controls can be compared."""

    folds: NDArray[np.int64]
    """Fold of each pair."""
    groups: NDArray[np.int64]
    """Prompt group of each pair, numbered."""
    swaps: Matrix
    """[pairs, 1 + controls], +1 or -1: the first column the labels as they are, the others random."""

    def subset(self, kept: NDArray[np.int64]) -> Split:
        """The same division of fewer pairs."""
        groups = np.unique(self.groups[kept], return_inverse=True)[1]
        return Split(self.folds[kept], groups, self.swaps[kept])


@dataclass(frozen=True)
class Rung:
    """One probe's result. Both estimates are None where there were too few pairs; `reason` says why."""

    name: str
    about: str
    """What the features are."""
    pairs: int
    pointwise: Estimate | None = None
    """AUROC: is this response a chosen one?"""
    pointwise_accuracy: Estimate | None = None
    pairwise: Estimate | None = None
    """Accuracy: which of the two was chosen?"""
    reason: str | None = None
    control_aurocs: tuple[float, ...] = ()
    control_accuracies: tuple[float, ...] = ()
    """One for each swap, the same swaps on every rung."""

    def as_dict(self) -> dict[str, Any]:
        """One entry of the report's `separability` list: undefined numbers are null, beside `reason`."""
        absent = {"low": None, "high": None, "control": None}
        found: dict[str, Any] = {"rung": self.name, "about": self.about}
        found["pointwise"] = self.pointwise.as_dict("auroc") if self.pointwise else {"auroc": None, **absent}
        if self.pointwise_accuracy:
            found["pointwise_accuracy"] = self.pointwise_accuracy.as_dict("accuracy")
        found["pairwise"] = (
            self.pairwise.as_dict("accuracy") if self.pairwise else {"accuracy": None, **absent}
        )
        found["pairs"] = self.pairs
        if self.reason is not None:
            found["reason"] = self.reason
        return found


def make_split(groups: Sequence[str], folds: int, controls: int, seed: int) -> Split:
    """Divide pairs by group.

    Swaps are drawn once, for whole groups: copies of a pair, and pairs that share a response, are not
    independent, and a control that swapped them one by one would be too narrow.
    """
    numbered = np.unique(np.array(groups, dtype=str), return_inverse=True)[1].astype(np.int64)
    distinct = int(numbered.max(initial=-1)) + 1
    drawn = (np.random.default_rng(seed).integers(0, 2, size=(distinct, controls)) * 2.0 - 1.0)[numbered]
    swaps = np.hstack([np.ones((len(groups), 1)), drawn])
    return Split(assign_folds(groups, folds, seed), numbered, swaps)


def too_few(split: Split, folds: int) -> str | None:
    """Why these pairs cannot be cross-fitted; None where they can."""
    pairs = len(split.folds)
    if pairs < FEWEST_PAIRS:
        return f"too few pairs: {pairs} usable, {FEWEST_PAIRS} needed"
    prompts = len(np.unique(split.groups))
    if prompts < 2 * folds:
        return (
            f"too few pairs: they have only {prompts} distinct prompts, {2 * folds} needed for {folds} folds"
        )
    largest = np.bincount(split.groups).max()
    if largest * 2 > pairs:
        return f"too few pairs: one prompt holds {largest} of {pairs}"
    return None


def rung(
    name: str,
    about: str,
    chosen: Matrix,
    rejected: Matrix,
    split: Split,
    *,
    folds: int,
    penalty: float,
    dense: bool,
) -> Rung:
    """Cross-fit both probes on features [pairs, width] of each side.

    Pointwise: logistic regression on single responses. Pairwise: the same on the difference chosen - rejected,
    without intercept, which is what training on both orders of every pair comes to. `dense` features are
    standardised by column; others (n-grams, already weighted) are only centred.
    """
    pairs = len(chosen)
    if reason := too_few(split, folds):
        return Rung(name, about, pairs, reason=reason)
    features = np.vstack([chosen, rejected])
    if dense:
        features = standardised(features)
    else:
        features = features - features.mean(axis=0)
    if features.shape[1] <= 512 or len(features) <= 2000:
        features = features.astype(np.float64)
    difference = unit_scaled(features[:pairs] - features[pairs:])
    features = unit_scaled(features)
    labels = np.vstack([split.swaps, -split.swaps])
    scores = cross_fit(features, labels, np.tile(split.folds, 2), penalty=penalty, intercept=True)
    order = cross_fit(difference, split.swaps, split.folds, penalty=penalty, intercept=False)
    return _measured(name, about, scores, order, split)


def _measured(name: str, about: str, scores: Matrix, order: Matrix, split: Split) -> Rung:
    pairs, labellings = split.swaps.shape
    one, other = scores[:pairs].astype(np.float64), scores[pairs:].astype(np.float64)
    areas, shares, rights = (np.empty(labellings) for _ in range(3))
    area_influence = share_influence = right_influence = np.zeros(pairs)
    for k in range(labellings):
        kept = split.swaps[:, k] > 0
        high, low = np.where(kept, one[:, k], other[:, k]), np.where(kept, other[:, k], one[:, k])
        areas[k], influence = auroc_by_fold(high, low, split.folds)
        share = (right_of_pairs(high) + right_of_pairs(-low)) / 2
        right = right_of_pairs(split.swaps[:, k] * order[:, k])
        shares[k], rights[k] = share.mean(), right.mean()
        if k == 0:
            area_influence = influence
            share_influence = (share - shares[0]) / pairs
            right_influence = (right - rights[0]) / pairs

    def estimate(values: NDArray[np.float64], influence: NDArray[np.float64]) -> Estimate:
        value = float(values[0])
        return compared(value, clustered_interval(value, influence, split.groups), values[1:])

    return Rung(
        name,
        about,
        pairs,
        estimate(areas, area_influence),
        estimate(shares, share_influence),
        estimate(rights, right_influence),
        control_aurocs=tuple(map(float, areas[1:])),
        control_accuracies=tuple(map(float, rights[1:])),
    )
