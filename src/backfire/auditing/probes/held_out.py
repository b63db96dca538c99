"""One probe, measured: held-out AUROC, accuracies and V-information with intervals and swapped controls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from backfire.answers.estimates import Accuracy, Auroc, Bits
from backfire.auditing.audited_pairs import Ints
from backfire.auditing.probes.crossfit import Crossfit, crossfit
from backfire.auditing.probes.folds import Split
from backfire.auditing.probes.smoothers import DUAL_ROWS, Kernel, kernel_of
from backfire.auditing.probes.uncertainty import (
    Swapped,
    Values,
    control_of,
    variance_of,
)
from backfire.statistics.clusters import clustered_variance
from backfire.statistics.intervals import mean_interval, share_interval, student_quantile

DENSE_CONTROL_PAIRS = 20_000
SPARSE_CONTROL_PAIRS = DUAL_ROWS // 2
"""Swaps of larger sets are refitted on so many pairs, drawn by whole prompts; `control_pairs` says so."""
CLIP = 6.0
LARGE = 100_000
"""Above so many rows, and above 256 columns, features are kept in single precision."""


@dataclass(frozen=True)
class Number:
    """A cross-fitted number before it gets its name."""

    value: float
    low: float
    high: float
    control: dict[str, Any]
    fitting: float
    """The part of its variance that comes from the fitting of the probes."""
    swapped: Swapped


@dataclass(frozen=True)
class Measured:
    """What one probe tells of the label."""

    auroc: Number
    accuracy: Number
    pairwise_accuracy: Number
    information: Number
    scores: Values
    """Held-out pointwise scores, chosen sides first: [2 * pairs]."""
    margins: Values
    """Held-out pairwise scores: [pairs]; above 0 where the probe is right."""
    bits: Values
    """Pointwise V-information: [pairs]."""
    bits_swapped: Values
    """The same on the first swaps' labels: [pairs of the control, at most 20]."""
    strata: dict[int, Number]
    """AUROC within each stratum that was asked for."""

    @property
    def pointwise(self) -> Auroc:
        return Auroc(auroc=self.auroc.value, low=self.auroc.low, high=self.auroc.high, **self.auroc.control)

    @property
    def pointwise_accuracy(self) -> Accuracy:
        return _accuracy(self.accuracy)

    @property
    def pairwise(self) -> Accuracy:
        return _accuracy(self.pairwise_accuracy)

    @property
    def v_information(self) -> Bits:
        bits = self.information
        return Bits(bits=bits.value, low=bits.low, high=bits.high, **bits.control)

    @property
    def control_aurocs(self) -> Values:
        return self.auroc.swapped.values


def _accuracy(number: Number) -> Accuracy:
    return Accuracy(accuracy=number.value, low=number.low, high=number.high, **number.control)


def prepared(features: Any) -> Any:
    """Scaled, and as a kernel where that is quicker; what is prepared stays as it is, and may be cut by rows."""
    return features if isinstance(features, Kernel) else kernel_of(scaled(features))


def scaled(features: Any) -> Any:
    """Dense columns to mean 0 and deviation 1, clipped, then all by one number to a mean squared row norm of 1.

    Sparse features are taken as they come (TF-IDF rows of norm 1). Uses no label.
    """
    if sparse.issparse(features):
        return features
    kind = np.float32 if features.shape[1] > 256 or len(features) > LARGE else np.float64
    columns = features.astype(kind)
    columns -= columns.mean(axis=0, dtype=np.float64).astype(kind)
    deviation = np.sqrt(np.einsum("ij,ij->j", columns, columns, dtype=np.float64) / max(1, len(columns)))
    size = np.maximum(features.max(axis=0, initial=0), -features.min(axis=0, initial=0))
    varying = deviation > 1e-9 * (1 + size)
    if not varying.any():
        return np.zeros((len(columns), 1))
    if not varying.all():
        columns, deviation = columns[:, varying], deviation[varying]
    columns /= deviation.astype(kind)
    np.clip(columns, -CLIP, CLIP, out=columns)
    columns /= kind(np.sqrt(columns.shape[1]))
    return columns


def measure(
    features: Any, split: Split, *, strata: Ints | None = None, each: tuple[int, ...] = ()
) -> Measured:
    """Cross-fit both probes on features [2 * pairs, width], the chosen rows first.

    Pointwise: which responses were chosen? Pairwise: the same on differences chosen - rejected, an odd function of
    them. AUROC compares sides of one fold and, with `strata` [2 * pairs], of one stratum; -1 takes no part in it, and
    `each` names strata whose own AUROC is wanted.
    Everything is the mean over `split.divisions()`.

    Raises ValueError where `folds.too_few` has a reason: ask it first.
    """
    return measure_prepared(prepared(features), split, strata=strata, each=each)


