"""`contradicting-scores`: the rejected response has the higher score, where scores of both sides are recorded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backfire.answers.audit import AuditReport
from backfire.answers.confounds import Confounds, ScoreContradiction
from backfire.auditing.affected import Flags, of_pairs
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import rate, rate_and_interval
from backfire.auditing.conclusion.evidence import Evidence, fault, listing, turned_columns
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.counting import first_rows
from backfire.auditing.faults.finding import Condition, Finding, Looking, Occurrences, Tally, occurring
from backfire.auditing.probes.uncertainty import share

NAME = "contradicting-scores"


def _look(looking: Looking) -> Occurrences:
    scores, against = score_contradiction(looking.audited, looking.data.columns.get("scores", ()))
    return Occurrences(
        {"score_contradiction": scores},
        [of_pairs(NAME, against, looking.audited)],
    )


def score_contradiction(
    audited: AuditedPairs, columns: tuple[str, ...]
) -> tuple[ScoreContradiction | None, Flags]:
    """How many pairs' scores say that the rejected response is better, and which; None where no scores are recorded.

    columns: the two columns of scores.
    """
    if audited.faults.scores is None:
        return None, np.zeros(audited.pairs, dtype=bool)
    chosen, rejected = audited.faults.scores.T
    against: Flags = rejected > chosen
    differing = int(np.count_nonzero((rejected > chosen) | (rejected < chosen)))
    if not differing or len(columns) != 2:
        return None, np.zeros(audited.pairs, dtype=bool)
    contradiction = ScoreContradiction(
        columns=(columns[0], columns[1]),
        pairs=share(int(against.sum()), differing, audited.pairs - differing),
        rows=first_rows(against, audited.rows),
    )
    return contradiction, against


def _effects(evidence: Evidence) -> Iterator[Effected]:
    scores = evidence.confounds.score_contradiction
    if scores is not None and scores.pairs.hits:
        most = (scores.pairs.rate or 0) > 0.5
        yield fault(
            evidence,
            NAME,
            f"The rejected response has the higher score in {rate(scores.pairs)} of pairs (columns"
            f" {scores.columns[0]} and {scores.columns[1]}).",
            evidence.rows_of(NAME),
            (turned_columns(evidence) if most else None) or listing(evidence),
            NAME,
        )


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    one = confounds.score_contradiction
    if one is not None:
        what = f"{one.columns[1]} above {one.columns[0]}"
        yield Tally(what, pairs=one.pairs, rows=one.rows, compared=NAME)


def _sentences(confounds: Confounds) -> Iterator[str]:
    one = confounds.score_contradiction
    if one is None or not one.pairs.hits:
        return
    chosen, rejected = one.columns
    where = f"{rate_and_interval(one.pairs)} of {one.pairs.scored:,} pairs whose scores differ"
    end = (
        "chosen and rejected are swapped, or a lower score is the better one"
        if (one.pairs.rate or 0.0) > 0.5
        else "there the score contradicts the label"
    )
    yield f"`{rejected}` is above `{chosen}` in {where}: {end}."


def _step(effect: Effected, _: Confounds) -> Step:
    count = pairs_touched(effect)
    exchanges = effect.command is not None and effect.command.changes_data
    does = "this exchanges the columns" if exchanges else "this lists them"
    return Step(f"Find out whether the labels or the scores are right in {count}; {does}", effect.command)


def _check(report: AuditReport, _: float) -> tuple[bool | None, str]:
    one = report.confounds.score_contradiction
    if one is None:
        return None, "no scores of both sides are recorded"
    return occurring([(f"{one.columns[1]} above {one.columns[0]}", one.pairs, one.rows)])


CONTRADICTING_SCORES = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
    conditions=(
        Condition(
            NAME, "a column of scores says of pairs that the rejected response is the better one", _check
        ),
    ),
)
