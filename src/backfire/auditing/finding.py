"""The third step of an audit: what the pairs show, one finding after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backfire.answers.audit import Confounds, Overlap, SafetyContrast, Shortcut, SourceLeak
from backfire.auditing.audited_pairs import AuditedPairs, Keys
from backfire.auditing.findings.evaluation_sets import evaluation_sets
from backfire.auditing.findings.generation_traces import generation_traces
from backfire.auditing.findings.repeats import overlap, repeats
from backfire.auditing.findings.safety_contrast import safety_contrast
from backfire.auditing.findings.shortcuts import shortcuts
from backfire.auditing.findings.source_leak import source_leak
from backfire.auditing.inputs import Inputs
from backfire.auditing.measuring import Measurements
from backfire.auditing.probes.folds import Split
from backfire.auditing.reading import PairsRead
from backfire.auditing.steps import Steps
from backfire.auditing.text_pass import asked_signatures
from backfire.preferences import Preferences
from backfire.texts import text_keys


@dataclass(frozen=True)
class Findings:
    """What the pairs show beside the probes' numbers."""

    source_leak: SourceLeak | None
    shortcuts: tuple[Shortcut, ...]
    confounds: Confounds
    safety_contrast: SafetyContrast


def find(pairs: PairsRead, measured: Measurements, inputs: Inputs, steps: Steps) -> Findings:
    """Look for a source leak, shortcuts, confounds, and how the sides' decisions differ."""
    audited, split, words = pairs.audited, pairs.split, measured.words
    with steps.step("sources"):
        features = np.zeros((2 * len(audited.sample), 1)) if words is None else words.features
        leak = source_leak(audited, split, features)
    cues: tuple[Shortcut, ...] = ()
    if words is not None:
        with steps.step("shortcuts", 3):
            cues = shortcuts(audited, split, words.features, words.vocabulary)
    with steps.step("confounds"):
        confounds = _confounds(audited, split, inputs.overlap)
    return Findings(leak, cues, confounds, safety_contrast(audited))


def _confounds(audited: AuditedPairs, split: Split, other: Preferences | None) -> Confounds:
    sets, looked_for = evaluation_sets(audited)
    return Confounds(
        **generation_traces(audited, split)._asdict(),
        repeats=repeats(audited),
        evaluation_sets=sets,
        evaluation_sets_checked=looked_for,
        overlap=None if other is None else _overlap(audited, other),
    )


def _overlap(audited: AuditedPairs, data: Preferences) -> Overlap:
    keys: list[Keys] = [np.zeros(0, dtype=np.uint64)]
    signed: list[NDArray[np.uint32]] = []
    for block in data.blocks():
        keys.append(text_keys(block["prompt"]))
        signed.append(asked_signatures(block))
    mine = audited.prompt_signatures
    both = None if mine is None or not signed else (mine, np.vstack(signed))
    return overlap(audited, data.origin, np.concatenate(keys), both)
