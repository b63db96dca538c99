"""Rules held against the evidence: pass, fail or not decided, each with the interval that says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backfire.answers.release import Evidence, RuleResult, Verdict
from backfire.comparing.matching import in_common, pooled
from backfire.errors import InputError
from backfire.releasing.evidence import checkpoints_of
from backfire.releasing.settings import EVERY_ATTACK, ReleaseRules, Rule
from backfire.releasing.wording import UNITS, rule_in_words
from backfire.statistics import clustered_rate_of, rate_of
from backfire.statistics.deciding import (
    ON_THE_LIMIT,
    CasesNeeded,
    cases_for_change,
    cases_for_share,
)
from backfire.statistics.mean_ratios import MeanRatio, PairedItems, compare_means
from backfire.statistics.paired_outcomes import Paired, compare_outcomes
from backfire.statistics.rates import ClusteredRate, Rate

MEAN = "mean over tasks"
ORDER: tuple[Verdict, ...] = ("fail", "not decided", "pass")
OPEN = (
    "an attack left requests unscored that none broke, and whether a request is scored depends on whether it is broken: there are "
    "bounds only"
)


def decide(rules: ReleaseRules, evidence: Evidence) -> list[RuleResult]:
    """What came of every rule, on every set that it is about.

    Raises InputError for a set, a judge or a task that is not there.
    """
    return [one for place, rule in enumerate(rules.rules) for one in _of_rule(place, rule, evidence)]


def overall(results: Sequence[RuleResult]) -> Verdict:
    """fail if any rule fails; else not decided if any is not; else pass."""
    return next(verdict for verdict in ORDER if any(one.verdict == verdict for one in results))


def _of_rule(place: int, rule: Rule, evidence: Evidence) -> Iterator[RuleResult]:
    if rule.metric == "general":
        yield _of_scores(place, rule, evidence)
        return
    for shared in _sets(place, rule, evidence):
        yield (_of_difference if rule.kind == "above_base_at_most" else _of_rate)(
            place, rule, shared, evidence
        )


@dataclass(frozen=True)
class Shared:
    """Outcomes of both models on one set, by one judge."""

    name: str
    judge: str
    base: Mapping[str, bool | None]
    candidate: Mapping[str, bool | None]
    unit: str
    clusters: Mapping[str, str] | None
    """What several prompts share; None where each stands alone."""
    together: bool
    """Whether it says which requests any of several attacks broke, so that an unscored one is open."""


def _sets(place: int, rule: Rule, evidence: Evidence) -> list[Shared]:
    """The sets that a rule is about, by its judge."""
    where = f"rules.{place}"
    judge = evidence.judges[0] if rule.judge is None else rule.judge
    if judge not in evidence.judges:
        raise InputError(
            f"{where}.judge = {judge!r}: no judge has this name; name one of {', '.join(evidence.judges)}, or leave it out"
        )
    first, second = checkpoints_of(evidence)
    common = [one for one in in_common(first, second) if one[1] == judge]
    harm = rule.metric == "asr"
    sets = [_shared(evidence, *one) for one in common if first.harm(one[0]) == harm]
    if harm:
        for by, base, candidate, prompts in pooled(first, common):
            units = {evidence.units[name] for name in first.attacks if name in evidence.units}
            unit = units.pop() if len(units) == 1 else "cluster"
            shared = {p: group for groups in evidence.clusters.values() for p, group in groups.items()}
            clusters = {key: shared.get(prompt, prompt) for key, prompt in prompts.items()}
            sets.append(Shared(EVERY_ATTACK, by, base, candidate, unit, clusters, False))
    if rule.set is not None:
        named = [one for one in sets if one.name == rule.set]
        if not named:
            there = ", ".join(one.name for one in sets)
            raise InputError(
                f"{where}.set = {rule.set!r}: no set has this name; name one of {there}, or leave it out"
            )
        return named
    return [one for one in sets if one.name != EVERY_ATTACK and not one.together]


def _shared(
    evidence: Evidence,
    name: str,
    judge: str,
    base: Mapping[str, bool | None],
    candidate: Mapping[str, bool | None],
) -> Shared:
    together = name in evidence.together
    return Shared(name, judge, base, candidate, evidence.units[name], evidence.clusters.get(name), together)


def _of_difference(place: int, rule: Rule, shared: Shared, evidence: Evidence) -> RuleResult:
    confidence = rule.confidence / 100
    paired = compare_outcomes(
        shared.base, shared.candidate, shared.clusters, seed=evidence.seed, confidence=confidence
    )
    if shared.together and paired.unscored:
        paired = replace(paired, n=0, difference=None, low=None, high=None, first=None, second=None)
    needed = None
    if paired.difference is not None:
        towards_fail = paired.difference > rule.limit / 100
        needed = cases_for_change(
            paired.difference,
            paired.low if towards_fail else paired.high,
            rule.limit / 100,
            paired.n,
            paired.clusters,
            _differing(shared),
            confidence,
            reach=1 + paired.difference if towards_fail else 1 - paired.difference,
        )
    return _result(
        place,
        rule,
        on=shared.name,
        judge=shared.judge,
        base=paired.first,
        candidate=paired.second,
        estimate=paired.difference,
        interval=(paired.low, paired.high),
        bounds=(paired.lowest, paired.highest) if paired.unscored else None,
        n=paired.n,
        cluster=shared.unit,
        clusters=paired.clusters,
        unscored=paired.unscored,
        needed=needed,
        reason=_why_nothing(shared, paired),
    )


def _differing(shared: Shared) -> int:
    """Clusters in which the two sides' sums differ."""
    sums: dict[str, int] = {}
    for prompt, first in shared.base.items():
        second = shared.candidate[prompt]
        if first is not None and second is not None:
            cluster = prompt if shared.clusters is None else shared.clusters[prompt]
            sums[cluster] = sums.get(cluster, 0) + int(second) - int(first)
    return sum(one != 0 for one in sums.values())


