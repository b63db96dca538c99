"""`other-language`: responses in another language than English, where one side has more of them than the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backfire.answers.confounds import Confounds
from backfire.auditing.affected import of_sides
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import differing, sides, uneven
from backfire.auditing.conclusion.evidence import Evidence, fault, listing
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.finding import Finding, Looking, Occurrences, Tally, of_side

NAME = "other-language"
WHAT = "is in another language than English"


def _look(looking: Looking) -> Occurrences:
    audited = looking.audited
    foreign = audited.languages.codes >= 0
    if not foreign.any():
        return Occurrences()
    one = looking.counted(WHAT, foreign)
    if not uneven(one):
        return Occurrences()
    affected = of_sides(NAME, [(WHAT, foreign)], audited)
    return Occurrences({"others": {NAME: (one,)}}, [affected])


def _effects(evidence: Evidence) -> Iterator[Effected]:
    one = evidence.confounds.other(NAME)
    if one is None:
        return
    apart = abs((one.chosen.rate or 0) - (one.rejected.rate or 0))
    what = f"{sides(one).capitalize()} are in another language than English."
    effect = fault(evidence, NAME, what, evidence.rows_of(NAME), listing(evidence), None)
    yield effect.resized(apart)


def _tallies(confounds: Confounds) -> Iterable[Tally]:
    one = confounds.other(NAME)
    return [] if one is None else [of_side(one, compared=NAME)]


def _sentences(confounds: Confounds) -> Iterator[str]:
    one = confounds.other(NAME)
    if one is not None:
        yield (
            f"{sides(one).capitalize()} are in another language than English ({differing(one)}), so that the label can be"
            " learned as the language of a response."
        )


def _step(effect: Effected, _: Confounds) -> Step:
    count = pairs_touched(effect)
    return Step(
        f"Read {count} with a response in another language than English, and take out those whose prompt did not ask for it; this"
        " lists them",
        effect.command,
    )


OTHER_LANGUAGE = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
)
