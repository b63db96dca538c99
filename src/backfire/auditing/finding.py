"""The third step of an audit: what the pairs show, one finding after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backfire.answers.audit import SafetyContrast, Shortcut, SourceLeak
from backfire.answers.conclusion import SideLengths
from backfire.answers.confounds import Confounds
from backfire.auditing.affected import Affected, affected_by_defects, of_pairs, of_prompts
from backfire.auditing.audited_pairs import AuditedPairs, Ints, Keys
from backfire.auditing.findings.evaluation_sets import item_numbers, sets_of
from backfire.auditing.findings.generation_traces import affected_by_traces, generation_traces
from backfire.auditing.findings.repeated import repeated
from backfire.auditing.findings.repeats import (
    Shared,
    affected_by_repeats,
    overlap_of,
    repeats,
    shared_prompts,
)
from backfire.auditing.findings.safety_contrast import safety_contrast
from backfire.auditing.findings.shortcuts import shortcuts_and_rows
from backfire.auditing.findings.side_lengths import affected_by_length, side_lengths
from backfire.auditing.findings.single_texts import affected_by_single_texts, single_texts
from backfire.auditing.findings.source_leak import source_leak
from backfire.auditing.findings.wrong_way_round import (
    affected_by_turned,
    score_contradiction,
    swapped_columns,
)
from backfire.auditing.inputs import Inputs
from backfire.auditing.measuring import Measurements
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
        confounds, affected = _confounds(pairs, inputs.overlap)
        lengths = side_lengths(audited, split, measured.tokens)
    affected += affected_by_defects(pairs.data.defects) + rows_of_cues
    if lengths[0].longer.hits * 2 != lengths[0].longer.scored:
        affected.append(affected_by_length(audited, lengths[0]))
    if leak is not None and leak.fixed:
        affected.append(of_pairs("fixed-sources", audited.sources.known(), audited.rows))
    return Findings(leak, cues, confounds, safety_contrast(audited), lengths, tuple(affected))


def _confounds(pairs: PairsRead, other: Preferences | None) -> tuple[Confounds, list[Affected]]:
    audited, split = pairs.audited, pairs.split
    repeating, items = repeated(audited), item_numbers(audited)
    sets, looked_for = sets_of(audited, items, pairs.blocks)
    shared = None if other is None else _shared(audited, other)
    traces = generation_traces(audited, split)
    swapped, turned = swapped_columns(audited)
    scores, against = score_contradiction(audited, pairs.data.columns.get("scores", ()))
    confounds = Confounds(
        **traces._asdict(),
        **single_texts(audited, split)._asdict(),
        repeats=repeats(audited, repeating),
        evaluation_sets=sets,
        evaluation_sets_checked=looked_for,
        overlap=None if other is None or shared is None else overlap_of(audited, other.origin, shared),
        swapped_columns=swapped,
        score_contradiction=scores,
    )
    affected = [
        *affected_by_repeats(audited, repeating),
        *affected_by_traces(audited),
        *affected_by_single_texts(audited, stops_recorded=traces.truncated is not None),
        *affected_by_turned(turned, against, audited),
    ]
    if items:
        kinds = [(name, numbers > 0) for name, numbers in items.items()]
        affected.append(of_prompts("contamination", kinds, audited.rows, list(items.values())))
    if shared is not None:
        rows = {"the same prompt": shared.exact} | (
            {} if shared.near is None else {"nearly the same prompt": shared.near}
        )
        kinds = [(kind, others > 0) for kind, others in rows.items()]
        affected.append(of_prompts("overlap", kinds, audited.rows, list(rows.values())))
    return confounds, [found for found in affected if len(found.rows)]


def _shared(audited: AuditedPairs, data: Preferences) -> Shared:
    keys: list[Keys] = [np.zeros(0, dtype=np.uint64)]
    rows: list[Ints] = [np.zeros(0, dtype=np.int64)]
    signed: list[NDArray[np.uint32]] = []
    for block in data.blocks():
        keys.append(text_keys(block["prompt"]))
        rows.append(block["row"].to_numpy())
        signed.append(asked_signatures(block))
    mine = audited.prompt_signatures
    both = None if mine is None or not signed else (mine, np.vstack(signed))
    return shared_prompts(audited, np.concatenate(keys), both, np.concatenate(rows))
