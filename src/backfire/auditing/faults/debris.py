"""`debris` and `prompt-debris`: remains of chat templates and special tokens in responses, and marks of templates in prompts."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect
from backfire.answers.confounds import Confounds
from backfire.auditing.affected import Affected, Flags, of_sides
from backfire.auditing.affected import of_prompts as prompts_hit
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import (
    MANY,
    commonest,
    pairs_text,
    rate,
    sides,
    uneven,
    worth_telling,
)
from backfire.auditing.conclusion.evidence import Evidence, cleaning, counted_pairs, fault, repairing
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.counting import in_prompts
from backfire.auditing.faults.finding import (
    AuditedTexts,
    Cleaned,
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
from backfire.repairing.settings import Clean
from backfire.texts import DEBRIS as KINDS
from backfire.texts import TEMPLATE_MARKS

WHITE_SPACE = "with white space at an end of a response, which alone is taken off"


def _look(looking: Looking) -> Occurrences:
    audited = looking.audited
    return Occurrences(
        {
            "debris": tuple(looking.counted(name, has) for name, has in kinds_of_debris(audited)),
            "prompt_debris": tuple(in_prompts(name, has, audited) for name, has in kinds_of_marks(audited)),
        },
        [rows_with_debris(looking), rows_with_marks(looking)],
    )


def rows_with_debris(texts: AuditedTexts) -> Affected:
    """Every row with remains of templates in a side."""
    return of_sides("debris", list(kinds_of_debris(texts.audited)), texts.audited)


def rows_with_marks(texts: AuditedTexts) -> Affected:
    """Every row with marks of a template in the prompt."""
    return prompts_hit("prompt-debris", list(kinds_of_marks(texts.audited)), texts.audited)


def kinds_of_debris(audited: AuditedPairs) -> Iterator[tuple[str, Flags]]:
    """The kinds of debris that occur, with the sides that have each: [pairs, 2]."""
    for number, name in enumerate(KINDS):
        has = audited.debris.kind(number)
        if has.any():
            yield name, has.reshape(2, audited.pairs).T


def kinds_of_marks(audited: AuditedPairs) -> Iterator[tuple[str, Flags]]:
    """The marks of templates that occur in prompts, with the pairs that have each."""
    for number, name in enumerate(TEMPLATE_MARKS):
        has = audited.prompt_marks.kind(number)
        if has.any():
            yield name, has


def _effects(evidence: Evidence) -> Iterator[Effected]:
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
        command = repairing(evidence, Clean(only=("prompt-debris",)), "clean-prompts")
        yield fault(evidence, "prompt-debris", what, rows, command, "prompt-debris")


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


def _step(effect: Effected, confounds: Confounds) -> Step | None:
    if not any((one.pairs.rate or 0) >= MANY for one in confounds.prompt_debris):
        return None
    count = pairs_touched(effect)
    return Step(f"Take the marks of templates off the prompts, or the {count} out", effect.command)


def _worth_cleaning(effect: Effect, confounds: Confounds) -> bool:
    tests = len(confounds.debris)
    return effect.size >= MANY or any(worth_telling(one, tests=tests) for one in confounds.debris)


def _is_white_space(confounds: Confounds) -> bool:
    """Whether white space at the ends of responses is all the debris that there is."""
    return all(one.what.startswith("white space") for one in confounds.debris)


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
    cleaned={
        "debris": Cleaned(
            "with remains of templates",
            which_now=lambda confounds: WHITE_SPACE if _is_white_space(confounds) else None,
            rows=rows_with_debris,
            trims=True,
            help="white space at the ends of responses is taken off instead",
        ),
        "prompt-debris": Cleaned("with marks of a template in the prompt", rows=rows_with_marks, usual=False),
    },
    worth_cleaning=_worth_cleaning,
    conditions=(
        Condition("debris", "responses or prompts hold remains of chat templates or special tokens", _check),
        Condition("prompt-debris", "prompts hold them", _check_prompts),
    ),
    listed_where_it_occurs=True,
)
