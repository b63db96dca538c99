"""Two audits: what has become worse, what better, and what chance alone may have changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from backfire.answers.audit import AuditReport
from backfire.answers.audit_comparison import AuditComparison, Change, Direction
from backfire.answers.confounds import Confounds
from backfire.answers.estimates import Accuracy, Auroc, Estimate, Matched, Share
from backfire.auditing.faults.registry import finding_named, tallies
from backfire.statistics.exact_tests import holm
from backfire.statistics.independent import (
    Interval,
    difference_of_estimates,
    difference_of_shares,
    fisher_exact,
    p_of_difference,
)
from backfire.statistics.intervals import wilson

ALPHA = 0.05
UNCLEAR: Direction = "no clear change"


@dataclass(frozen=True)
class Quantity:
    """One number of an audit that can be worse or better in another."""

    name: str
    unit: Literal["share", "AUROC", "accuracy", "cosine"]
    value: Interval
    counts: tuple[int, int] | None = None
    """Hits, and of how many; None where the number is no share of rows."""
    more_is_worse: bool = True


def compare_audits(before: AuditReport, after: AuditReport) -> AuditComparison:
    """Compare each share and estimate that both audits hold.

    The two data sets are taken for independent samples. A number is called worse, or better, where its change is beyond
    chance at 5% for all numbers together (Holm). Where both audits read the same pairs, nothing is.
    """
    same = before.input is not None and after.input is not None and before.input.digest == after.input.digest
    old, new = ({one.name: one for one in quantities(report)} for report in (before, after))
    _fill(old, new, before)
    _fill(new, old, after)
    both = [name for name in new if name in old]
    differences = {} if same else {name: _difference(old[name], new[name]) for name in both}
    ps = holm({name: p for name, (_, p) in differences.items()})
    changes = [_change(old[name], new[name], differences[name][0], ps[name]) for name in differences]
    order: list[Direction] = ["worse", "better", UNCLEAR]
    return AuditComparison(
        dataset=before.dataset,
        digest=None if before.input is None else before.input.digest,
        pairs=before.pairs,
        same_pairs=same,
        changes=tuple(sorted(changes, key=lambda one: (order.index(one.direction), one.p, one.name))),
        not_compared=() if same else tuple(sorted(old.keys() ^ new.keys())),
    )


def _difference(old: Quantity, new: Quantity) -> tuple[Interval, float]:
    if old.counts is not None and new.counts is not None:
        return difference_of_shares(old.counts, new.counts), fisher_exact(old.counts, new.counts)
    difference = difference_of_estimates(old.value, new.value)
    return difference, p_of_difference(difference)


def _change(old: Quantity, new: Quantity, difference: Interval, p: float) -> Change:
    direction = UNCLEAR
    if p <= ALPHA and difference[0] != 0:
        direction = "worse" if (difference[0] > 0) == new.more_is_worse else "better"
    appeared = old.counts is not None and new.counts is not None and not old.counts[0] and new.counts[0] > 0
    return Change(
        name=new.name,
        unit=new.unit,
        before=_estimate(old.value),
        after=_estimate(new.value),
        change=_estimate(difference),
        p=p,
        direction=direction,
        new=appeared,
    )


def _estimate(value: Interval) -> Estimate:
    return Estimate(value=value[0], low=min(value[0], value[1]), high=max(value[0], value[2]))


def quantities(report: AuditReport) -> Iterator[Quantity]:
    """Every number of an audit of which less, or more, is better."""
    for probe in report.separability:
        yield _of_auroc(f"separability: {probe.probe}", probe.pointwise)
        yield _of_accuracy(f"separability of pairs: {probe.probe}", probe.pairwise)
        yield from _of_matched(f"separability beyond decisions: {probe.probe}", probe.decision_matched)
    for one in report.lengths:
        if one.pairwise is not None:
            yield _of_accuracy(f"length: {one.unit}", one.pairwise)
    if report.source_leak is not None and report.source_leak.pairwise is not None:
        yield _of_accuracy("sources", report.source_leak.pairwise)
    for defect in report.defects:
        yield from _of_share(f"defects: {defect.kind}", defect.count, report.rows)
    yield from _of_share("defects", sum(one.count for one in report.defects), report.rows)
    yield from _of_findings(report.confounds)
    yield from _of_decisions(report)
    yield from _of_policy(report)


def _of_findings(confounds: Confounds) -> Iterator[Quantity]:
    for one in tallies(confounds):
        if one.compared is not None:
            sides = [
                (f"{one.compared}: {one.what}, {side}" if side else one.compared, s) for side, s in one.shares
            ]
            yield from _shares(*sides)


def _of_decisions(report: AuditReport) -> Iterator[Quantity]:
    for one in report.safety_contrast.strata:
        if one.prompts == "benign":
            what, share = "chosen refuses, rejected complies", one.chosen_refuses_rejected_complies
        else:
            what, share = "chosen complies, rejected refuses", one.chosen_complies_rejected_refuses
        yield from _shares((f"decisions on {one.prompts} prompts: {what}", share))


def _of_policy(report: AuditReport) -> Iterator[Quantity]:
    """What depends on the policy has its name, so that two policies are not compared."""
    policy = report.settings.get("policy")
    if report.as_trained is not None:
        for one in report.as_trained.happened:
            yield from _of_share(f"tokens of {policy}: {one.name}", one.pairs, report.as_trained.pairs)
    influence = report.safety_influence
    if influence is not None and influence.refusal.cosine is not None:
        cosine = influence.refusal.cosine
        value = (cosine.value, cosine.low, cosine.high)
        yield Quantity(f"influence on {policy}", "cosine", value, more_is_worse=False)


def _shares(*named: tuple[str, Share]) -> Iterator[Quantity]:
    for name, share in named:
        yield from _of_share(name, share.hits, share.scored)


def _of_share(name: str, hits: int, of: int) -> Iterator[Quantity]:
    if of:
        yield Quantity(name, "share", (hits / of, *wilson(hits, of)), (hits, of))


def _of_auroc(name: str, one: Auroc) -> Quantity:
    return Quantity(name, "AUROC", (one.auroc, one.low, one.high))


def _of_accuracy(name: str, one: Accuracy) -> Quantity:
    return Quantity(name, "accuracy", (one.accuracy, one.low, one.high))


def _of_matched(name: str, one: Matched) -> Iterable[Quantity]:
    if one.auroc is not None and one.low is not None and one.high is not None:
        yield Quantity(name, "AUROC", (one.auroc, one.low, one.high))


def _fill(some: dict[str, Quantity], others: dict[str, Quantity], report: AuditReport) -> None:
    """Add the shares of 0 that an audit leaves out, since it lists only what occurs.

    An audit of an older schema is not known to have looked for what it does not list, but for defects and repeats.
    """
    older = report.input is None
    # A set that was looked for is listed with what of it was, such as `XSTest (all 450, version 2)`.
    known = {f"contamination: {name.partition(' (')[0]}" for name in report.confounds.evaluation_sets_checked}
    for name in others.keys() - some.keys():
        finding = name.partition(":")[0]
        of = report.rows if finding == "defects" else report.pairs
        counted = finding_named(finding)
        listed = counted is not None and counted.listed_where_it_occurs and not older
        if name in known or finding == "defects" or listed:
            some.update((one.name, one) for one in _of_share(name, 0, of))
