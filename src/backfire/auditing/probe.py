"""Cross-fitted linear probes for many labellings of the same features at once.

A shuffled control refits the probe on dozens of label swaps. The features never change, so one factorisation
a fold serves the true labels and every swap: logistic regression by fixed-Hessian steps (Böhning and Lindsay
1988), accelerated (Nesterov 1983, restarted as in O'Donoghue and Candès 2015), all labellings together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]

TOLERANCE = 1e-3
"""Descent ends when no training score moves by more than this (in log odds; five times as much in float32)."""
STEPS = 200
MOMENTUM = 0.9
"""Above this, momentum amplifies the rounding noise of float32 without saving steps."""


def standardised(features: Matrix, clip: float = 6.0) -> Matrix:
    """Columns to mean 0 and deviation 1, clipped; constant columns become 0. Uses no label."""
    centred = features - features.mean(axis=0, dtype=np.float64).astype(features.dtype)
    deviation = np.sqrt(np.einsum("ij,ij->j", centred, centred, dtype=np.float64) / max(1, len(features)))
    scale = np.where(deviation > 1e-9 * (1 + np.abs(features).max(axis=0, initial=0)), deviation, np.inf)
    centred /= scale.astype(features.dtype)
    clipped: Matrix = np.clip(centred, -clip, clip, out=centred)
    return clipped


def unit_scaled(features: Matrix) -> Matrix:
    """Scaled by one number so that rows have a mean squared norm of 1: one penalty then suits any width."""
    mean_square = np.einsum("ij,ij->", features, features, dtype=np.float64) / max(1, len(features))
    return features if mean_square == 0 else features / np.sqrt(mean_square).astype(features.dtype)


def cross_fit(
    features: Matrix, labels: Matrix, folds: NDArray[np.int64], *, penalty: float, intercept: bool
) -> Matrix:
    """Out-of-fold scores of logistic regressions, one for each column of `labels`.

    features: [rows, width]; labels: [rows, labellings], each -1 or +1; folds: [rows], numbered from 0.
    Minimises sum log(1 + exp(-y (w·x + b))) + penalty/2 (|w|² + b²) on the other folds; without `intercept`
    the score is an odd function of the features, as a probe on differences must be. Returns [rows, labellings].
    """
    if intercept:
        features = np.hstack([features, np.ones((len(features), 1), dtype=features.dtype)])
    labels = labels.astype(features.dtype)
    scores = np.empty(labels.shape, dtype=features.dtype)
    rows, width = features.shape
    primal = width <= rows
    gram = features.T @ features if primal else features @ features.T
    for fold in range(int(folds.max()) + 1):
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if primal:
            held, kept = features[test], features[train]
            weights = _primal(kept, gram - held.T @ held, labels[train], penalty)
            scores[test] = held @ weights
        else:
            weights = _dual(gram[np.ix_(train, train)], labels[train], penalty)
            scores[test] = gram[np.ix_(test, train)] @ weights
    return scores


def _primal(features: Matrix, gram: Matrix, labels: Matrix, penalty: float) -> Matrix:
    """Weights [width, labellings]."""

    def gradient(pull: Matrix, weights: Matrix) -> Matrix:
        return features.T @ pull + penalty * weights

    return _descend(
        gram, labels, penalty, features.__matmul__, gradient, lambda g, change, _: np.sum(g * change, axis=0)
    )


def _dual(kernel: Matrix, labels: Matrix, penalty: float) -> Matrix:
    """Coefficients of the training rows [rows, labellings]; the weights are features.T @ coefficients."""

    def gradient(pull: Matrix, coefficients: Matrix) -> Matrix:
        return pull + penalty * coefficients

    return _descend(
        kernel,
        labels,
        penalty,
        kernel.__matmul__,
        gradient,
        lambda g, _, score_change: np.sum(g * score_change, axis=0),
    )


def _descend(
    gram: Matrix,
    labels: Matrix,
    penalty: float,
    scores_of: Callable[[Matrix], Matrix],
    gradient: Callable[[Matrix, Matrix], Matrix],
    slope: Callable[[Matrix, Matrix, Matrix], Matrix],
) -> Matrix:
    """gram/4 + penalty bounds the Hessian everywhere, so a whole step with it never overshoots."""
    from scipy.linalg import cho_factor, cho_solve

    bound = gram / 4
    bound[np.diag_indices_from(bound)] += penalty
    factor = cho_factor(bound, lower=True, overwrite_a=True, check_finite=False)
    point = np.zeros((len(gram), labels.shape[1]), dtype=gram.dtype)
    before = point
    scores = np.zeros_like(labels)
    scores_before = scores
    age = np.ones(labels.shape[1], dtype=gram.dtype)
    tolerance = TOLERANCE * (5 if gram.dtype == np.float32 else 1)
    for _ in range(STEPS):
        grown = (1 + np.sqrt(1 + 4 * age * age)) / 2
        momentum = np.minimum((age - 1) / grown, MOMENTUM)
        ahead = point + momentum * (point - before)
        margins = labels * (scores + momentum * (scores - scores_before))
        pull = -labels / (1 + np.exp(np.minimum(margins, 60)))
        step = gradient(pull, ahead)
        moved = ahead - cho_solve(factor, step, check_finite=False)
        moved_scores = scores_of(moved)
        uphill = slope(step, moved - point, moved_scores - scores) > 0
        age = np.where(uphill, 1, grown).astype(gram.dtype)
        change = float(np.abs(moved_scores - scores).max())
        before, point = point, moved
        scores_before, scores = scores, moved_scores
        if change < tolerance:
            break
    return point
