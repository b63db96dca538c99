"""Findings of single responses that have no more to say than how often either side has them, from a few words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from backfire.answers.audit import AuditReport
from backfire.answers.confounds import Confounds, Counted
from backfire.auditing.affected import Affected, Flags, of_sides
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import differing, sides
from backfire.auditing.conclusion.evidence import Evidence, cleaning, counted_pairs, fault, listing
from backfire.auditing.conclusion.step import Step
from backfire.auditing.faults.finding import (
    NOT_LOOKED_AT,
    AuditedTexts,
    Cleaned,
    Condition,
    Finding,
    Looking,
    Occurrences,
    Tally,
    by_side,
    occurring,
    of_side,
)


def finding_of_responses(
    name: str,
    *,
    what: str,
    hits: Callable[[AuditedTexts], Flags],
    meaning: str,
    sentence: Callable[[Counted], str] | None = None,
    field: str | None = None,
    cleaned: str | None = None,
) -> Finding:
    """A finding that a response has or has not.

    Args:
        name: its stable name, which is also that of its condition.
        what: what such a response does, such as `repeats its prompt`.
        hits: which responses do it: [pairs, 2] (chosen, rejected), in the order of the audited pairs.
        meaning: when its condition holds, such as `responses repeat their prompt whole`.
        sentence: what the conclusion says of the counts; made of `what`, where it is not given.
        field: its field of `Confounds`; without one it stands in `others` by its name.
        cleaned: where `repair --method clean` takes such pairs out: of which pairs the advice says so.
    """

    def rows(texts: AuditedTexts) -> Affected:
        return of_sides(name, [(what, hits(texts))], texts.audited)

    def look(looking: Looking) -> Occurrences:
        flags = hits(looking)
        if not flags.any():
            return Occurrences()
        one = looking.counted(what, flags)
        parts = {"others": {name: (one,)}} if field is None else {field: one}
        return Occurrences(
            parts,
            [of_sides(name, [(what, flags)], looking.audited)],
        )

    def counted(confounds: Confounds) -> Counted | None:
        one: Counted | None = confounds.other(name) if field is None else getattr(confounds, field)
        return one

    def effects(evidence: Evidence) -> Iterator[Effected]:
        rows, one = evidence.rows_of(name), counted(evidence.confounds)
        if len(rows):
            where = "" if one is None else f": {sides(one)}"
            text = f"{counted_pairs(evidence, rows)} hold a response that {what}{where}."
            fix = listing(evidence) if cleaned is None else cleaning(evidence)
            yield fault(evidence, name, text, rows, fix, name)

    def tallies(confounds: Confounds) -> Iterable[Tally]:
        one = counted(confounds)
        return [] if one is None else [of_side(one, compared=name)]

    def sentences(confounds: Confounds) -> Iterator[str]:
        one = counted(confounds)
        if one is not None:
            yield (
                f"A response {what} in {sides(one)} ({differing(one)})."
                if sentence is None
                else sentence(one)
            )

    def step(effect: Effected, _: Confounds) -> Step | None:
        return Step(f"Read the pairs with a response that {what}; this lists them", effect.command)

    def check(report: AuditReport, _: float) -> tuple[bool | None, str]:
        if report.confounds.cut_ends is None:
            return None, NOT_LOOKED_AT
        one = counted(report.confounds)
        return occurring([] if one is None else by_side(one))

    return Finding(
        names=(name,),
        look=look,
        effects=effects,
        tallies=tallies,
        sentences=sentences,
        step=step,
        cleaned={} if cleaned is None else {name: Cleaned(cleaned, rows=rows)},
        conditions=(Condition(name, meaning, check),),
        listed_where_it_occurs=True,
    )
