"""Cross-fitted linear probes for many labellings of the same features at once.

A shuffled control refits the probe on dozens of label swaps. The features never change, so one factorisation
serves the true labels, every swap and every fold: logistic regression by fixed-Hessian steps (Böhning and
Lindsay 1988), accelerated (Nesterov 1983, restarted as in O'Donoghue and Candès 2015), all fits together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]

TOLERANCE = 1e-3
"""Descent ends when no training score moves by more than this (in log odds; ten times as much in float32)."""
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
    rows, width = features.shape
    count, labellings = int(folds.max()) + 1, labels.shape[1]
    held_out = folds[:, None] == np.repeat(np.arange(count), labellings)
    labels = np.tile(labels, count)

    def pull(scores: Matrix, fits: NDArray[np.int64]) -> Matrix:
        """Derivative of the loss by the score; rows held out of a fit have none."""
        signs = labels[:, fits]
        slope: Matrix = -signs / (1 + np.exp(np.minimum(signs * scores, 60)))
        slope[held_out[:, fits]] = 0
        return slope

    if width <= rows:
        gram = features.T @ features

        def evaluate(weights: Matrix, fits: NDArray[np.int64]) -> tuple[Matrix, Matrix]:
            scores = features @ weights
            return features.T @ pull(scores, fits) + penalty * weights, scores

    else:
        gram = features @ features.T

        def evaluate(weights: Matrix, fits: NDArray[np.int64]) -> tuple[Matrix, Matrix]:
            """Weights are features.T @ these coefficients; the gradient has the kernel divided out."""
            scores = gram @ weights
            return pull(scores, fits) + penalty * weights, scores

    scores = _descend(gram, labels.shape, penalty, evaluate)
    return scores.reshape(rows, count, labellings)[np.arange(rows), folds]


Evaluate = Callable[[Matrix, NDArray[np.int64]], tuple[Matrix, Matrix]]


def _descend(gram: Matrix, shape: tuple[int, ...], penalty: float, evaluate: Evaluate) -> Matrix:
    """Scores at the minimum, of `shape` [rows, fits]. `evaluate` gives (gradient, scores) of some fits at a point.

    gram/4 + penalty over all rows bounds the Hessian of every fit everywhere, so a whole step never overshoots.
    A fit whose scores have settled is left alone.
    """
    from scipy.linalg import cho_factor, cho_solve

    bound = gram / 4
    bound[np.diag_indices_from(bound)] += penalty
    factor = cho_factor(bound, lower=True, overwrite_a=True, check_finite=False)
    tolerance = TOLERANCE * (10 if gram.dtype == np.float32 else 1)
    settled = np.empty(shape, dtype=gram.dtype)
    fits = np.arange(shape[1])
    point = np.zeros((len(gram), len(fits)), dtype=gram.dtype)
    ahead, age = point, np.ones(len(fits), dtype=gram.dtype)
    gradient, scores = evaluate(ahead, fits)
    for _ in range(STEPS):
        moved = ahead - cho_solve(factor, gradient, check_finite=False)
        uphill = np.sum(gradient * (moved - point), axis=0) > 0
        grown = (1 + np.sqrt(1 + 4 * age * age)) / 2
        momentum = np.where(uphill, 0, np.minimum((age - 1) / grown, MOMENTUM)).astype(gram.dtype)
        age = np.where(uphill, 1, grown).astype(gram.dtype)
        point, ahead = moved, moved + momentum * (moved - point)
        before = scores
        gradient, scores = evaluate(ahead, fits)
        settled[:, fits] = scores
        moving = np.abs(scores - before).max(axis=0) >= tolerance
        if not moving.any():
            break
        fits, age = fits[moving], age[moving]
        point, ahead = point[:, moving], ahead[:, moving]
        gradient, scores = gradient[:, moving], scores[:, moving]
    return settled
