"""Thousands of cues at once: how well each tells the label alone, and which do so beyond chance as a family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backfire.answers.estimates import Estimate
from backfire.auditing.probes.folds import Split
from backfire.statistics.clusters import clustered_variance
from backfire.statistics.intervals import Z95, share_interval

Values = NDArray[np.float64]

BLOCK = 1_024
"""Cues whose swapped AUROCs are in memory at a time."""


@dataclass(frozen=True)
class Scan:
    """Of every cue, in the order of the columns."""

    aurocs: Values
    """Held out: the direction of each fold is that of the others."""
    p: Values
    """Family-wise, over all cues scanned."""
    control: Values
    """Mean over the swaps."""
    control_high: Values
    """95th percentile over the swaps."""


def rank_differences(values: NDArray[np.floating], split: Split) -> NDArray[np.float32]:
    """(rank of chosen - rank of rejected) / sides of the fold: [pairs, cues], of values [2 * pairs, cues].

    Ranks are those among all sides of the fold, ties sharing theirs. No swap of sides changes them, and the mean over
    a fold, plus .5, is the fold's AUROC (Mann and Whitney 1947). For a cue that is there or not it is half the difference.
    """
    pairs = split.pairs
    differences = np.zeros((pairs, values.shape[1]), dtype=np.float32)
    for fold in np.unique(split.folds):
        inside = np.flatnonzero(split.folds == fold)
        both = values[np.concatenate([inside, inside + pairs])]
        for cue in range(values.shape[1]):
            ordered = np.sort(both[:, cue])
            rank = np.searchsorted(ordered, both[:, cue], "left") + np.searchsorted(
                ordered, both[:, cue], "right"
            )
            differences[inside, cue] = (rank[: len(inside)] - rank[len(inside) :]) / (4 * len(inside))
    return differences


def presence_differences(has: sparse.csr_matrix, pairs: int) -> sparse.csr_matrix:
    """The same for cues that are there (1) or not: from [2 * pairs, cues] to [pairs, cues]."""
    return (has[:pairs] - has[pairs:]).astype(np.float32) / 2


def scan(differences: list[Any], split: Split) -> Scan:
    """`differences`: arrays or CSR matrices [pairs, cues], side by side.

    The statistic of a cue is its held-out AUROC above .5 in units of its standard deviation under swaps, so that rare
    cues and common ones stand on one footing. Its p is adjusted for the family by the largest statistic of all cues on
    each swap (Westfall and Young 1993, single step).
    """
    blocks = [
        part[:, start : start + BLOCK] for part in differences for start in range(0, part.shape[1], BLOCK)
    ]
    signs = np.hstack([np.ones((split.pairs, 1), dtype=np.float32), split.swaps.astype(np.float32)])
    aurocs = [_aurocs(block, signs, split) for block in blocks]
    spreads = [_spread(block, split) for block in blocks]
    excess = [
        np.divide(areas - 0.5, spread[:, None], out=np.zeros_like(areas), where=spread[:, None] > 0)
        for areas, spread in zip(aurocs, spreads, strict=True)
    ]
    largest = np.max([part[:, 1:].max(axis=0) for part in excess], axis=0)
    observed = np.concatenate([part[:, 0] for part in excess])
    reached = len(largest) - np.searchsorted(np.sort(largest), observed - 1e-9)
    return Scan(
        np.concatenate([areas[:, 0] for areas in aurocs]),
        (1 + reached) / (1 + len(largest)),
        np.concatenate([areas[:, 1:].mean(axis=1) for areas in aurocs]),
        np.concatenate([np.quantile(areas[:, 1:], 0.95, axis=1) for areas in aurocs]),
    )


def _aurocs(differences: Any, signs: NDArray[np.float32], split: Split) -> Values:
    """[cues, labellings], with the direction that the other folds have under the same labelling."""
    folds = np.unique(split.folds)
    sums = np.stack(
        [
            np.asarray(differences[split.folds == k].T @ signs[split.folds == k], dtype=np.float64)
            for k in folds
        ]
    )
    directions = np.sign(np.round(sums.sum(axis=0) - sums, 6))
    held_out: Values = np.clip(0.5 + (directions * sums).sum(axis=0) / split.pairs, 0, 1)
    return held_out


def _spread(differences: Any, split: Split) -> Values:
    """Standard deviation, over swaps of whole groups, of the AUROC of each cue in a fixed direction."""
    numbers, inverse = np.unique(split.groups, return_inverse=True)
    ones = np.ones(split.pairs, dtype=np.float32)
    within = sparse.csr_matrix((ones, (inverse, np.arange(split.pairs))), shape=(len(numbers), split.pairs))
    sums = within @ differences
    squares = sums.multiply(sums) if sparse.issparse(sums) else sums * sums
    return np.sqrt(np.asarray(squares.sum(axis=0), dtype=np.float64).ravel()) / split.pairs


def interval_alone(values: Values, direction: float, split: Split) -> tuple[float, float]:
    """95% interval, prompts clustered, of the AUROC of one cue with values [2 * pairs], its direction taken as given."""
    from backfire.auditing.probes.ranking import auroc, cells_of

    chosen = np.arange(len(values)) < split.pairs
    value, influence = auroc(direction * values, chosen, cells_of(np.tile(split.folds, 2), None, chosen))
    both = influence[: split.pairs] + influence[split.pairs :]
    return share_interval(value, clustered_variance(both, split.groups), split.prompts)


def effect(values: Values, split: Split) -> tuple[Estimate | None, float]:
    """Cohen's d_z of one cue, values [2 * pairs], with its 95% interval, prompts clustered, and the mean over the swaps.

    d_z = mean / standard deviation of the differences chosen - rejected (Cohen 1988). Its interval is the delta method's.
    None where all pairs differ alike, or so nearly that d would be larger than the root of their number: one pair without a
    difference would bring it down to that.
    """
    apart = values[: split.pairs] - values[split.pairs :]
    size = float(np.sqrt(np.mean(apart**2)))
    mean, spread = float(apart.mean()), float(apart.std())
    if size == 0:
        return Estimate(value=0.0, low=0.0, high=0.0), 0.0
    means = split.swapped_sums(apart) / split.pairs
    control = float((means / np.sqrt(np.maximum(size**2 - means**2, 1e-300))).mean())
    if spread * np.sqrt(split.pairs) < size * (1 - 1e-9):
        return None, control
    effect_size = mean / spread
    scaled = (apart - mean) / spread
    influence = (scaled - effect_size / 2 * (scaled**2 - 1)) / split.pairs
    half = Z95 * float(np.sqrt(clustered_variance(influence, split.groups)))
    return Estimate(value=effect_size, low=effect_size - half, high=effect_size + half), control
