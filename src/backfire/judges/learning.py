"""Logistic regression whose weights may be told their direction, its strength chosen on groups that it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDS = 5


@dataclass(frozen=True)
class Weights:
    """A linear score: `features @ coefficients + intercept`, in logits."""

    coefficients: NDArray[np.float64]
    intercept: float

    def score(self, features: Any) -> NDArray[np.float64]:
        """Logits: float64 [cases]. features: [cases, columns], dense or sparse."""
        scores: NDArray[np.float64] = features @ self.coefficients + self.intercept
        return scores


def fit(
    features: Any,
    labels: NDArray[np.bool_],
    signs: NDArray[np.int8],
    strength: float,
    *,
    expected: NDArray[np.float64] | None = None,
    start: Weights | None = None,
) -> Weights:
    """Maximise the penalised likelihood within the signs, by L-BFGS-B.

    Args:
        features: [cases, columns], dense or scipy sparse.
        signs: [columns]; +1: never below 0, -1: never above 0, 0: free.
        expected: [columns]; what the penalty draws the weights to, 0 if not given.
        start: where to begin; it changes the time, not the result.
    """
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    sides = np.where(labels, 1.0, -1.0)
    centre = np.zeros(features.shape[1]) if expected is None else expected

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = sides * (features @ weights[:-1] + weights[-1])
        pull = -sides * expit(-margins)
        off = weights[:-1] - centre
        slope = np.append(features.T @ pull + off / strength, pull.sum())
        return float(np.logaddexp(0, -margins).sum() + off @ off / 2 / strength), slope

    bounds = [(0, None) if sign > 0 else (None, 0) if sign < 0 else (None, None) for sign in signs]
    begin = np.zeros(features.shape[1] + 1)
    if start is not None:
        begin[:-1], begin[-1] = start.coefficients, start.intercept
    optimum = minimize(
        loss,
        begin,
        jac=True,
        bounds=[*bounds, (None, None)],
        method="L-BFGS-B",
        options={"maxiter": 500, "ftol": 1e-7},
    )
    return Weights(optimum.x[:-1], float(optimum.x[-1]))


def groups_in_folds(groups: Sequence[str], folds: int = FOLDS) -> NDArray[np.int64]:
    """The fold of each case, whole groups together, by a fixed shuffle: int64 [cases]."""
    import numpy as np

    names, each = np.unique(np.array(groups), return_inverse=True)
    order = np.random.default_rng(0).permutation(len(names))
    fold: NDArray[np.int64] = (order % folds)[each]
    return fold


def log_loss(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """The mean log loss of logits, in nats."""
    import numpy as np

    return float(np.logaddexp(0, np.where(labels, -scores, scores)).mean())


def calibrated(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float, float]:
    """(slope, intercept) that turn held-out logits into calibrated ones (Platt 1999, with his smoothed targets)."""
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    hits = int(labels.sum())
    wanted = np.where(labels, (hits + 1) / (hits + 2), 1 / (len(labels) - hits + 2))

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = line[0] * scores + line[1]
        off = expit(logits) - wanted
        return float((np.logaddexp(0, logits) - wanted * logits).sum()), np.array([off @ scores, off.sum()])

    optimum = minimize(
        loss, np.array([1.0, 0.0]), jac=True, bounds=[(1e-3, None), (None, None)], method="L-BFGS-B"
    )
    return float(optimum.x[0]), float(optimum.x[1])
