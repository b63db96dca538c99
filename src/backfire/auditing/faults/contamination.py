"""`contamination`: prompts that are items of a named evaluation set."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.audit import AuditReport
from backfire.answers.confounds import Confounds, EvaluationSet
from backfire.answers.numerals import listed, plural
from backfire.auditing.affected import of_prompts
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import pairs_text
from backfire.auditing.conclusion.evidence import Evidence, counted_pairs, fault, listing
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.evaluation_sets import item_numbers, sets_of
from backfire.auditing.faults.finding import (
    MOST_ROWS,
    Condition,
    Finding,
    Looking,
    Occurrences,
    Tally,
    occurring,
)

NAME = "contamination"
MOST_HITS = 20
"""Matched prompts that the page quotes of each set."""


def _look(looking: Looking) -> Occurrences:
    audited = looking.audited
    items = item_numbers(audited)
    sets, looked_for = sets_of(audited, items, looking.blocks)
    kinds = [(name, numbers > 0) for name, numbers in items.items()]
    affected = [of_prompts(NAME, kinds, audited, list(items.values()))] if items else []
    return Occurrences({"evaluation_sets": sets, "evaluation_sets_checked": looked_for}, affected)


def _effects(evidence: Evidence) -> Iterator[Effected]:
    rows = evidence.rows_of(NAME)
    if len(rows):
        sets = evidence.confounds.evaluation_sets
        names = ", ".join(f"{one.name} ({one.pairs.hits:,})" for one in sets[:3])
        has = plural(len(rows), "has", "have")
        what = f"{counted_pairs(evidence, rows)} {has} a prompt of an evaluation set: {names}."
        yield fault(evidence, NAME, what, rows, listing(evidence), NAME)


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    for one in confounds.evaluation_sets:
        items = [f"row {hit.row} is item {hit.item}" for hit in one.hits[:MOST_ROWS] if hit.item is not None]
        yield Tally(
            f"prompt is an item of {one.name}",
            pairs=one.pairs,
            rows=one.rows,
            count=one.pairs.hits,
            beside=tuple(_beside(one)),
            after=f"; {', '.join(items)}" if items else "",
            compared=f"{NAME}: {one.name}",
        )


def _beside(one: EvaluationSet) -> Iterator[str]:
    yield f"{one.items:,} items; {one.origin}"
    for hit in one.hits[:MOST_HITS]:
        item = f" is item {hit.item}" if hit.item else ""
        yield f"row {hit.row}{item}: “{hit.span}”"


def _sentences(confounds: Confounds) -> Iterator[str]:
    for one in confounds.evaluation_sets:
        has = plural(one.pairs.hits, "has", "have")
        yield (
            f"{pairs_text(one.pairs.hits)} {has} a prompt of {one.name}: a score on it after training on them is contaminated."
        )


def _step(effect: Effected, confounds: Confounds) -> Step:
    count = pairs_touched(effect)
    names = listed([one.name for one in confounds.evaluation_sets])
    return Step(
        f"Take out {count} with prompts of {names}, or report no score on it; this lists them",
        effect.command,
    )


def _check(report: AuditReport, _: float) -> tuple[bool | None, str]:
    sets = report.confounds.evaluation_sets
    if not report.confounds.evaluation_sets_checked and not sets:
        return None, "no evaluation set was looked for"
    return occurring((one.name, one.pairs, one.rows) for one in sets)


CONTAMINATION = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
    conditions=(Condition(NAME, "prompts are items of a named evaluation set", _check),),
)