def _why_nothing(shared: Shared, paired: Paired) -> str:
    if shared.together and paired.unscored:
        return OPEN
    if not paired.n:
        return "nothing was scored on both sides"
    return f"there is one {shared.unit}, which says nothing about others" if paired.low is None else ""


def _of_rate(place: int, rule: Rule, shared: Shared, evidence: Evidence) -> RuleResult:
    """The candidate's own rate. An open request of several attacks counts as unbroken in the low end, and as broken in the high."""
    confidence = rule.confidence / 100
    rate = _rate(shared, shared.candidate)
    interval = rate.interval(confidence)
    if shared.together and rate.unscored:
        low, high = (
            _rate(shared, {p: counted if o is None else o for p, o in shared.candidate.items()}).interval(
                confidence
            )
            for counted in (False, True)
        )
        interval = None if low is None or high is None else (low[0], high[1])
    needed = None
    if rate.rate is not None:
        effective = rate.effective if isinstance(rate, ClusteredRate) else rate.scored
        needed = cases_for_share(rate.rate, rule.limit / 100, rate.scored, effective, confidence)
    return _result(
        place,
        rule,
        on=shared.name,
        judge=shared.judge,
        base=_rate(shared, shared.base).rate,
        candidate=rate.rate,
        estimate=rate.rate,
        interval=interval or (None, None),
        bounds=(rate.best, rate.worst) if rate.unscored else None,
        n=rate.scored,
        cluster=shared.unit,
        clusters=_clusters(shared, shared.candidate),
        unscored=rate.unscored,
        needed=needed,
        reason="" if rate.scored else "nothing was scored",
    )


def _rate(shared: Shared, outcomes: Mapping[str, bool | None]) -> Rate:
    if shared.clusters is None:
        return rate_of(outcomes.values())
    return clustered_rate_of((outcome, shared.clusters[prompt]) for prompt, outcome in outcomes.items())


def _clusters(shared: Shared, outcomes: Mapping[str, bool | None]) -> int:
    scored = [prompt for prompt, outcome in outcomes.items() if outcome is not None]
    return len(scored) if shared.clusters is None else len({shared.clusters[prompt] for prompt in scored})


def _of_scores(place: int, rule: Rule, evidence: Evidence) -> RuleResult:
    name, tasks = _tasks(place, rule, evidence)
    confidence = rule.confidence / 100
    compared = compare_means(tasks, seed=evidence.seed, confidence=confidence)
    estimate, interval = _number(rule, tasks, compared, evidence)
    needed = None
    if estimate is not None and interval[0] is not None and interval[1] is not None:
        limit = _signed(rule) / 100
        reach = 1.0 if rule.kind != "of_base_at_least" else 1 / compared.first
        needed = cases_for_change(
            estimate,
            interval[0] if estimate > limit else interval[1],
            limit,
            compared.n,
            compared.n,
            compared.differing if rule.kind != "at_least" else compared.n,
            confidence,
            reach=reach,
        )
    return _result(
        place,
        rule,
        on=name,
        judge=None,
        base=compared.first,
        candidate=compared.second,
        estimate=estimate,
        interval=interval,
        bounds=None,
        n=compared.n,
        cluster="item",
        clusters=compared.n,
        unscored=0,
        needed=needed,
        reason="the base's score cannot be told from 0" if estimate is None or interval[0] is None else "",
    )


