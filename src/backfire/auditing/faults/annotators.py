"""`split-votes`: a third or more of several people's votes are not for the chosen response, where votes are recorded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from backfire.answers.audit import AuditReport
from backfire.answers.confounds import Annotators, Confounds
from backfire.answers.estimates import Estimate
from backfire.auditing.affected import Flags, of_pairs
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import rate
from backfire.auditing.conclusion.evidence import Evidence, fault, listing
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.counting import first_rows
from backfire.auditing.faults.finding import Condition, Finding, Looking, Occurrences, Tally, occurring
from backfire.auditing.probes.uncertainty import clustered_mean, share

NAME = "split-votes"
SPLIT = 1 / 3
"""From this share of votes on a pair is it split: one of three, two of five."""


def _look(looking: Looking) -> Occurrences:
    annotators, split = annotators_of(looking.audited, looking.data.columns.get("votes", ()))
    return Occurrences({"annotators": annotators}, [of_pairs(NAME, split, looking.audited)])


def annotators_of(audited: AuditedPairs, columns: tuple[str, ...]) -> tuple[Annotators | None, Flags]:
    """How far people agree, and which pairs they are split on; None where no votes are recorded."""
    votes = audited.faults.votes
    if votes is None:
        return None, np.zeros(audited.pairs, dtype=bool)
    votes = np.nan_to_num(votes)
    total = votes.sum(axis=1)
    several = total >= 2
    against = np.divide(total - votes[:, 0], total, out=np.zeros(len(total)), where=several)
    split: Flags = several & (against >= SPLIT)
    agreement = None
    if several.any():
        value, low, high = clustered_mean(agreements(votes[several]), audited.groups[several])
        agreement = Estimate(value=value, low=max(0.0, low), high=min(1.0, high))
    annotators = Annotators(
        columns=columns,
        agreement=agreement,
        split=share(int(split.sum()), int(several.sum()), int((~several).sum())),
        votes=int(total.sum()),
        rows=first_rows(split, audited.rows),
    )
    return annotators, split


def agreements(votes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each pair, how many of the pairs of its votes say the same (Fleiss 1971, equation 2): [pairs].

    votes: [pairs, 3], two or more of each pair.
    """
    total = votes.sum(axis=1)
    alike: NDArray[np.float64] = (votes * (votes - 1)).sum(axis=1) / (total * (total - 1))
    return alike


def _effects(evidence: Evidence) -> Iterator[Effected]:
    annotators = evidence.confounds.annotators
    if annotators is not None and annotators.split.hits:
        yield fault(
            evidence,
            NAME,
            f"A third or more of the votes are not for the chosen response in {rate(annotators.split)} of"
            f" {annotators.split.scored:,} pairs with several votes{_agreeing(annotators)}.",
            evidence.rows_of(NAME),
            listing(evidence),
            NAME,
        )


def _agreeing(annotators: Annotators) -> str:
    one = annotators.agreement
    if one is None:
        return ""
    return f"; two votes on the same pair agree in {one.value:.0%} [{one.low:.0%}, {one.high:.0%}]"


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    annotators = confounds.annotators
    if annotators is not None:
        yield Tally(
            "split votes",
            pairs=annotators.split,
            rows=annotators.rows,
            count=annotators.split.hits,
            compared=NAME,
        )


def _sentences(confounds: Confounds) -> Iterator[str]:
    annotators = confounds.annotators
    if annotators is None or annotators.agreement is None:
        return
    one = annotators.agreement
    yield (
        f"Two votes on the same pair agree in {one.value:.0%} [{one.low:.0%}, {one.high:.0%}] ({annotators.votes:,} votes on"
        f" {annotators.split.scored:,} pairs with several; two people who guess agree in 50%)."
    )


def _step(effect: Effected, _: Confounds) -> Step:
    return Step(
        f"Read {pairs_touched(effect)} on which people are split, or train without them; this lists them",
        effect.command,
    )


def _check(report: AuditReport, _: float) -> tuple[bool | None, str]:
    annotators = report.confounds.annotators
    if annotators is None:
        return None, "no votes of several people are recorded"
    return occurring([("split votes", annotators.split, annotators.rows)])


SPLIT_VOTES = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
    conditions=(
        Condition(
            NAME,
            "a third or more of several people's votes on a pair are not for its chosen response",
            _check,
        ),
    ),
    listed_where_it_occurs=True,
)
