"""The third step of an audit: what the pairs show, one finding after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backfire.answers.audit import SafetyContrast, Shortcut, SourceLeak
from backfire.answers.conclusion import SideLengths
from backfire.answers.confounds import Confounds
from backfire.auditing.affected import Affected, of_pairs
from backfire.auditing.faults.finding import Looking
from backfire.auditing.faults.registry import looked_for
from backfire.auditing.findings.safety_contrast import safety_contrast
from backfire.auditing.findings.shortcuts import shortcuts_and_rows
from backfire.auditing.findings.side_lengths import affected_by_length, side_lengths
from backfire.auditing.findings.source_leak import source_leak
from backfire.auditing.inputs import Inputs
from backfire.auditing.measuring import Measurements
from backfire.auditing.reading import PairsRead
from backfire.auditing.steps import Steps


@dataclass(frozen=True)
class Findings:
    """What the pairs show beside the probes' numbers."""

    source_leak: SourceLeak | None
    shortcuts: tuple[Shortcut, ...]
    confounds: Confounds
    safety_contrast: SafetyContrast
    lengths: tuple[SideLengths, ...]
    affected: tuple[Affected, ...]
    """Every row of each finding, by its stable name."""


def find(pairs: PairsRead, measured: Measurements, inputs: Inputs, steps: Steps) -> Findings:
    """Look for a source leak, shortcuts, confounds, and how the sides' decisions differ."""
    audited, split, words = pairs.audited, pairs.split, measured.words
    with steps.step("sources"):
        features = np.zeros((2 * len(audited.sample), 1)) if words is None else words.features
        leak = source_leak(audited, split, features)
    cues: tuple[Shortcut, ...] = ()
    rows_of_cues: list[Affected] = []
    if words is not None:
        with steps.step("shortcuts", 3):
            cues, rows_of_cues = shortcuts_and_rows(audited, split, words.features, words.vocabulary)
    with steps.step("confounds"):
        confounds, affected = looked_for(Looking(audited, pairs.blocks, split, pairs.data, inputs.overlap))
        lengths = side_lengths(audited, split, measured.tokens)
    affected += rows_of_cues
    if lengths[0].longer.hits * 2 != lengths[0].longer.scored:
        affected.append(affected_by_length(audited, lengths[0]))
    if leak is not None and leak.fixed:
        affected.append(of_pairs("fixed-sources", audited.sources.known(), audited))
    return Findings(leak, cues, confounds, safety_contrast(audited), lengths, tuple(affected))
