"""Ridge probes of all folds at once. For fixed features, held-out scores are linear in the labels; so is the control.

A probe of fold k minimises sum over the other folds' rows of (y - x·w)² + penalty |w|². Since every pair has one side
of either label, least squares needs no intercept and points where Fisher's discriminant does. The matrix to be inverted
does not know the labels, so that one factorisation serves the true ones and every swap.

Three ways to the same scores: primal where features are few, dual where rows are, and conjugate gradients where both
are many. Notation: rows [m, width], folds [m], labels [m, labellings].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from backfire.auditing.audited_pairs import Ints

Matrix = NDArray[np.floating]
Labels = NDArray[Any]

PENALTY = 1.0
"""On rows of mean squared norm 1 (in TF-IDF, of norm 1). Fixed: never chosen by the labels it is tested on."""

STEPS = 30
TOLERANCE = 0.05
"""Conjugate gradients end when every residual is below this share of its right side; scores then move in the third digit."""


class Smoother(Protocol):
    """A linear map from labels to held-out scores."""

    def held_out(self, labels: Labels) -> Matrix:
        """Each row's score by the probe that has not seen its fold: [m, labellings]."""

    def fitted(self, labels: Labels) -> Matrix:
        """What each fold's probe gives on the rows that it was fitted on, for labels [m]: [m, folds], 0 elsewhere."""

    def adjoint(self, slopes: Matrix) -> Matrix:
        """The transpose of `held_out`, fold by fold: from slopes [m] of held-out scores, [m, folds], 0 on the fold itself."""


DUAL_ROWS = 4_000
"""Up to so many rows, sparse or wide features are replaced by their kernel matrix."""


@dataclass(frozen=True)
class Kernel:
    """Rows known by their inner products alone: [m, m]. Parts, and differences of sides, are made from it."""

    matrix: Matrix

    @property
    def shape(self) -> tuple[int, int]:
        return self.matrix.shape[0], self.matrix.shape[1]

    def __getitem__(self, rows: Ints) -> Kernel:
        return Kernel(self.matrix[np.ix_(rows, rows)])

    def differences(self) -> Kernel:
        half = len(self.matrix) // 2
        above, below = self.matrix[:half], self.matrix[half:]
        return Kernel(above[:, :half] - above[:, half:] - below[:, :half] + below[:, half:])


def kernel_of(rows: Any) -> Any:
    """The rows' kernel where they are few, and sparse or wide; else the rows as they are."""
    m, width = rows.shape
    if isinstance(rows, Kernel) or m > DUAL_ROWS or not (sparse.issparse(rows) or width > m):
        return rows
    if not sparse.issparse(rows):
        return Kernel(rows @ rows.T)
    frequent = np.diff(rows.tocsc().indptr) * 64 > m
    common, rare = rows[:, frequent].toarray(), rows[:, ~frequent]
    return Kernel(common @ common.T + (rare @ rare.T).toarray())


def differences(rows: Any) -> Any:
    """chosen - rejected of rows [2 * pairs, width], chosen first."""
    if isinstance(rows, Kernel):
        return rows.differences()
    half = rows.shape[0] // 2
    return rows[:half] - rows[half:]


def smoother_of(rows: Any, folds: Ints) -> Smoother:
    """The one that suits these rows: an array, a CSR matrix, or a Kernel."""
    if isinstance(rows, Kernel):
        return Dual(rows.matrix, folds)
    if sparse.issparse(rows):
        return Iterated(rows, folds)
    return Primal(rows, folds)


class Primal:
    """By the Gram matrix of the features: width³ / 3 for each fold."""

    def __init__(self, rows: Matrix, folds: Ints) -> None:
        self.rows, self.folds = rows, folds
        self.inside = [np.flatnonzero(folds == k) for k in range(int(folds.max()) + 1)]
        grams = [_gram(rows[inside]) for inside in self.inside]
        total = np.sum(grams, axis=0)
        self.factors = []
        for gram in grams:
            left = (total - gram).astype(rows.dtype)
            left[np.diag_indices_from(left)] += PENALTY
            self.factors.append(cho_factor(left, lower=True, overwrite_a=True, check_finite=False))

    def held_out(self, labels: Labels) -> Matrix:
        pulls = [self.rows[inside].T @ labels[inside].astype(self.rows.dtype) for inside in self.inside]
        total = np.sum(pulls, axis=0)
        scores = np.empty(labels.shape, dtype=self.rows.dtype)
        for inside, factor, pull in zip(self.inside, self.factors, pulls, strict=True):
            scores[inside] = self.rows[inside] @ cho_solve(factor, total - pull, check_finite=False)
        return scores

    def fitted(self, labels: Labels) -> Matrix:
        pulls = [self.rows[inside].T @ labels[inside].astype(self.rows.dtype) for inside in self.inside]
        total = np.sum(pulls, axis=0)
        sides = [total - pull for pull in pulls]
        return self._on_the_others(sides)

    def adjoint(self, slopes: Matrix) -> Matrix:
        return self._on_the_others([self.rows[inside].T @ slopes[inside] for inside in self.inside])

    def _on_the_others(self, sides: list[Matrix]) -> Matrix:
        weights = np.stack(
            [cho_solve(f, side.astype(self.rows.dtype)) for f, side in zip(self.factors, sides, strict=True)],
            axis=1,
        )
        return _outside(self.rows @ weights, self.folds)


