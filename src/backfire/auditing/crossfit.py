"""One division into folds: both probes on all labellings at once, and what every pair contributed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.collected import Ints
from backfire.auditing.information import bits_of
from backfire.auditing.ranking import auroc, auroc_slopes, cells_of, slopes_at_zero, swapped_aurocs
from backfire.auditing.smoothers import Smoother, differences, smoother_of

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
    rows: Any, signs: Signs, folds: Ints, strata: Ints | None, each: tuple[int, ...] = ()
) -> Crossfitted:
    """Fit on rows [2 * pairs, width], chosen first; signs [pairs, labellings], the first column +1; folds [pairs].

    AUROC compares within `strata` [2 * pairs], and is given for `each` of these strata too.
    """
    both = np.concatenate([folds, folds])
    labels = np.vstack([signs, -signs])
    smoother = smoother_of(rows, both)
    scores = centred(smoother.held_out(labels), both)
    residual = _residual(smoother, labels[:, 0].astype(np.float64), both)
    noise = _noise(scores.var(axis=0))

    def area(within: Ints | None) -> Crossfit:
        return _area(smoother, scores, labels, both, within, residual, noise)

    of_each = {}
    if strata is not None:
        of_each = {stratum: area(np.where(strata == stratum, stratum, -1)) for stratum in each}
    accuracy = _accuracy(smoother, scores, labels, both, residual, noise)
    paired = smoother_of(differences(rows), folds)
    margins = (paired.held_out(signs) * signs).astype(np.float64)
    right, information, bits = _pairwise(paired, margins, folds)
    swapped = bits[:, 1 : 1 + VARIANCES]
    return Crossfitted(
        area(strata), accuracy, right, information, scores[:, 0], margins[:, 0], bits[:, 0], swapped, of_each
    )


def _area(
    smoother: Smoother,
    scores: Values,
    labels: Signs,
    folds: Ints,
    strata: Ints | None,
    residual: Values,
    noise: float,
) -> Crossfit:
    chosen = labels[:, 0] > 0
    cells = cells_of(folds, strata, chosen)
    value, own = auroc(scores[:, 0], chosen, cells)
    testing = [_by_pair(own)]
    for j in range(1, min(labels.shape[1], 1 + VARIANCES)):
        under = labels[:, j] > 0
        testing.append(_by_pair(auroc(scores[:, j], under, cells_of(folds, strata, under))[1]))
    areas = np.concatenate([[value], swapped_aurocs(scores[:, 1:], labels[:, 1:], cells)])
    slopes = auroc_slopes(scores[:, 0], chosen, cells)
    training = _by_pair((smoother.adjoint(slopes) * residual).sum(axis=1))
    return Crossfit(areas, np.stack(testing, axis=1), training, noise)


def _accuracy(
    smoother: Smoother, scores: Values, labels: Signs, folds: Ints, residual: Values, noise: float
) -> Crossfit:
    truth = labels[:, 0].astype(np.float64)
    right = _by_pair(right_of(scores * labels)) / 2
    at_zero = _fold_by_fold(scores[:, 0] * truth, folds) * truth / len(truth)
    training = _by_pair((smoother.adjoint(at_zero) * residual).sum(axis=1))
    return _mean(right, training, noise)


def _pairwise(smoother: Smoother, margins: Values, folds: Ints) -> tuple[Crossfit, Crossfit, Values]:
    pairs = len(margins)
    residual = _residual(smoother, np.ones(pairs), folds)
    noise = _noise(np.mean(margins**2, axis=0))
    slopes = _fold_by_fold(margins[:, 0], folds) / pairs
    right = _mean(right_of(margins), (smoother.adjoint(slopes) * residual).sum(axis=1), noise)
    bits, by_margin = bits_of(margins, folds)
    told = _mean(bits, (smoother.adjoint(by_margin / pairs) * residual).sum(axis=1), noise)
    return right, told, bits


def _mean(each: Values, training: Values, noise: float) -> Crossfit:
    """Of per-pair values [pairs, labellings]."""
    values = each.mean(axis=0)
    kept = slice(0, 1 + VARIANCES)
    return Crossfit(values, (each[:, kept] - values[kept]) / len(each), training, noise)


def _residual(smoother: Smoother, truth: Values, folds: Ints) -> Values:
    """What each fold's probe leaves of the labels that it was fitted on: [m, folds], 0 on the fold itself."""
    outside = np.arange(int(folds.max()) + 1) != folds[:, None]
    found: Values = outside * truth[:, None] - smoother.fitted(truth)
    return found


def _noise(spread: Values) -> float:
    return min(1.0, float(spread[1:].mean() / max(spread[0], 1e-300))) if len(spread) > 1 else 1.0


def centred(scores: NDArray[np.floating], folds: Ints) -> Values:
    """Held-out scores less their fold's mean over both sides, which knows no label: 0 is then the threshold."""
    found = scores.astype(np.float64)
    for k in range(int(folds.max()) + 1):
        inside = folds == k
        found[inside] -= found[inside].mean(axis=0)
    return found


def _fold_by_fold(scores: Values, folds: Ints) -> Values:
    slopes = np.zeros(len(scores))
    for k in range(int(folds.max()) + 1):
        inside = folds == k
        slopes[inside] = slopes_at_zero(scores[inside])
    return slopes


def right_of(margins: Values) -> Values:
    """1 above 0, 0 below, a half on it."""
    found: Values = (np.sign(margins) + 1) / 2
    return found


def _by_pair(sides: Values) -> Values:
    """Both sides of a pair added up: [2 * pairs, ...] to [pairs, ...]."""
    half = len(sides) // 2
    found: Values = sides[:half] + sides[half:]
    return found
