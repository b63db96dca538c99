"""One probe: measured on all pairs, and again on those whose two sides make the same decision."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np

from backfire.answers.estimates import Matched, ProbeResult, PromptKind, Stratum
from backfire.auditing.audited_pairs import KINDS, REFUSE, AuditedPairs, Ints
from backfire.auditing.probes.folds import Split, too_few
from backfire.auditing.probes.held_out import Measured, measure_prepared, prepared

FEWEST_IN_STRATUM = 20
"""A stratum of fewer pairs takes part in the average, and has no number of its own."""


class MeasuredProbe(NamedTuple):
    """A probe, as the answer has it, and what it was made of."""

    answer: ProbeResult
    measured: Measured
    pairs: Ints
    """Which pairs of the data set."""
    matched: Measured | None
    matched_pairs: Ints


def measure_probe(
    name: str, about: str, features: Any, pairs: Ints, audited: AuditedPairs, split: Split
) -> MeasuredProbe:
    """Measure features [2 * len(pairs), width], chosen rows first, of these pairs (indices, ascending)."""
    features = prepared(features)
    measured = measure_prepared(features, split.subset(pairs))
    matched, within, alike = _matched(features, pairs, audited, split)
    answer = ProbeResult(
        probe=name,
        about=about,
        pairs=len(pairs),
        pointwise=measured.pointwise,
        pointwise_accuracy=measured.pointwise_accuracy,
        pairwise=measured.pairwise,
        decision_matched=matched,
        v_information=measured.v_information,
    )
    return MeasuredProbe(answer, measured, pairs, within, alike)


def strata_of(audited: AuditedPairs, pairs: Ints) -> Ints:
    """Kind of prompt and decision of pairs whose sides decide alike, as one number: [2 * pairs], both sides the same."""
    code = audited.kinds[pairs].astype(np.int64) * 2 + (audited.decisions[pairs, 0] == REFUSE)
    return np.concatenate([code, code])


def _matched(
    features: Any, pairs: Ints, audited: AuditedPairs, split: Split
) -> tuple[Matched, Measured | None, Ints]:
    """The probe again where refusing or complying cannot be what tells the sides apart."""
    inside = np.flatnonzero(audited.decides_alike()[pairs])
    alike = pairs[inside]
    division = split.subset(alike)
    if reason := too_few(division):
        return Matched(pairs=len(alike), reason=f"of pairs that decide alike, {reason}"), None, alike
    strata = strata_of(audited, alike)
    numbers, counts = np.unique(strata[: len(alike)], return_counts=True)
    large = tuple(int(n) for n, c in zip(numbers, counts, strict=True) if c >= FEWEST_IN_STRATUM)
    if len(alike) < len(pairs):
        features = features[np.concatenate([inside, inside + len(pairs)])]
    measured = measure_prepared(features, division, strata=strata, each=large)
    return matched_of(measured, alike, strata), measured, alike


def matched_of(measured: Measured, alike: Ints, strata: Ints) -> Matched:
    """The answer's part, with the numbers of every large stratum."""
    numbers, counts = np.unique(strata[: len(alike)], return_counts=True)
    return Matched(
        pairs=len(alike),
        **measured.pointwise.model_dump(),
        strata=tuple(_stratum(int(n), int(c), measured) for n, c in zip(numbers, counts, strict=True)),
    )


def _stratum(number: int, pairs: int, measured: Measured) -> Stratum:
    area = measured.strata.get(number)
    numbers = (
        {}
        if area is None
        else {
            "auroc": area.value,
            "low": area.low,
            "high": area.high,
            "control": area.control["control"],
        }
    )
    return Stratum(
        kind=cast(PromptKind, KINDS[number // 2]),
        decision="refuse" if number % 2 else "comply",
        pairs=pairs,
        **numbers,
    )


def sampled(audited: AuditedPairs, split: Split, most: int) -> tuple[Ints, Any]:
    """At most `most` pairs of the sample, whole prompts: their indices in the data set, and their rows of text."""
    within = split.subset(audited.sample).part(most)
    return audited.sample[within], audited.text.take(within)
