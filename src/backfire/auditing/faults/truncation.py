"""`truncation`: responses that are cut off, by recorded stop reasons where there are any, and by their text elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect
from backfire.answers.confounds import NATURAL_CUT_ENDS, Confounds, Counted, are_cut
from backfire.answers.numerals import decimal
from backfire.answers.phrases import at_rows, share_text
from backfire.auditing.affected import Affected, Flags, of_sides
from backfire.auditing.audited_pairs import Coded
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import ALPHA, MANY, differing, sides, uneven
from backfire.auditing.conclusion.evidence import Evidence, are_truncated, cleaning, counted_pairs, fault
from backfire.auditing.faults.finding import (
    AuditedTexts,
    Cleaned,
    Condition,
    Finding,
    Looking,
    Occurrences,
    Tally,
    of_side,
)
from backfire.texts import ENDINGS

NAME = "truncation"
TOKEN_LIMIT = "stopped by the token limit"
TRUNCATED = ("length", "max_tokens")
NOT_GENERATED = "given"
"""The stop reason of responses that a file gave: it says nothing."""
MOST_REASONS_LISTED = 20
"""Stop reasons that the answer lists, the commonest first."""
MOST_REASONS = 3
"""Stop reasons that differ by side, of which the conclusion says so."""


def _look(looking: Looking) -> Occurrences:
    audited, stops = looking.audited, looking.audited.stops
    cut, stated = stopped_short(stops)
    truncated, reasons = None, tuple[Counted, ...]()
    if stated.any():
        truncated = looking.counted(TOKEN_LIMIT, cut, stated)
        occurring, counts = np.unique(stops.codes[stated], return_counts=True)
        order = sorted(zip(-counts, occurring, strict=True), key=lambda e: (e[0], stops.names[e[1]]))
        reasons = tuple(
            looking.counted(stops.names[code], stops.codes == code, stated)
            for _, code in order[:MOST_REASONS_LISTED]
        )
    by_text = audited.faults.endings.any_kind()
    cut_ends = looking.counted("ends in the middle, by its text", by_text) if audited.pairs else None
    return Occurrences(
        {"truncated": truncated, "stop_reasons": reasons, "cut_ends": cut_ends}, [rows_cut_off(looking)]
    )


def stopped_short(stops: Coded) -> tuple[Flags, Flags]:
    """Which sides stopped at the token limit, and of which a stop reason is told, both [pairs, 2]."""
    stated: Flags = np.array([name != NOT_GENERATED for name in stops.names] + [False])[stops.codes]
    cut: Flags = np.array([name in TRUNCATED for name in stops.names] + [False])[stops.codes]
    return cut, stated


def rows_cut_off(texts: AuditedTexts) -> Affected:
    """Every row with a side that was cut off: by recorded stop reasons where there are any, and by the texts elsewhere."""
    audited = texts.audited
    cut, stated = stopped_short(audited.stops)
    if stated.any():
        return of_sides(NAME, [(TOKEN_LIMIT, cut & stated)], audited)
    every = [(kind, audited.faults.endings.kind(i)) for i, kind in enumerate(ENDINGS)]
    return of_sides(NAME, [(kind, has) for kind, has in every if has.any()], audited)


def _effects(evidence: Evidence) -> Iterator[Effected]:
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
    cleaned={
        NAME: Cleaned(
            "with a response that is cut off",
            rows=rows_cut_off,
            better="Better, sample the responses that are cut off again, with a token limit that lets them end.",
        )
    },
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
