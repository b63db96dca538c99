"""`contradicting-scores`: the rejected response has the higher score, where scores of both sides are recorded."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect
from backfire.answers.confounds import Confounds
from backfire.auditing.affected import of_pairs
from backfire.auditing.conclusion.count_words import rate, rate_and_interval
from backfire.auditing.conclusion.evidence import Evidence, fault, listing, turned_columns
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.finding import Condition, Finding, Looking, Occurrences, Tally, occurring
from backfire.auditing.findings.wrong_way_round import score_contradiction

NAME = "contradicting-scores"


def _look(looking: Looking) -> Occurrences:
    scores, against = score_contradiction(looking.audited, looking.pairs.data.columns.get("scores", ()))
    return Occurrences(
        {"score_contradiction": scores},
        [of_pairs(NAME, against, looking.audited)],
    )


def _effects(evidence: Evidence) -> Iterator[Effect]:
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


def _step(effect: Effect, _: Confounds) -> Step:
    count = pairs_touched(effect)
    does = "this exchanges the columns" if "backfire convert" in (effect.fix or "") else "this lists them"
    return Step(f"Find out whether the labels or the scores are right in {count}; {does}: `{effect.fix}`.")


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