def measure_prepared(
    rows: Any, split: Split, *, strata: Ints | None = None, each: tuple[int, ...] = ()
) -> Measured:
    """`measure` of what `prepared` gave, or of some of its rows."""
    most = SPARSE_CONTROL_PAIRS if sparse.issparse(rows) else DENSE_CONTROL_PAIRS
    if split.pairs <= most:
        return _measured(rows, split, strata, each, None)
    part = split.part(most)
    sides = np.concatenate([part, part + split.pairs])
    small = _measured(
        kernel_of(rows[sides]), split.subset(part), None if strata is None else strata[sides], each, None
    )
    return _measured(rows, split, strata, each, small)


def _measured(
    rows: Any, split: Split, strata: Ints | None, each: tuple[int, ...], part: Measured | None
) -> Measured:
    """Everything on these pairs; the control is theirs, or that of the `part` which was measured before."""
    signs = np.ones((split.pairs, 1), dtype=np.int8)
    if part is None:
        signs = np.hstack([signs, split.swaps])
    divisions = [
        crossfit(rows, signs, folds, strata, each, trained=part is None) for folds in split.divisions()
    ]
    return Measured(
        _number([one.auroc for one in divisions], split, None if part is None else part.auroc),
        _number([one.accuracy for one in divisions], split, None if part is None else part.accuracy),
        _number([one.pairwise for one in divisions], split, None if part is None else part.pairwise_accuracy),
        _number(
            [one.information for one in divisions],
            split,
            None if part is None else part.information,
            bounded=False,
        ),
        np.mean([one.scores for one in divisions], axis=0),
        np.mean([one.margins for one in divisions], axis=0),
        np.mean([one.bits for one in divisions], axis=0),
        np.mean([one.bits_swapped for one in divisions], axis=0) if part is None else part.bits_swapped,
        {
            stratum: _number(
                [one.strata[stratum] for one in divisions],
                split,
                None if part is None else part.strata[stratum],
            )
            for stratum in divisions[0].strata
        },
    )


def _number(divisions: list[Crossfit], split: Split, part: Number | None, *, bounded: bool = True) -> Number:
    """The mean over divisions with its interval; the control is its own, or that of the `part` of the pairs.

    Swaps say what noise does to a share of one half. Near 0 or 1 it does less: as much as a binomial's deviation is
    smaller there, which is what simulated cues of up to .99 need for intervals that cover.
    """
    value = float(np.mean([one.values[0] for one in divisions]))
    testing = np.mean([one.testing[:, 0] for one in divisions], axis=0)
    if part is not None:
        return told_by(value, testing, split, part, part.swapped.pairs / split.pairs, bounded=bounded)
    values = np.mean([one.values[1:] for one in divisions], axis=0)
    tested = np.mean([one.testing[:, 1:] for one in divisions], axis=0)
    swapped = Swapped(
        values,
        np.array([clustered_variance(column, split.groups) for column in tested.T]),
        float(np.mean([one.noise for one in divisions])),
        split.pairs,
    )
    noise = swapped.noise * (2 * np.sqrt(value * (1 - value)) if bounded else 1.0)
    variance = variance_of(
        testing,
        np.mean([one.training for one in divisions], axis=0),
        split.groups,
        replace(swapped, noise=noise),
    )
    fitting = max(0.0, variance - clustered_variance(testing, split.groups))
    low, high = _interval(value, variance, split, bounded)
    return Number(value, low, high, control_of(value, swapped), fitting, swapped)


def told_by(
    value: float, testing: Values, split: Split, part: Number, scale: float, *, bounded: bool = True
) -> Number:
    """A number of many pairs whose fitting and control were looked at on a `part` of them.

    What fitting adds to the variance falls at least as 1 / pairs: `scale` is the part's share of the training pairs. Of
    shares it is carried over in log odds, for near 1 it moves them less.
    """
    spread = part.value * (1 - part.value)
    steeper = value * (1 - value) / spread if bounded and spread > 0 else 1.0
    fitting = part.fitting * scale * steeper**2
    variance = clustered_variance(testing, split.groups) + fitting
    low, high = _interval(float(value), variance, split, bounded)
    return Number(float(value), low, high, part.control, fitting, part.swapped)


def _interval(value: float, variance: float, split: Split, bounded: bool) -> tuple[float, float]:
    quantile = student_quantile(max(1, split.prompts - 1))
    if not bounded:
        return mean_interval(value, variance, quantile)
    return share_interval(value, variance, split.prompts, quantile)