class Dual:
    """By the kernel matrix of the rows: m³ / 3 for each fold."""

    def __init__(self, kernel: Matrix, folds: Ints) -> None:
        self.kernel, self.folds = kernel, folds
        self.inside = [np.flatnonzero(folds == k) for k in range(int(folds.max()) + 1)]
        self.others = [np.flatnonzero(folds != k) for k in range(len(self.inside))]
        self.factors = []
        for others in self.others:
            left = kernel[np.ix_(others, others)]
            left[np.diag_indices_from(left)] += PENALTY
            self.factors.append(cho_factor(left, lower=True, overwrite_a=True, check_finite=False))

    def held_out(self, labels: Labels) -> Matrix:
        scores = np.empty(labels.shape, dtype=self.kernel.dtype)
        for inside, others, factor in zip(self.inside, self.others, self.factors, strict=True):
            weights = cho_solve(factor, labels[others].astype(self.kernel.dtype), check_finite=False)
            scores[inside] = self.kernel[np.ix_(inside, others)] @ weights
        return scores

    def fitted(self, labels: Labels) -> Matrix:
        by_fold = np.zeros((len(labels), len(self.inside)), dtype=self.kernel.dtype)
        for k, (others, factor) in enumerate(zip(self.others, self.factors, strict=True)):
            wanted = labels[others].astype(self.kernel.dtype)
            by_fold[others, k] = wanted - PENALTY * cho_solve(factor, wanted, check_finite=False)
        return by_fold

    def adjoint(self, slopes: Matrix) -> Matrix:
        """(K_tt + penalty)⁻¹ K_tk slopes: what `Primal` calls X_t M⁻¹ X_kᵀ slopes, by the push-through identity."""
        by_fold = np.zeros((len(slopes), len(self.inside)), dtype=self.kernel.dtype)
        for k, (inside, others) in enumerate(zip(self.inside, self.others, strict=True)):
            pulled = self.kernel[np.ix_(others, inside)] @ slopes[inside].astype(self.kernel.dtype)
            by_fold[others, k] = cho_solve(self.factors[k], pulled, check_finite=False)
        return by_fold


class Iterated:
    """By conjugate gradients (Hestenes and Stiefel 1952) on sparse rows; every fold's system in one block."""

    def __init__(self, rows: sparse.csr_matrix, folds: Ints, count: int | None = None) -> None:
        """`count`: folds, where some of them may have no row here."""
        self.rows, self.folds = rows, folds
        self.transposed = rows.T.tocsr()
        self.seen = (folds[:, None] != np.arange(count or int(folds.max()) + 1)).astype(rows.dtype)

    def held_out(self, labels: Labels) -> Matrix:
        columns = [self._chosen(self.rows @ self.weights(labels[:, j])) for j in range(labels.shape[1])]
        return np.stack(columns, axis=1)

    def fitted(self, labels: Labels) -> Matrix:
        return _outside(self.rows @ self.weights(labels), self.folds)

    def adjoint(self, slopes: Matrix) -> Matrix:
        side = self.transposed @ ((1 - self.seen) * slopes[:, None].astype(self.rows.dtype))
        return _outside(self.rows @ self._solved(side), self.folds)

    def weights(self, labels: Labels) -> Matrix:
        """Of each fold's probe: [width, folds]."""
        return self._solved(self.transposed @ (self.seen * labels[:, None].astype(self.rows.dtype)))

    def _chosen(self, scores: Matrix) -> Matrix:
        return scores[np.arange(len(scores)), self.folds]

    def _solved(self, sides: Matrix) -> Matrix:
        solution = np.zeros_like(sides)
        left, direction = sides.copy(), sides.copy()
        size = first = np.einsum("ij,ij->j", left, left)
        for _ in range(STEPS):
            pushed = self.transposed @ (self.seen * (self.rows @ direction)) + PENALTY * direction
            curvature = np.einsum("ij,ij->j", direction, pushed)
            step = np.divide(size, curvature, out=np.zeros_like(size), where=curvature > 0)
            solution += step * direction
            left -= step * pushed
            after = np.einsum("ij,ij->j", left, left)
            if (after <= TOLERANCE**2 * first).all():
                break
            direction = left + np.divide(after, size, out=np.zeros_like(size), where=size > 0) * direction
            size = after
        return solution


def _outside(values: Matrix, folds: Ints) -> Matrix:
    values[np.arange(len(values)), folds] = 0
    return values


def _gram(rows: Matrix) -> Matrix:
    """Sum of outer products, in double precision over blocks of rows."""
    products = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), 1 << 15):
        block = rows[start : start + (1 << 15)]
        products += block.T @ block
    return products
