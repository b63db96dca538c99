"""`swapped-columns`: chosen complies and rejected refuses far more often than the other way round."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backfire.answers.audit import AuditReport
from backfire.answers.confounds import Confounds, SwappedColumns
from backfire.answers.numerals import p_value
from backfire.answers.phrases import PROMPTS, at_rows, share_text
from backfire.auditing.affected import Flags, of_pairs
from backfire.auditing.audited_pairs import COMPLY, KINDS, REFUSE, UNDECIDED, AuditedPairs
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import rate, rate_and_interval
from backfire.auditing.conclusion.evidence import Evidence, fault, turned_columns
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.counting import first_rows
from backfire.auditing.faults.finding import Condition, Finding, Looking, Occurrences, Tally
from backfire.auditing.findings.safety_contrast import sign_test_by_prompt
from backfire.auditing.probes.uncertainty import share

NAME = "swapped-columns"
COMPLYING = "chosen complies and rejected refuses"
FEWEST_TURNED = 0.08
"""Of the pairs on which both sides decide, the lower limit of those whose chosen side complies and whose rejected one
refuses, from which the columns are said to look turned round. Where no kind of prompt is stated, ordinary data stay below:
docs/guides/audit.md has the shares of real sets."""
FEWEST_TURNED_HARMFUL = 0.02
"""The same among prompts that are marked harmful, of which none should be so."""
TIMES = 3
"""So many times as often as the other way round."""
HIGHEST_P = 0.001


def _look(looking: Looking) -> Occurrences:
    swapped, turned = swapped_columns(looking.audited)
    return Occurrences(
        {"swapped_columns": swapped},
        [of_pairs(NAME, turned, looking.audited)],
    )


def swapped_columns(audited: AuditedPairs) -> tuple[SwappedColumns | None, Flags]:
    """Whether chosen complies and rejected refuses far more often than the other way round, and in which pairs.

    Where kinds are stated, the harmful prompts alone are looked at: on benign ones complying is right.
    """
    known = bool((audited.kinds != KINDS.index("unknown")).any())
    inside = audited.kinds == KINDS.index("harmful") if known else np.ones(audited.pairs, dtype=bool)
    chosen, rejected = audited.decisions.T
    decided = inside & (chosen != UNDECIDED) & (rejected != UNDECIDED)
    turned = decided & (chosen == COMPLY) & (rejected == REFUSE)
    right = decided & (chosen == REFUSE) & (rejected == COMPLY)
    scored, unscored = int(decided.sum()), int((inside & ~decided).sum())
    complying = share(int(turned.sum()), scored, unscored)
    p = sign_test_by_prompt(right[inside].astype(np.int64) - turned[inside], audited.groups[inside])
    least = FEWEST_TURNED_HARMFUL if known else FEWEST_TURNED
    far_more = turned.sum() > TIMES * right.sum() and (complying.low or 0.0) >= least and p <= HIGHEST_P
    if not far_more:
        return None, np.zeros(audited.pairs, dtype=bool)
    return (
        SwappedColumns(
            prompts="harmful" if known else "all",
            complying=complying,
            refusing=share(int(right.sum()), scored, unscored),
            p=p,
            rows=first_rows(turned, audited.rows),
        ),
        turned,
    )


def _effects(evidence: Evidence) -> Iterator[Effected]:
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


def _step(effect: Effected, _: Confounds) -> Step:
    count = pairs_touched(effect)
    exchange = "exchange them" if effect.command is None else "this exchanges them"
    what = f"Read some of {count} whose chosen side complies; if the columns are swapped, {exchange}"
    return Step(what, effect.command)


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
