"""How often one number of each response, such as its length, says by itself which of the two was chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backfire.answers.estimates import Accuracy
from backfire.auditing.probes.folds import Split
from backfire.statistics.clusters import clustered_variance
from backfire.statistics.intervals import share_interval

Values = NDArray[np.float64]


def sign_differences(values: NDArray[np.floating], pairs: int) -> NDArray[np.float32]:
    """Half the sign of chosen - rejected: [pairs, ...], of values [2 * pairs, ...].

    Its mean over pairs, plus .5, is the share of pairs in which the larger value is the chosen one, ties counting half.
    """
    return (np.sign(values[:pairs] - values[pairs:]) / 2).astype(np.float32)


def pairwise_alone(values: NDArray[np.floating], split: Split) -> Accuracy:
    """Pairwise accuracy of one value a response, [2 * pairs], and what it is on swapped labels.

    Whether the larger or the smaller value speaks for a response is decided by the other folds. The interval takes that
    direction as given; prompts are clustered.
    """
    apart = sign_differences(values, split.pairs).astype(np.float64)
    folds = [np.flatnonzero(split.folds == fold) for fold in np.unique(split.folds)]
    sums = np.array([[apart[i].sum(), *split.subset(i).swapped_sums(apart[i])] for i in folds])
    directions = np.sign(np.round(sums.sum(axis=0) - sums, 6))
    shares = np.clip(0.5 + (directions * sums).sum(axis=0) / split.pairs, 0, 1)
    value, swapped = float(shares[0]), shares[1:]
    right = np.empty(split.pairs)
    for direction, inside in zip(directions[:, 0], folds, strict=True):
        right[inside] = 0.5 + direction * apart[inside]
    variance = clustered_variance((right - value) / split.pairs, split.groups)
    low, high = share_interval(value, variance, split.prompts)
    return Accuracy(
        accuracy=value,
        low=low,
        high=high,
        control=float(swapped.mean()),
        control_high=float(np.quantile(swapped, 0.95)),
        p=(1 + int(np.count_nonzero(swapped >= value - 1e-12))) / (1 + len(swapped)),
        swaps=len(swapped),
        control_pairs=split.pairs,
    )
