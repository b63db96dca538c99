"""What a probe loses when a cue is taken away from it and it is fitted again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backfire.answers.audit import Loss
from backfire.auditing.audited_pairs import Ints
from backfire.auditing.probes.folds import Split
from backfire.auditing.probes.held_out import scaled
from backfire.auditing.probes.ranking import auroc, auroc_slopes, cells_of
from backfire.auditing.probes.smoothers import Dual, Primal, Smoother, kernel_of
from backfire.auditing.probes.uncertainty import Values
from backfire.statistics.clusters import clustered_variance
from backfire.statistics.intervals import mean_interval

SWAPS = 24
"""Label swaps that each refit is repeated on."""
DENSE_PAIRS = 5_000
"""Probes on surface cues are refitted on at most so many pairs, drawn by whole prompts."""
SPARSE_PAIRS = 1_000
"""Probes on words likewise."""


class _Probe(NamedTuple):
    """One probe on the true labels (first) and on the swapped ones."""

    aurocs: Values
    testing: Values
    """Influence of each pair on the first AUROC through its own held-out scores: [pairs]."""
    training: Values
    """And through the probes fitted on it."""
    noise: float
    """Variance of the scores on swapped labels over that on the true ones, at most 1."""


class Refits:
    """The whole probe on the true labels and on a few swaps, to compare the same probe without a cue with it."""

    def __init__(self, split: Split, whole: Smoother) -> None:
        self.split = split
        signs = np.hstack([np.ones((split.pairs, 1), dtype=np.int8), split.swaps[:, :SWAPS]])
        self.labels = np.vstack([signs, -signs])
        self.folds = np.tile(split.folds, 2)
        self.whole = self._measured(whole)

    def loss(self, smoother: Smoother) -> Loss:
        """The interval is paired: of the difference of both probes' influences, as held-out and as training pairs.

        As in `uncertainty.variance_of`, the infinitesimal jackknife counts what two pairs' noise does together twice; the
        swaps show how much that is in either probe, and it is taken off once.
        """
        whole, left, groups = self.whole, self._measured(smoother), self.split.groups
        lost = whole.aurocs - left.aurocs
        held_out, fitting = whole.testing - left.testing, whole.training - left.training
        together = np.sqrt(whole.noise) * whole.aurocs[1:] - np.sqrt(left.noise) * left.aurocs[1:]
        jackknife = clustered_variance(held_out + fitting, groups) - float(together.var(ddof=1))
        low, high = mean_interval(float(lost[0]), max(clustered_variance(held_out, groups), jackknife))
        return Loss(value=float(lost[0]), low=low, high=high, control=float(lost[1:].mean()))

    def _measured(self, smoother: Smoother) -> _Probe:
        scores = smoother.held_out(self.labels).astype(np.float64)
        chosen = self.labels[:, 0] > 0
        cells = cells_of(self.folds, None, chosen)
        areas = [auroc(scores[:, j], self.labels[:, j] > 0, cells) for j in range(scores.shape[1])]
        slopes = auroc_slopes(scores[:, 0], chosen, cells)
        seen = self.folds[:, None] != np.arange(int(self.folds.max()) + 1)
        residual = seen * self.labels[:, :1] - smoother.fitted(self.labels[:, 0])
        training = (smoother.adjoint(slopes) * residual).sum(axis=1)
        pairs, testing, spread = self.split.pairs, areas[0][1], scores.var(axis=0)
        return _Probe(
            np.array([value for value, _ in areas]),
            testing[:pairs] + testing[pairs:],
            training[:pairs] + training[pairs:],
            min(1.0, float(spread[1:].mean() / max(spread[0], 1e-300))),
        )


def dense_losses(features: NDArray[np.floating], dropped: Sequence[Ints], split: Split) -> list[Loss]:
    """Of each of these sets of columns of features [2 * pairs, width], by a plain refit without it."""
    folds = np.tile(split.folds, 2)
    refits = Refits(split, Primal(scaled(features), folds))
    return [refits.loss(Primal(scaled(np.delete(features, one, axis=1)), folds)) for one in dropped]


def sparse_losses(rows: Any, dropped: Sequence[Ints], split: Split) -> list[Loss]:
    """Of each of these sets of columns of CSR rows [2 * pairs, width]; few enough for a kernel matrix."""
    folds = np.tile(split.folds, 2)
    kernel = kernel_of(rows).matrix
    refits = Refits(split, Dual(kernel, folds))
    losses = []
    for columns in dropped:
        taken = rows[:, columns].toarray()
        losses.append(refits.loss(Dual(kernel - taken @ taken.T, folds)))
    return losses
