"""`audit`: one data set in, one answer out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backfire.answers.audit import AuditReport
from backfire.auditing.audit_report import influence_answer, report_of, settings_of
from backfire.auditing.conclusion.concluding import conclude
from backfire.auditing.conclusion.effects import effects_of, evidence_of
from backfire.auditing.conclusion.reference_points import reference_points
from backfire.auditing.finding import find
from backfire.auditing.findings.per_pair import check_file, pair_column
from backfire.auditing.inputs import open_inputs
from backfire.auditing.measuring import measure
from backfire.auditing.reading import read
from backfire.auditing.rows_file import check_rows_file, write_affected
from backfire.auditing.settings import AuditSettings
from backfire.auditing.steps import Progress, Steps
from backfire.auditing.topics.grouping import PromptTopics, prompt_topics
from backfire.auditing.topics.tabulating import topics_answer
from backfire.auditing.worst import ForReading, worst_pairs
from backfire.preferences import left_out_first
from backfire.store import not_the_data_set


def audit(
    dataset: Any,
    settings: AuditSettings | None = None,
    *,
    per_pair: str | Path | None = None,
    rows: str | Path | None = None,
    worst: ForReading | None = None,
    progress: Progress | None = None,
    announce: Callable[[str], None] | None = None,
    **everyday: Any,
) -> AuditReport:
    """Say what the label of a preference data set encodes.

    Args:
        dataset: a JSONL, JSON, CSV, TSV or Parquet file, a folder of them, a `save_to_disk` folder, a hub name, a
            `datasets.Dataset`, or a list of rows, in any common preference form (docs/data.md lists them).
        settings: everything else that the audit can be told.
        per_pair: a .parquet, .jsonl or .csv file to write each pair's V-information to, and its influence on refusing
            where probe prompts are given (every pair whose text is kept, up to 20,000, is then read).
        rows: a .parquet, .jsonl or .csv file to write every row to that a finding is about: its finding (such as
            `duplicates`), row, side, other_row and detail.
        worst: how many pairs a person wants to look at first, and what is called with them (`backfire audit --worst`).
        progress: called with (done, total).
        announce: called with a sentence that says how long the prediction will take and how much memory, before it begins.
        everyday: fields of `AuditSettings` by name, in the place of `settings` or over them, such as `max_pairs=200`,
            `policy=model`, `columns={"prompt": "question"}` or `pilot=8`.

    Raises:
        InputError: what cannot be read or mapped, by name, and data of which no row gives a pair. Single defective rows
            are counted in the answer instead. Where a part that asks the policy fails (its tokens, its states, the
            influence, the pilot), or memory runs out for it, the answer stands without it and says why (`failed`).
    """
    settings = AuditSettings.of(settings, **everyday)
    file = None if per_pair is None else not_the_data_set(check_file(Path(per_pair)), dataset)
    of_findings = None if rows is None else not_the_data_set(check_rows_file(Path(rows)), dataset)
    inputs = open_inputs(dataset, settings)
    steps = Steps(progress, total=inputs.weight, announce=announce)
    pairs = read(inputs, settings, steps)
    measured = measure(pairs, inputs, settings, steps, each_pair=file is not None or worst is not None)
    findings = find(pairs, measured, inputs, steps)
    topics: PromptTopics | None = None
    if settings.by_topic:
        with steps.step("topics", 2) as part:
            topics = prompt_topics(pairs, inputs.encoder, settings.topics, settings.seed, part)
    with steps.step("conclusion"):
        values = {} if measured.influence is None else measured.influence.columns
        column = pair_column(measured.probes, pairs.audited, file, values, topics)
        conclusion = conclude(
            pairs.audited.pairs,
            tuple(probe.answer for probe in measured.probes),
            findings.source_leak,
            findings.shortcuts,
            findings.confounds,
            findings.safety_contrast,
            reference_points(),
            pairs.too_few,
            influence=influence_answer(measured, column),
            trained=measured.trained,
            left_out=left_out_first(pairs.data.rows, pairs.left_out),
            effects=effects_of(evidence_of(dataset, settings.reading, pairs, findings)),
        )
        if of_findings is not None:
            write_affected(of_findings, findings.affected)
        if worst is not None:
            worst.give(worst_pairs(pairs, worst.count, values, findings.affected, column.probe))
    steps.finish()
    stated = settings_of(settings, inputs, pairs)
    table = None if topics is None else topics_answer(topics, pairs.audited, values)
    return report_of(pairs, measured, findings, column, table, conclusion, stated, steps.seconds)
