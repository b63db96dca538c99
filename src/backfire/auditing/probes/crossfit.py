"""One division into folds: both probes on all labellings at once, and what every pair contributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.audited_pairs import Ints
from backfire.auditing.probes.ranking import auroc, auroc_slopes, cells_of, slopes_at_zero, swapped_aurocs
from backfire.auditing.probes.smoothers import Smoother, differences, smoother_of
from backfire.auditing.probes.v_information import bits_of

Values = NDArray[np.float64]
Signs = NDArray[np.int8]

VARIANCES = 20
"""Swaps of which each pair's influence is kept; its variance hardly differs between them."""


class Crossfit(NamedTuple):
    """A held-out number on the true labels (first) and on swapped ones."""

    values: Values
    """[labellings]"""
    testing: Values
    """Influence of each pair through its own held-out scores: [pairs, 1 + at most VARIANCES]."""
    training: Values
    """Influence of each pair through the probes fitted on it, on the true labels: [pairs]."""
    noise: float
    """Variance of the scores on swapped labels over that on the true ones, at most 1; 1 without swaps."""


@dataclass(frozen=True)
class Crossfitted:
    """All numbers of one division."""

    auroc: Crossfit
    accuracy: Crossfit
    pairwise: Crossfit
    information: Crossfit
    scores: Values
    """Held-out pointwise scores, 0 in the middle of each fold: [2 * pairs]."""
    margins: Values
    """Held-out pairwise scores: [pairs]."""
    bits: Values
    """[pairs]"""
    bits_swapped: Values
    """The same on the first swaps' labels: [pairs, at most VARIANCES]."""
    strata: dict[int, Crossfit]
    """AUROC within one stratum alone, for those that were asked for."""


def crossfit(
    rows: Any,
    signs: Signs,
    folds: Ints,
    strata: Ints | None,
    each: tuple[int, ...] = (),
    *,
    trained: bool = True,
) -> Crossfitted:
    """Fit on rows [2 * pairs, width], chosen first; signs [pairs, labellings], the first column +1; folds [pairs].

    AUROC compares within `strata` [2 * pairs], and is given for `each` of these strata too. Without `trained`, nobody
    asks how much each pair counts as a training pair, and `training` stays 0.
    """
    both = np.concatenate([folds, folds])
    labels = np.vstack([signs, -signs])
    smoother = smoother_of(rows, both)
    scores = centred(smoother.held_out(labels), both)
    truth = labels[:, 0].astype(np.float64)
    training = _Training(smoother, truth, both) if trained else None
    noise = _noise(scores.var(axis=0))

    def area(within: Ints | None) -> Crossfit:
        return _area(scores, labels, both, within, training, noise)

    of_each = {}
    if strata is not None:
        of_each = {stratum: area(np.where(strata == stratum, stratum, -1)) for stratum in each}
    accuracy = _accuracy(scores, labels, both, training, noise)
    paired = smoother_of(differences(rows), folds)
    margins = (paired.held_out(signs) * signs).astype(np.float64)
    fitted = _Training(paired, signs[:, 0].astype(np.float64), folds) if trained else None
    right, information, bits = _pairwise(margins, folds, fitted)
    swapped = bits[:, 1 : 1 + VARIANCES]
    return Crossfitted(
        area(strata), accuracy, right, information, scores[:, 0], margins[:, 0], bits[:, 0], swapped, of_each
    )


class _Training:
    """How much each row counts through the probes fitted on it."""

    def __init__(self, smoother: Smoother, truth: Values, folds: Ints) -> None:
        outside = np.arange(int(folds.max()) + 1) != folds[:, None]
        self.smoother = smoother
        self.residual = outside * truth[:, None] - smoother.fitted(truth)

    def influence(self, slopes: Values) -> Values:
        """Of each row [m] on a number whose slope by every held-out score is known: [m].

        A row of weight 1 + δ moves the weights of a ridge probe by δ M⁻¹ x (y - x·w).
        """
        by_row: Values = (self.smoother.adjoint(slopes) * self.residual).sum(axis=1)
        return by_row


def _area(
    scores: Values, labels: Signs, folds: Ints, strata: Ints | None, training: _Training | None, noise: float
) -> Crossfit:
    chosen = labels[:, 0] > 0
    cells = cells_of(folds, strata, chosen)
    value, own = auroc(scores[:, 0], chosen, cells)
    testing = [_by_pair(own)]
    for j in range(1, min(labels.shape[1], 1 + VARIANCES)):
        under = labels[:, j] > 0
        testing.append(_by_pair(auroc(scores[:, j], under, cells_of(folds, strata, under))[1]))
    areas = np.concatenate([[value], swapped_aurocs(scores[:, 1:], labels[:, 1:], cells)])
    fitted = np.zeros(len(testing[0]))
    if training is not None:
        fitted = _by_pair(training.influence(auroc_slopes(scores[:, 0], chosen, cells)))
    return Crossfit(areas, np.stack(testing, axis=1), fitted, noise)


def _accuracy(
    scores: Values, labels: Signs, folds: Ints, training: _Training | None, noise: float
) -> Crossfit:
    truth = labels[:, 0].astype(np.float64)
    right = _by_pair(right_of(scores * labels)) / 2
    fitted = np.zeros(len(right))
    if training is not None:
        at_zero = _fold_by_fold(scores[:, 0] * truth, folds) * truth / len(truth)
        fitted = _by_pair(training.influence(centred(at_zero[:, None], folds)[:, 0]))
    return _mean(right, fitted, noise)


def _pairwise(margins: Values, folds: Ints, training: _Training | None) -> tuple[Crossfit, Crossfit, Values]:
    pairs = len(margins)
    noise = _noise(np.mean(margins**2, axis=0))
    bits, by_margin = bits_of(margins, folds)
    of_order, of_bits = np.zeros(pairs), np.zeros(pairs)
    if training is not None:
        of_order = training.influence(_fold_by_fold(margins[:, 0], folds) / pairs)
        of_bits = training.influence(by_margin / pairs)
    return _mean(right_of(margins), of_order, noise), _mean(bits, of_bits, noise), bits


def _mean(each: Values, training: Values, noise: float) -> Crossfit:
    """Of per-pair values [pairs, labellings]."""
    values = each.mean(axis=0)
    first = slice(0, 1 + VARIANCES)
    return Crossfit(values, (each[:, first] - values[first]) / len(each), training, noise)


def _noise(spread: Values) -> float:
    return min(1.0, float(spread[1:].mean() / max(spread[0], 1e-300))) if len(spread) > 1 else 1.0


def centred(scores: NDArray[np.floating], folds: Ints) -> Values:
    """Held-out scores less their fold's mean over both sides, which knows no label: 0 is then the threshold.

    It is its own transpose, and takes slopes by these scores to slopes by those that the smoother gives.
    """
    moved = scores.astype(np.float64)
    for k in range(int(folds.max()) + 1):
        inside = folds == k
        moved[inside] -= moved[inside].mean(axis=0)
    return moved


def _fold_by_fold(scores: Values, folds: Ints) -> Values:
    slopes = np.zeros(len(scores))
    for k in range(int(folds.max()) + 1):
        inside = folds == k
        slopes[inside] = slopes_at_zero(scores[inside])
    return slopes


def right_of(margins: Values) -> Values:
    """1 above 0, 0 below, a half on it."""
    share: Values = (np.sign(margins) + 1) / 2
    return share


def _by_pair(sides: Values) -> Values:
    """Both sides of a pair added up: [2 * pairs, ...] to [pairs, ...]."""
    half = len(sides) // 2
    sums: Values = sides[:half] + sides[half:]
    return sums