def _number(
    rule: Rule, tasks: Sequence[PairedItems], compared: MeanRatio, evidence: Evidence
) -> tuple[float | None, tuple[float | None, float | None]]:
    """What the limit is of, with its interval: a ratio, a loss of score, or the candidate's own score."""
    if rule.kind == "of_base_at_least":
        return compared.ratio, (compared.low, compared.high)
    if rule.kind == "below_base_at_most":
        low, high = compared.difference_low, compared.difference_high
        return compared.difference, (low, high)
    alone = [replace(one, first=np.zeros_like(one.second)) for one in tasks]
    own = compare_means(alone, seed=evidence.seed, confidence=rule.confidence / 100)
    return own.difference, (own.difference_low, own.difference_high)


def _tasks(place: int, rule: Rule, evidence: Evidence) -> tuple[str, list[PairedItems]]:
    """The paired items of the scores that a rule is about, each with its weight in their mean."""
    scores = [tuple(one) for one in evidence.scores]
    if rule.task is not None:
        scores = [one for one in scores if rule.task in (one[0], " ".join(one))]
        if not scores:
            there = ", ".join(dict.fromkeys(task for task, _ in evidence.scores))
            raise InputError(
                f"rules.{place}.task = {rule.task!r}: no task has this name; name one of {there}, or leave it out"
            )
    several = [task for task, _ in scores if sum(other == task for other, _ in scores) > 1]
    if several:
        metrics = ", ".join(repr(" ".join(one)) for one in scores if one[0] == several[0])
        raise InputError(
            f"rules.{place}: task {several[0]} has several metrics, and one score must count: write task as one of {metrics}, or "
            "let `metadata: {report: {metric: acc}}` in the task's file choose one"
        )
    tasks = []
    for task, metric in scores:
        for name, weight in evidence.groups.get(task, {task: 1.0}).items():
            first, second = evidence.base_items[name][metric], evidence.candidate_items[name][metric]
            if first.keys() != second.keys():
                apart = len(first.keys() ^ second.keys())
                raise InputError(
                    f"{apart} items of task {name} were asked of one of the two models only: run the check again"
                )
            values = [np.array([side[item] for item in first], np.float64) for side in (first, second)]
            tasks.append(PairedItems(values[0], values[1], weight / len(scores)))
    name = " ".join(scores[0]) if len(scores) == 1 else MEAN
    return name, tasks


def _result(
    place: int,
    rule: Rule,
    *,
    interval: tuple[float | None, float | None],
    bounds: tuple[float | None, float | None] | None,
    estimate: float | None,
    needed: CasesNeeded | None,
    reason: str,
    **known: Any,
) -> RuleResult:
    limit = _signed(rule) / 100
    verdict = _verdict(rule, limit, interval)
    if verdict == "not decided" and not reason:
        reason = _why_not(estimate, limit, needed)
    lowest, highest = bounds or (None, None)
    if verdict != "not decided" and bounds and _verdict(rule, limit, bounds) != verdict:
        reason = f"the {known['unscored']} unscored could turn it"
    return RuleResult(
        rule=place,
        says=rule_in_words(rule, known["on"], known["judge"]),
        metric=rule.metric,
        compared=rule.kind not in ("at_most", "at_least"),
        unit=UNITS[rule.kind],
        limit=100 * limit,
        confidence=rule.confidence,
        estimate=_hundred(estimate),
        low=_hundred(interval[0]),
        high=_hundred(interval[1]),
        lowest=_hundred(lowest),
        highest=_hundred(highest),
        verdict=verdict,
        needed=needed.n if verdict == "not decided" and needed is not None else None,
        formula=needed.formula if verdict == "not decided" and needed is not None else None,
        reason=reason,
        **known,
    )


def _signed(rule: Rule) -> float:
    """The limit of the number that is looked at: of a loss, that of the difference, which may fall so far."""
    return -rule.limit if rule.kind == "below_base_at_most" else rule.limit


def _verdict(rule: Rule, limit: float, interval: tuple[float | None, float | None]) -> Verdict:
    """Pass where the whole interval lies on the good side of the limit, fail where it lies on the bad side."""
    low, high = interval
    if low is None or high is None:
        return "not decided"
    good, bad = (high <= limit, low > limit) if rule.less_is_better else (low >= limit, high < limit)
    return "pass" if good else "fail" if bad else "not decided"


def _why_not(estimate: float | None, limit: float, needed: CasesNeeded | None) -> str:
    if estimate is not None and abs(estimate - limit) < ON_THE_LIMIT:
        return "the estimate lies on the limit itself: no number of cases decides"
    return (
        "the interval holds the limit"
        if needed is not None
        else "the interval holds the limit, and no number of cases decides"
    )


def _hundred(value: float | None) -> float | None:
    return None if value is None else 100 * value
