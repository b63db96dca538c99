"""`debris` and `prompt-debris`: remains of chat templates and special tokens in responses, and marks of templates in prompts."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect
from backfire.answers.confounds import Confounds
from backfire.auditing.conclusion.count_words import (
    MANY,
    commonest,
    pairs_text,
    rate,
    sides,
    uneven,
    worth_telling,
)
from backfire.auditing.conclusion.evidence import Evidence, cleaning, counted_pairs, fault
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.finding import (
    Condition,
    Finding,
    Looking,
    Occurrences,
    Tally,
    by_side,
    occurring,
    of_prompts,
    of_side,
)
from backfire.auditing.findings.generation_traces import rows_with_debris, rows_with_marks


def _look(looking: Looking) -> Occurrences:
    audited, traces = looking.audited, looking.traces
    return Occurrences(
        {"debris": traces.debris, "prompt_debris": traces.prompt_debris},
        [rows_with_debris(audited), rows_with_marks(audited)],
    )


def _effects(evidence: Evidence) -> Iterator[Effect]:
    confounds, rows = evidence.confounds, evidence.rows_of("debris")
    if len(rows):
        kinds = commonest(confounds.debris)
        what = f"{counted_pairs(evidence, rows)} hold remains of templates or special tokens in a response: {kinds}."
        yield fault(evidence, "debris", what, rows, cleaning(evidence), "debris")
    rows = evidence.rows_of("prompt-debris")
    if len(rows):
        marks = sorted(confounds.prompt_debris, key=lambda one: -one.pairs.hits)
        what = (
            f"{counted_pairs(evidence, rows)} hold marks of a template in the prompt:"
            f" {', '.join(one.what for one in marks[:2])}."
        )
        out = evidence.beside("clean-prompts")
        fix = f"backfire repair {evidence.dataset} --method clean --only prompt-debris --out {out}"
        yield fault(evidence, "prompt-debris", what, rows, fix, "prompt-debris")


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    for one in sorted(confounds.debris, key=lambda one: -(one.chosen.hits + one.rejected.hits)):
        yield of_side(one, kind="debris", compared="debris")
    for mark in sorted(confounds.prompt_debris, key=lambda mark: -mark.pairs.hits):
        yield of_prompts(mark, kind="in prompts", compared=f"prompt-debris: {mark.what}")


def _sentences(confounds: Confounds) -> Iterator[str]:
    tests = len(confounds.debris)
    for one in confounds.debris:
        if worth_telling(one, tests=tests):
            more = ", more often on one side." if uneven(one, tests=tests) else "."
            yield f"{one.what}: in {sides(one)}{more}"
    for mark in confounds.prompt_debris:
        if (mark.pairs.rate or 0) >= MANY:
            yield (
                f"{mark.what} in the prompts of {pairs_text(mark.pairs.hits)} ({rate(mark.pairs)}), and not of the others: what"
                " is left of a template there is trained on as if a user had written it."
            )


def _step(effect: Effect, confounds: Confounds) -> Step | None:
    if not any((one.pairs.rate or 0) >= MANY for one in confounds.prompt_debris):
        return None
    count = pairs_touched(effect)
    return Step(f"Take the marks of templates off the prompts, or the {count} out: `{effect.fix}`.")


def _worth_cleaning(effect: Effect, confounds: Confounds) -> bool:
    tests = len(confounds.debris)
    return effect.size >= MANY or any(worth_telling(one, tests=tests) for one in confounds.debris)


def _check(report: AuditReport, bound: float) -> tuple[bool | None, str]:
    confounds = report.confounds
    responses = [part for one in confounds.debris for part in by_side(one)]
    prompts = [(f"{one.what}, prompts", one.pairs, one.rows) for one in confounds.prompt_debris]
    return occurring([*responses, *prompts])


def _check_prompts(report: AuditReport, bound: float) -> tuple[bool | None, str]:
    return occurring((one.what, one.pairs, one.rows) for one in report.confounds.prompt_debris)


DEBRIS = Finding(
    names=("debris", "prompt-debris"),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
    cleaned={"debris": "with remains of templates"},
    worth_cleaning=_worth_cleaning,
    conditions=(
        Condition("debris", "responses or prompts hold remains of chat templates or special tokens", _check),
        Condition("prompt-debris", "prompts hold them", _check_prompts),
    ),
    listed_where_it_occurs=True,
)
