"""What both models answered, as the evidence that rules are held against: outcomes and items, and no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backfire.answers.attack import AttackResult, SuiteResult
from backfire.answers.general import GeneralResult, TaskScore
from backfire.answers.outcomes import Checkpoint
from backfire.answers.release import Evidence, Items
from backfire.comparing.matching import PROMPT, Tags, units_of
from backfire.errors import InputError

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Answered:
    """What one model answered."""

    attacked: AttackResult | None
    """None where there are neither attacks nor benign prompts."""
    general: GeneralResult | None


def evidence_of(
    base: Answered, candidate: Answered, judges: Sequence[str], tags: Tags, seed: int
) -> Evidence:
    """The evidence of both models. Raises InputError where a score cannot be paired item by item."""
    attacked = {"base": base.attacked, "candidate": candidate.attacked}
    outcomes = {side: {} if one is None else one.outcomes for side, one in attacked.items()}
    first = _checkpoint("base", base.attacked)
    units = {
        name: units_of(name, list(next(iter(by.values()))), tags, None, (first,))
        for name, by in outcomes["base"].items()
    }
    scores, groups = _scores(base.general, candidate.general)
    return Evidence(
        base=outcomes["base"],
        candidate=outcomes["candidate"],
        attacks=sorted(first.attacks),
        together=dict(first.together),
        judges=list(judges),
        clusters={name: groups for name, (unit, groups) in units.items() if unit != PROMPT},
        units={name: unit for name, (unit, _) in units.items()},
        base_items=_items(base.general, scores, groups),
        candidate_items=_items(candidate.general, scores, groups),
        scores=scores,
        groups=groups,
        unscored={side: _reasons(one) for side, one in attacked.items()},
        seed=seed,
    )


def checkpoints_of(evidence: Evidence) -> tuple[Checkpoint, Checkpoint]:
    """Both sides as `comparing` takes them."""
    first, second = (
        Checkpoint(
            name=name,
            sets=outcomes,
            attacks=frozenset(evidence.attacks),
            together=evidence.together,
            clusters=evidence.clusters,
        )
        for name, outcomes in (("the base", evidence.base), ("the candidate", evidence.candidate))
    )
    return first, second


def _checkpoint(name: str, attacked: AttackResult | None) -> Checkpoint:
    if attacked is None:
        return Checkpoint(name=name, sets={}, attacks=frozenset())
    together = (
        {row.attack: row.attacks for row in attacked.any_attack} if isinstance(attacked, SuiteResult) else {}
    )
    return Checkpoint(
        name=name,
        sets=attacked.outcomes,
        attacks=frozenset(row.attack for row in attacked.asr),
        together=together,
        clusters=attacked.clusters,
    )


def _reasons(attacked: AttackResult | None) -> dict[str, dict[str, int]]:
    """`set, judge` -> reason -> count."""
    counts: dict[str, Counter[str]] = {}
    for note in () if attacked is None else attacked.notes:
        counts.setdefault(f"{note.prompts}, {note.judge}", Counter())[note.reason] += note.count
    return {place: dict(reasons.most_common()) for place, reasons in counts.items()}


def _scores(
    base: GeneralResult | None, candidate: GeneralResult | None
) -> tuple[list[tuple[str, str]], dict[str, dict[str, float]]]:
    """The reported scores, and the weights of the tasks of each group among them."""
    if base is None or candidate is None:
        return [], {}
    first, second = ({(one.task, one.metric): one for one in each.scores} for each in (base, candidate))
    if first.keys() != second.keys():
        apart = ", ".join(f"{task} {metric}" for task, metric in sorted(first.keys() ^ second.keys()))
        raise InputError(
            f"only one of the two models has a score of {apart}: name tasks that both can be asked"
        )
    groups: dict[str, dict[str, float]] = {}
    for key, one in first.items():
        for result, score in ((base, one), (candidate, second[key])):
            weights = _weights(result, score)
            if one.task in result.groups:
                groups[one.task] = weights
    return list(first), groups


def _weights(result: GeneralResult, score: TaskScore) -> dict[str, float]:
    """The weight of each task in a score, which must be a mean of items between 0 and 1; a task alone has 1."""
    members = result.groups.get(score.task, [score.task])
    items = {name: list(result.items.get(name, {}).get(score.metric, {}).values()) for name in members}
    what = f"general task {score.task}, metric {score.metric}"
    if score.value is None or not all(items.values()):
        raise InputError(
            f"{what}, has no score by item, and cannot be compared item by item: choose another metric (`metadata: {{report: "
            "{metric: acc}}` in the task's file), or leave the task out"
        )
    if any(not 0 <= value <= 1 for values in items.values() for value in values):
        raise InputError(
            f"{what}, has items outside 0 and 1, so that no ratio of means can be taken: choose a metric such as acc"
        )
    means = {name: sum(values) / len(values) for name, values in items.items()}
    count = sum(map(len, items.values()))
    for weights in (
        dict.fromkeys(members, 1 / len(members)),
        {name: len(values) / count for name, values in items.items()},
    ):
        if abs(sum(weights[name] * means[name] for name in members) - score.value) < TOLERANCE:
            return weights
    raise InputError(
        f"{what}, is {score.value:.4f} and not the mean of its items, so that it cannot be compared item by item: choose a "
        "metric such as acc, or leave the task out"
    )


def _items(
    general: GeneralResult | None,
    scores: Sequence[tuple[str, str]],
    groups: Mapping[str, Mapping[str, float]],
) -> Items:
    """The items of the reported scores."""
    if general is None:
        return {}
    items: dict[str, dict[str, Any]] = {}
    for task, metric in scores:
        for name in groups.get(task, [task]):
            items.setdefault(name, {})[metric] = general.items[name][metric]
    return items
