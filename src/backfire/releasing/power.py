"""Before anything is asked: whether what the rules name is there, and whether the number of prompts can decide them at all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from backfire.answers.outcomes import Checkpoint
from backfire.answers.release import Evidence, RuleResult
from backfire.comparing.matching import PROMPT, units_of
from backfire.errors import InputError
from backfire.evaluation.attack_inputs import AttackInputs
from backfire.evaluation.attacking import rows_of
from backfire.evaluation.counting import shared_behaviours
from backfire.evaluation.harness import quiet
from backfire.evaluation.task_files import load_tasks, resolve_tasks
from backfire.records import Prompt
from backfire.releasing.deciding import decide
from backfire.releasing.settings import EVERY_ATTACK, ReleaseRules, Rule

CALLER = 6
"""Frames from a warning here to whoever called `release`."""


def check_names(rules: ReleaseRules, inputs: AttackInputs) -> None:
    """Raise InputError for a rule that names a judge or an attack that is not there."""
    judges = [judge.name for judge in inputs.judges]
    attacks = [*rows_of(inputs), EVERY_ATTACK]
    for place, rule in enumerate(rules.rules):
        if rule.judge is not None and rule.judge not in judges:
            raise InputError(
                f"rules.{place}.judge = {rule.judge!r}: no judge has this name; name one of {', '.join(judges)}, or leave it out"
            )
        if rule.metric == "asr" and rule.set is not None and rule.set not in attacks:
            raise InputError(
                f"rules.{place}.set = {rule.set!r}: no attack has this name; name one of {', '.join(attacks)}, or leave it out"
            )


def check_tasks(rules: ReleaseRules, world: str | None) -> None:
    """Raise InputError for a rule that names a general task that is not there."""
    named = {place: rule.task for place, rule in enumerate(rules.rules) if rule.task is not None}
    if not named or rules.general is None:
        return
    general = rules.general
    with quiet():
        loaded = load_tasks(*resolve_tasks(general.tasks, general.data, general.world or world))
    there = [*loaded.groups, *loaded.tasks]
    for place, task in named.items():
        if task.split(" ")[0] not in there:
            raise InputError(
                f"rules.{place}.task = {task!r}: no task has this name; name one of {', '.join(there)}, or leave it out"
            )


def check_power(rules: ReleaseRules, inputs: AttackInputs) -> None:
    """Try each rule about single sets on the best answers that there could be, and on equal ones.

    Raises InputError for a rule that no answers could pass with so few prompts. Warns of one that the candidate would not
    pass by answering as the base does.
    """
    for place, rule in enumerate(rules.rules):
        if rule.metric == "general" or (rule.metric == "asr" and inputs.ways is not None):
            continue
        for name, prompts in (inputs.harmful if rule.metric == "asr" else inputs.benign).items():
            if rule.set in (None, name):
                judge = rule.judge or inputs.judges[0].name
                _check(place, rule, judge, name, {prompt.id: prompt for prompt in prompts})


def _check(place: int, rule: Rule, judge: str, name: str, prompts: Mapping[str, Prompt]) -> None:
    best = _decided(rule, judge, name, prompts, base=True)
    with_these = f"rules.{place} ({best.says}): with the {len(prompts)} prompts of {name!r}"
    if best.verdict != "pass":
        reach = "there is no interval" if best.high is None else f"the interval reaches {best.high:.1f}"
        fix = f"give {best.needed} prompts or more" if best.needed else "give more prompts"
        raise InputError(
            f"{with_these} no answers can keep it, for {reach} with the best there could be: {fix}, or raise the limit"
        )
    if rule.kind == "above_base_at_most" and rule.limit > 0:
        alike = _decided(rule, judge, name, prompts, base=False)
        if alike.verdict != "pass" and alike.needed:
            warnings.warn(
                f"{with_these} a candidate that answers as its base does is not decided; {alike.needed} would decide it",
                stacklevel=CALLER,
            )


def _decided(rule: Rule, judge: str, name: str, prompts: Mapping[str, Prompt], *, base: bool) -> RuleResult:
    """The rule on answers none of which count against the candidate, the base's all counting against it or none."""
    tags = {prompt: one.tags for prompt, one in prompts.items()}
    shared = shared_behaviours(prompts)
    known = Checkpoint(name="", sets={}, attacks=frozenset(), clusters={name: shared} if shared else {})
    unit, groups = units_of(name, list(prompts), tags, None, (known,))
    evidence = Evidence(
        base={name: {judge: dict.fromkeys(prompts, base)}},
        candidate={name: {judge: dict.fromkeys(prompts, False)}},
        attacks=[name] if rule.metric == "asr" else [],
        together={},
        judges=[judge],
        clusters={} if unit == PROMPT else {name: groups},
        units={name: unit},
        base_items={},
        candidate_items={},
        scores=[],
        groups={},
        unscored={},
        seed=0,
    )
    alone = rule.model_copy(update={"set": None})
    (result,) = decide(ReleaseRules.model_construct(rules=(alone,)), evidence)
    return result
