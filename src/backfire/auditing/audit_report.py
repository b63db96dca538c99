"""The answer of an audit, put together from what its steps gave."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backfire.answers.audit import AuditReport, Defect, FailedPart
from backfire.answers.conclusion import Conclusion, Input
from backfire.answers.influence import SafetyInfluence
from backfire.answers.topics import Topics
from backfire.auditing.conclusion.reference_points import reference_points
from backfire.auditing.finding import Findings
from backfire.auditing.findings.per_pair import PairColumn, per_pair_of
from backfire.auditing.findings.side_map import side_map
from backfire.auditing.inputs import Inputs
from backfire.auditing.measuring import Measurements
from backfire.auditing.probes.smoothers import PENALTY
from backfire.auditing.probes.uncertainty import INTERVAL
from backfire.auditing.reading import PairsRead
from backfire.auditing.settings import AuditSettings

ROWS_LISTED = 1_000
"""Row numbers that the answer lists of each defect."""


def report_of(
    pairs: PairsRead,
    measured: Measurements,
    findings: Findings,
    column: PairColumn,
    topics: Topics | None,
    conclusion: Conclusion,
    settings: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> AuditReport:
    """One record of everything. What was not measured is left out."""
    data, audited, probe = pairs.data, pairs.audited, column.probe
    separability = tuple(one.answer for one in measured.probes)
    names = {one.probe for one in separability}
    return AuditReport(
        backfire=version("backfire"),
        dataset=data.origin,
        input=None if data.digest is None else Input(digest=data.digest, rows=data.rows),
        format=data.format,
        columns=data.columns,
        reading=data.notes(),
        rows=data.rows,
        pairs=audited.pairs,
        left_out=pairs.usable - audited.pairs,
        prompts=pairs.split.prompts,
        defects=tuple(
            Defect(kind=kind, count=len(rows), rows=tuple(rows[:ROWS_LISTED]))
            for kind, rows in data.defects.items()
        ),
        separability=separability,
        not_run=measured.not_run,
        failed=tuple(FailedPart(part=part, reason=why) for part, why in measured.failed.items()) or None,
        source_leak=findings.source_leak,
        shortcuts=findings.shortcuts,
        confounds=findings.confounds,
        lengths=findings.lengths,
        safety_contrast=findings.safety_contrast,
        as_trained=measured.trained,
        on_policyness=measured.on_policyness,
        safety_influence=influence_answer(measured, column),
        topics=topics,
        per_pair=None if probe is None else per_pair_of(probe, pairs.split, column.file),
        map=None if probe is None else side_map(probe, audited, pairs.split),
        reference_points=tuple(point for point in reference_points() if point.probe in names),
        conclusion=conclusion,
        interval=INTERVAL,
        settings=dict(settings),
        seconds=dict(seconds),
    )


def influence_answer(measured: Measurements, column: PairColumn) -> SafetyInfluence | None:
    """The predicted influence, with the file that holds each pair's, if one was written."""
    if measured.influence is None:
        return None
    answer, values = measured.influence
    if column.file is None or values is None:
        return answer
    return answer.model_copy(update={"file": str(column.file)})


def settings_of(settings: AuditSettings, inputs: Inputs, pairs: PairsRead) -> dict[str, Any]:
    """What the answer says of its settings: those that had an effect."""
    policy = inputs.policy
    stated = {
        "seed": settings.seed,
        "controls": settings.controls,
        "folds": settings.folds,
        "max_pairs": settings.max_pairs,
        "topics": settings.topics,
        "penalty": PENALTY,
        "judge": pairs.audited.judge,
        "sample": len(pairs.audited.sample),
        "policy": None if policy is None else policy.name,
        "policy_pairs": None if policy is None else settings.policy_pairs,
        "max_length": None if policy is None else settings.max_length,
        "plain": pairs.data.plain or None,
        "probe_prompts": _names(settings.probe_prompts) or None,
        "parameters": settings.parameters if settings.probe_prompts else None,
        "predictors": list(settings.states.names) if settings.probe_prompts else None,
        "own_answers": None if settings.states.own_answers is None else str(settings.states.own_answers),
        "pilot": None if settings.pilot is None else settings.pilot.model_dump(exclude_none=True),
        "embedder": None if inputs.encoder is None else inputs.encoder.name,
        "overlap_with": None if inputs.overlap is None else inputs.overlap.origin,
    }
    return {name: value for name, value in stated.items() if value is not None}


def _names(probe_prompts: tuple[Any, ...]) -> list[str]:
    """The files and references of probe prompts by name; prompts and probes in memory as their class."""
    return sorted({str(one) if isinstance(one, (str, Path)) else type(one).__name__ for one in probe_prompts})
