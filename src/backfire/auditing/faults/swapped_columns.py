"""`swapped-columns`: chosen complies and rejected refuses far more often than the other way round."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect
from backfire.answers.confounds import Confounds
from backfire.answers.numerals import p_value
from backfire.answers.phrases import PROMPTS, share_text
from backfire.auditing.affected import of_pairs
from backfire.auditing.conclusion.count_words import rate, rate_and_interval
from backfire.auditing.conclusion.evidence import Evidence, fault, turned_columns
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.finding import Condition, Finding, Looking, Occurrences, Tally, at_rows
from backfire.auditing.findings.wrong_way_round import swapped_columns

NAME = "swapped-columns"
COMPLYING = "chosen complies and rejected refuses"


def _look(looking: Looking) -> Occurrences:
    swapped, turned = swapped_columns(looking.audited)
    return Occurrences(
        {"swapped_columns": swapped},
        [of_pairs(NAME, turned, looking.audited)],
    )


def _effects(evidence: Evidence) -> Iterator[Effect]:
    rows, swapped = evidence.rows_of(NAME), evidence.confounds.swapped_columns
    if len(rows):
        where = ""
        if swapped is not None:
            of = "harmful prompts" if swapped.prompts == "harmful" else "pairs"
            where = (
                f" in {rate(swapped.complying)} of {of}, and the other way round in {rate(swapped.refusing)}"
            )
        what = f"Chosen complies and rejected refuses{where}: the columns may be the wrong way round."
        yield fault(evidence, NAME, what, rows, turned_columns(evidence), NAME)


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    one = confounds.swapped_columns
    if one is not None:
        prompts = PROMPTS[one.prompts]
        yield Tally(prompts, COMPLYING, pairs=one.complying, p=one.p, rows=one.rows, beside=(p_value(one.p),))
        yield Tally("the other way round", pairs=one.refusing)


def _sentences(confounds: Confounds) -> Iterator[str]:
    one = confounds.swapped_columns
    if one is None:
        return
    shares = (
        f"the chosen response complies and the rejected one refuses in {rate_and_interval(one.complying)} of"
        f" {one.complying.scored:,} pairs, the other way round in {rate(one.refusing)}"
    )
    yield (
        f"The columns look the wrong way round: on harmful prompts {shares}. Training on these pairs teaches complying"
        " with harmful requests."
        if one.prompts == "harmful"
        else f"The columns may be the wrong way round: {shares}. If the prompts are harmful, chosen and rejected are swapped. If"
        " they are benign, the pairs teach not to refuse without need, which is right. No column says which: add a column"
        " `kind`."
    )


def _step(effect: Effect, _: Confounds) -> Step:
    count = pairs_touched(effect)
    exchange = f"this exchanges them: `{effect.fix}`." if effect.fix else "exchange them."
    return Step(f"Read some of {count} whose chosen side complies; if the columns are swapped, {exchange}")


def _check(report: AuditReport, _: float) -> tuple[bool | None, str]:
    one = report.confounds.swapped_columns
    if one is not None:
        shares = f"{share_text(one.complying)} of {PROMPTS[one.prompts]}, the other way round {share_text(one.refusing)}"
        return True, f"{COMPLYING} in {shares}{at_rows(one.rows)}"
    strata = [one for one in report.safety_contrast.strata if one.prompts in ("harmful", "all")]
    if not any(stratum.decisions_differ.scored for stratum in strata):
        return None, "no harmful prompt has a decision on both sides"
    stratum = strata[0]
    return False, (
        f"{COMPLYING} in {share_text(stratum.chosen_complies_rejected_refuses)} of {PROMPTS[stratum.prompts]}, the other way"
        f" round {share_text(stratum.chosen_refuses_rejected_complies)}"
    )


SWAPPED_COLUMNS = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
    conditions=(
        Condition(
            NAME,
            "chosen complies and rejected refuses far more often than the other way round: on harmful prompts, or where no kind"
            " of prompt is stated",
            _check,
        ),
    ),
)
