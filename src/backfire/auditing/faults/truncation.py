"""`truncation`: responses that are cut off, by recorded stop reasons where there are any, and by their text elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect
from backfire.answers.confounds import NATURAL_CUT_ENDS, Confounds, are_cut
from backfire.answers.numerals import decimal
from backfire.answers.phrases import share_text
from backfire.auditing.conclusion.count_words import ALPHA, MANY, differing, sides, uneven
from backfire.auditing.conclusion.evidence import Evidence, are_truncated, cleaning, counted_pairs, fault
from backfire.auditing.faults.finding import Condition, Finding, Looking, Occurrences, Tally, at_rows, of_side
from backfire.auditing.findings.single_texts import rows_cut_off

NAME = "truncation"
MOST_REASONS = 3
"""Stop reasons that differ by side, of which the conclusion says so."""


def _look(looking: Looking) -> Occurrences:
    traces = looking.traces
    return Occurrences(
        {
            "truncated": traces.truncated,
            "stop_reasons": traces.stop_reasons,
            "cut_ends": looking.single_texts.cut_ends,
        },
        [rows_cut_off(looking.audited)],
    )


def _effects(evidence: Evidence) -> Iterator[Effect]:
    confounds, rows = evidence.confounds, evidence.rows_of(NAME)
    cut = confounds.cut_ends if confounds.truncated is None else confounds.truncated
    if len(rows) and cut is not None and are_truncated(evidence):
        what = f"{counted_pairs(evidence, rows)} hold a response that is cut off: {sides(cut)}."
        yield fault(evidence, NAME, what, rows, cleaning(evidence), NAME)


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    if confounds.truncated is not None:
        yield of_side(confounds.truncated, compared=NAME)
    for reason in confounds.stop_reasons:
        yield of_side(reason, kind="stop reason")
    if confounds.cut_ends is not None:
        yield of_side(confounds.cut_ends, compared=NAME)


def _sentences(confounds: Confounds) -> Iterator[str]:
    stopped, cut = confounds.truncated, confounds.cut_ends
    if stopped is not None and uneven(stopped):
        yield (
            f"Truncation differs by side: {sides(stopped)} stop at the token limit, and a cut-off end is itself a cue."
        )
    else:
        for reason in confounds.stop_reasons[:MOST_REASONS]:
            if uneven(reason):
                yield f"Stop reason {reason.what!r} differs by side: {sides(reason)}."
    if stopped is None and cut is not None and are_cut(cut, ALPHA):
        yield (
            f"By their text, {sides(cut)} end in the middle of a sentence, a list or a code block"
            f" ({differing(cut)}). No stop reasons are recorded, and a cut-off end is itself a cue."
        )


def _worth_cleaning(effect: Effect, confounds: Confounds) -> bool:
    recorded = confounds.truncated
    return recorded is None or effect.size >= MANY or uneven(recorded)


def _check(report: AuditReport, _: float) -> tuple[bool | None, str]:
    stopped, cut_ends = report.confounds.truncated, report.confounds.cut_ends
    one = cut_ends if stopped is None or stopped.p is None else stopped
    if one is None or one.p is None:
        return None, "no stop reasons are recorded, and no texts were looked at"
    shares = f"{share_text(one.chosen)} of chosen, {share_text(one.rejected)} of rejected"
    holds = one.p <= ALPHA if one is stopped else are_cut(one, ALPHA)
    by = "" if one is stopped else "by their text, "
    return holds, f"{by}{shares}, p = {decimal(one.p)}{at_rows(one.rows)}"


TRUNCATION = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    cleaned={NAME: "with a response that is cut off"},
    worth_cleaning=_worth_cleaning,
    conditions=(
        Condition(
            NAME,
            "chosen and rejected responses are truncated in different shares (p at most 0.05), by recorded stop reasons;"
            f" where none is recorded, by their text, or more than {NATURAL_CUT_ENDS:.0%} of either side certainly are",
            _check,
        ),
    ),
)
