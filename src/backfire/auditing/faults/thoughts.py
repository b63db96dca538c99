"""`thoughts`: responses that think before they answer, such as between <think> and </think>."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backfire.answers.confounds import Confounds
from backfire.auditing.affected import of_sides
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import sides, uneven
from backfire.auditing.conclusion.evidence import Evidence, fault
from backfire.auditing.conclusion.step import Step
from backfire.auditing.faults.finding import Finding, Looking, Occurrences, Tally, of_side

WHAT = "thoughts before the answer"


def _look(looking: Looking) -> Occurrences:
    audited = looking.audited
    thoughts = looking.counted(WHAT, audited.thinks) if audited.thinks.any() else None
    return Occurrences(
        {"thoughts": thoughts},
        [of_sides("thoughts", [(WHAT, audited.thinks)], audited)],
    )


def _effects(evidence: Evidence) -> Iterator[Effected]:
    one = evidence.confounds.thoughts
    if one is None or not uneven(one):
        return
    rows = evidence.rows_of("thoughts")
    apart = abs((one.chosen.rate or 0) - (one.rejected.rate or 0))
    effect = fault(
        evidence, "thoughts", f"Thoughts stand before the answer in {sides(one)}.", rows, None, None
    )
    yield effect.resized(apart)


def _tallies(confounds: Confounds) -> Iterable[Tally]:
    return [] if confounds.thoughts is None else [of_side(confounds.thoughts)]


def _sentences(confounds: Confounds) -> Iterator[str]:
    one = confounds.thoughts
    if one is not None:
        text = f"Thoughts stand before the answer in {sides(one)}; decisions are read from what follows them."
        if uneven(one):
            text = f"{text[:-1]}. That differs by side, so that the label can be learned as whether a response thinks."
        yield text


def _step(_effect: Effected, _confounds: Confounds) -> Step:
    return Step(
        "Give both sides thoughts, or neither: write the missing ones, or take them off both sides alike"
    )


THOUGHTS = Finding(
    names=("thoughts",),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
)
