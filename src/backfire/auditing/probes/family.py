"""Every probe tries the label once more: p of each number, corrected for all numbers that are looked at together."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, sqrt
from statistics import NormalDist

from backfire.answers.estimates import Matched, ProbeEstimate, ProbeResult
from backfire.auditing.probes.probe import MeasuredProbe


def family_p(estimate: ProbeEstimate | Matched, value: float, comparisons: int) -> float:
    """p of a number among so many comparisons, by Bonferroni; never below that of the swaps alone.

    199 swaps cannot tell p below .005, which Bonferroni would make .05 of ten numbers. So what is multiplied is the normal tail
    beyond the swaps' mean, with the deviation that their 95th percentile implies.
    """
    control, high = estimate.control or 0.0, estimate.control_high or 0.0
    p = 1.0 if estimate.p is None else estimate.p
    if value <= control:
        return 1.0
    deviation = (high - control) / NormalDist().inv_cdf(0.95)
    if deviation <= 0:
        return p
    tail = erfc((value - control) / deviation / sqrt(2)) / 2
    return max(p, min(1.0, tail * comparisons))


def corrected(probes: Sequence[MeasuredProbe]) -> tuple[MeasuredProbe, ...]:
    """The probes with `p_family`: pointwise and pairwise numbers are one family, decision-matched ones another."""
    tries = 2 * len(probes)
    matched = sum(one.answer.decision_matched.auroc is not None for one in probes)
    return tuple(one._replace(answer=_with_family(one.answer, tries, matched)) for one in probes)


def _with_family(answer: ProbeResult, tries: int, matched: int) -> ProbeResult:
    point, order, alike = answer.pointwise, answer.pairwise, answer.decision_matched
    update = {
        "pointwise": point.model_copy(update={"p_family": family_p(point, point.auroc, tries)}),
        "pairwise": order.model_copy(update={"p_family": family_p(order, order.accuracy, tries)}),
    }
    if alike.auroc is not None:
        p = family_p(alike, alike.auroc, matched)
        return answer.model_copy(
            update={**update, "decision_matched": alike.model_copy(update={"p_family": p})}
        )
    return answer.model_copy(update=update)
