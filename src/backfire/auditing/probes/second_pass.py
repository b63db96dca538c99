"""The probes of a sample's words, asked of every pair of a large data set in a second pass over its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from backfire.auditing.audited_pairs import AuditedPairs, Ints
from backfire.auditing.probes.crossfit import centred, right_of
from backfire.auditing.probes.folds import Split
from backfire.auditing.probes.held_out import Measured, Number, told_by
from backfire.auditing.probes.probe import MeasuredProbe, matched_of, strata_of
from backfire.auditing.probes.ranking import auroc, cells_of
from backfire.auditing.probes.smoothers import Iterated
from backfire.auditing.probes.uncertainty import Values
from backfire.auditing.probes.v_information import bits_of
from backfire.auditing.text_pass import in_order_of
from backfire.texts import Vocabulary

Scores = tuple[Values, Values, Values]


def on_all_pairs(
    probe: MeasuredProbe,
    features: sparse.csr_matrix,
    vocabulary: Vocabulary,
    blocks: Iterable[pa.RecordBatch],
    audited: AuditedPairs,
    split: Split,
    advance: Callable[[int], None] | None = None,
) -> MeasuredProbe:
    """The probe of a part of the sample, read off every pair by probes of the whole sample (`features` [2 * sample, width]).

    A pair of fold k is scored by the probe of the sample's pairs outside fold k, which has not seen its prompt. Intervals
    add what the part showed of the fitting to the held-out variance of all pairs; controls are the part's.
    """
    scores, margins, within = _scored(features, vocabulary, blocks, audited, split, advance)
    pairs = np.arange(split.pairs)
    folds = np.concatenate([split.folds, split.folds])
    scale = len(probe.pairs) / len(audited.sample)
    measured = _measured(probe.measured, centred(scores, folds), margins, split, None, scale)
    matched, answer, alike = probe.matched, probe.answer.decision_matched, probe.matched_pairs
    if matched is not None:
        alike = np.flatnonzero(audited.decides_alike())
        strata = strata_of(audited, alike)
        sides = np.concatenate([alike, alike + split.pairs])
        matched = _measured(
            matched, centred(within[sides], folds[sides]), margins[alike], split.subset(alike), strata, scale
        )
        answer = matched_of(matched, alike, strata)
    whole = probe.answer.model_copy(
        update={
            "pairs": split.pairs,
            "pointwise": measured.pointwise,
            "pointwise_accuracy": measured.pointwise_accuracy,
            "pairwise": measured.pairwise,
            "v_information": measured.v_information,
            "decision_matched": answer,
            "about": f"{probe.answer.about}, fitted on {len(audited.sample):,} pairs",
        }
    )
    return MeasuredProbe(whole, measured, pairs, matched, alike)


def _scored(
    features: sparse.csr_matrix,
    vocabulary: Vocabulary,
    blocks: Iterable[pa.RecordBatch],
    audited: AuditedPairs,
    split: Split,
    advance: Callable[[int], None] | None,
) -> Scores:
    """Pointwise scores [2 * pairs], margins [pairs], and scores of the decision-matched probe [2 * pairs]."""
    weights = _weights(features, audited, split)
    count = split.count
    folds = np.asarray(split.folds)
    scores, within, margins = np.empty(2 * split.pairs), np.empty(2 * split.pairs), np.empty(split.pairs)

    def read(block: pa.RecordBatch) -> tuple[Any, Any]:
        chosen, rejected = (vocabulary.features(block[side]) @ weights for side in ("chosen", "rejected"))
        return chosen, rejected

    start = 0
    for chosen, rejected in in_order_of(blocks, read):
        end = start + len(chosen)
        row, fold = np.arange(len(chosen)), folds[start:end]
        for place, side in ((start, chosen), (split.pairs + start, rejected)):
            scores[place : place + len(side)] = side[row, fold]
            within[place : place + len(side)] = side[row, 2 * count + fold]
        margins[start:end] = (chosen - rejected)[row, count + fold]
        if advance is not None:
            advance(end - start)
        start = end
    return scores, margins, within


def _weights(features: sparse.csr_matrix, audited: AuditedPairs, split: Split) -> Any:
    """Pointwise, pairwise and decision-matched probes of each fold, side by side: [width, 3 * folds]."""
    pairs = len(audited.sample)
    folds = split.folds[audited.sample]
    both = np.concatenate([folds, folds])
    labels = np.repeat([1.0, -1.0], pairs)
    inside = np.flatnonzero(audited.decides_alike()[audited.sample])
    sides = np.concatenate([inside, inside + pairs])
    weights = [
        Iterated(features, both, split.count).weights(labels),
        Iterated(features[:pairs] - features[pairs:], folds, split.count).weights(np.ones(pairs)),
        Iterated(features[sides], both[sides], split.count).weights(labels[sides]),
    ]
    return np.hstack(weights)


def _measured(
    part: Measured, scores: Values, margins: Values, split: Split, strata: Ints | None, scale: float
) -> Measured:
    pairs = split.pairs
    folds = np.concatenate([split.folds, split.folds])
    chosen = np.repeat([True, False], pairs)

    def area(within: Ints | None, known: Number) -> Number:
        value, own = auroc(scores, chosen, cells_of(folds, within, chosen))
        return told_by(value, own[:pairs] + own[pairs:], split, known, scale)

    right = right_of(scores * np.where(chosen, 1, -1))
    each = (right[:pairs] + right[pairs:]) / 2
    in_order = right_of(margins)
    bits = bits_of(margins[:, None], split.folds)[0][:, 0]
    of_each = {}
    if strata is not None:
        of_each = {
            stratum: area(np.where(strata == stratum, stratum, -1), known)
            for stratum, known in part.strata.items()
        }
    return Measured(
        area(strata, part.auroc),
        told_by(each.mean(), (each - each.mean()) / pairs, split, part.accuracy, scale),
        told_by(in_order.mean(), (in_order - in_order.mean()) / pairs, split, part.pairwise_accuracy, scale),
        told_by(bits.mean(), (bits - bits.mean()) / pairs, split, part.information, scale, bounded=False),
        scores,
        margins,
        bits,
        part.bits_swapped,
        of_each,
    )
