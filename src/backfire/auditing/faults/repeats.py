"""`duplicates`, `near-duplicates` and `contradictions`: pairs that repeat another, or that are it the other way round."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect
from backfire.answers.confounds import Confounds
from backfire.answers.numerals import plural
from backfire.auditing.conclusion.count_words import MANY, pairs_text, rate
from backfire.auditing.conclusion.evidence import Evidence, cleaning, counted_pairs, fault
from backfire.auditing.faults.finding import Condition, Finding, Looking, Occurrences, Tally, occurring
from backfire.auditing.findings.repeated import repeated
from backfire.auditing.findings.repeats import affected_by_repeats, repeats

NAMES = {
    "exact duplicates": "duplicates",
    "near duplicates": "near-duplicates",
    "contradictions": "contradictions",
}
"""The kinds of `confounds.repeats` that are faults, with the names of their effects."""
CONDITIONS = {
    "duplicates": ("exact duplicates", "near duplicates"),
    "contradictions": ("contradictions",),
}
"""What each condition looks at."""
EFFECTS = {
    "duplicates": ("repeats an earlier one exactly", "repeat an earlier one exactly"),
    "near-duplicates": ("nearly repeats another", "nearly repeat another"),
    "contradictions": (
        "contradicts another with the same two responses",
        "contradict one another: the same two responses, the other way round",
    ),
}
SENTENCES = {
    "exact duplicates": ("repeats an earlier one exactly", "repeat an earlier one exactly"),
    "contradictions": (
        "contradicts another with the same two responses",
        "contradict another with the same two responses",
    ),
    "near duplicates": ("nearly repeats another", "nearly repeat another"),
    "repeated prompts": ("has the prompt of an earlier one", "have the prompt of an earlier one"),
    "near-duplicate prompts": ("has nearly the prompt of another", "have nearly the prompt of another"),
}
"""What one pair and what several do, in an effect and in a sentence."""


def _look(looking: Looking) -> Occurrences:
    repeating = repeated(looking.audited)
    return Occurrences(
        {"repeats": repeats(looking.audited, repeating)}, affected_by_repeats(looking.audited, repeating)
    )


def _effects(evidence: Evidence) -> Iterator[Effect]:
    for name, one_or_several in EFFECTS.items():
        rows = evidence.rows_of(name)
        if len(rows):
            what = f"{counted_pairs(evidence, rows)} {plural(len(rows), *one_or_several)}."
            condition = "contradictions" if name == "contradictions" else "duplicates"
            yield fault(evidence, name, what, rows, cleaning(evidence), condition)


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    for one in confounds.repeats:
        yield Tally(
            one.what, pairs=one.pairs, rows=one.rows, count=one.pairs.hits, compared=NAMES.get(one.what)
        )


def _sentences(confounds: Confounds) -> Iterator[str]:
    for one in confounds.repeats:
        if one.pairs.hits and (one.what == "contradictions" or (one.pairs.rate or 0) >= MANY):
            what = plural(one.pairs.hits, *SENTENCES[one.what])
            yield f"{pairs_text(one.pairs.hits)} ({rate(one.pairs)}) {what}."


def _check(report: AuditReport, condition: str) -> tuple[bool | None, str]:
    kinds = [one for one in report.confounds.repeats if one.what in CONDITIONS[condition]]
    return occurring((one.what, one.pairs, one.rows) for one in kinds)


REPEATS = Finding(
    names=tuple(EFFECTS),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    cleaned={
        "contradictions": "that contradict one another",
        "duplicates": "that repeat another exactly",
        "near-duplicates": "that nearly repeat another",
    },
    conditions=(
        Condition(
            "duplicates",
            "pairs repeat others, exactly or nearly",
            lambda report, _: _check(report, "duplicates"),
        ),
        Condition(
            "contradictions", "pairs contradict others", lambda report, _: _check(report, "contradictions")
        ),
    ),
)
