"""Does a release file still say what it was made from? Every digest of its binding is computed again where that can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from backfire.answers.release import (
    Binding,
    Checked,
    ReleaseCheck,
    ReleaseReport,
    TestedJudge,
    TestedModel,
    TestedPrompts,
    read_release,
)
from backfire.errors import BackfireError, InputError, setting
from backfire.evaluation.attacks import wrap
from backfire.evaluation.harness import quiet
from backfire.evaluation.task_files import load_tasks, resolve_tasks
from backfire.judges import judge_digest
from backfire.models.opening import model_files
from backfire.organisms.catalog import PREFIX, world_named_by
from backfire.prompts import is_prompt_set, prompt_sets
from backfire.prompts.named import prompts_of
from backfire.prompts.published import find_file
from backfire.records import digest
from backfire.releasing.checking import prompts_digest
from backfire.releasing.deciding import decide, overall
from backfire.releasing.rules_file import parse_rules
from backfire.releasing.settings import ReleaseRules, VerifySettings
from backfire.releasing.source_code import tested_code


def verify_release(file: str | Path, settings: VerifySettings | None = None, **keywords: Any) -> ReleaseCheck:
    """Compute again what a release file is bound to, and say what is the same, what differs, and what could not be checked.

    Args:
        file: a release.json, or the folder of a check.
        settings: where the models and prompts lie now, which may also be given by keywords, such as `candidate="./policy"`.

    Raises:
        InputError: a file that was edited, is of another schema, or is no release file.
    """
    settings = VerifySettings.of(settings, **keywords)
    report = read_release(file)
    rules = parse_rules(report.rules, origin=f"{file}, rules")
    return ReleaseCheck(file=str(file), verdict=report.verdict, parts=list(_parts(report, rules, settings)))


def _parts(report: ReleaseReport, rules: ReleaseRules, settings: VerifySettings) -> Iterator[Checked]:
    binding = report.binding
    bound = digest("release binding", binding.model_dump(mode="json"), report.rules)
    yield _compared("binding", report.binding_digest, bound)
    yield _verdicts(report, rules)
    for side, model, now in (
        ("base", binding.base, settings.base),
        ("candidate", binding.candidate, settings.candidate),
    ):
        yield _attempted(side, partial(_model, side, model, now, rules, settings))
    for name, prompts in binding.prompts.items():
        yield _attempted(f"prompts {name}", partial(_prompts, name, prompts, rules, settings))
    for judge in binding.judges:
        yield _attempted(f"judge {judge.judge}", partial(_judge, judge, binding, rules))
    if binding.tasks:
        yield _attempted("general tasks", partial(_tasks, binding, rules))
    yield _code(binding)


def _attempted(part: str, check: Callable[[], Checked]) -> Checked:
    try:
        return check()
    except BackfireError as error:
        return Checked(part=part, state="not checked", why=str(error))


def _compared(part: str, then: str, now: str) -> Checked:
    if then == now:
        return Checked(part=part, state="same", why="")
    return Checked(part=part, state="differs", why=f"was {then[:16]}, is {now[:16]}")


def _verdicts(report: ReleaseReport, rules: ReleaseRules) -> Checked:
    """The verdicts, counted again from the outcomes that the file holds."""
    part = "verdicts"
    try:
        results = decide(rules, report.evidence)
    except (InputError, KeyError, ValueError) as error:
        return Checked(
            part=part, state="differs", why=f"the outcomes in the file do not fit its rules: {error}"
        )
    for one, then in zip(results, report.results, strict=False):
        if one.verdict != then.verdict:
            return Checked(
                part=part, state="differs", why=f"{then.says}: was {then.verdict}, is {one.verdict}"
            )
    if len(results) != len(report.results) or overall(results) != report.verdict:
        return Checked(part=part, state="differs", why=f"was {report.verdict}, is {overall(results)}")
    return Checked(part=part, state="same", why="")


def _model(side: str, model: TestedModel, now: Any, rules: ReleaseRules, settings: VerifySettings) -> Checked:
    reference = model.model if now is None else str(getattr(now, "name", now))
    if now is not None and not isinstance(now, (str, Path)):
        return _compared(side, model.model_id, now.id)
    if reference.startswith("openai:"):
        return Checked(
            part=side,
            state="not checked",
            why=f"{reference} is an endpoint, whose weights nobody sees from here",
        )
    if not reference.startswith(PREFIX) and not Path(reference).expanduser().exists():
        return Checked(
            part=side,
            state="not checked",
            why=f"there is no folder {reference} here: name it by {setting(side)}",
        )
    return _compared(side, model.model_id, model_files(reference, None, settings.chat_template).id)


def _prompts(name: str, prompts: TestedPrompts, rules: ReleaseRules, settings: VerifySettings) -> Checked:
    part, reference = f"prompts {name}", prompts.reference
    if reference is None:
        return Checked(part=part, state="not checked", why="they were given in Python, and have no reference")
    folder = settings.prompts_dir or rules.attacks.prompts_dir
    if is_prompt_set(reference):
        if find_file(prompt_sets()[reference.partition(":")[0]], folder) is None:
            return Checked(part=part, state="not checked", why=f"{reference} is not on this machine")
    elif not reference.startswith(PREFIX) and not Path(reference).exists():
        return Checked(part=part, state="not checked", why=f"there is no file {reference} here")
    there = prompts_of(reference, kind=prompts.kind, folder=folder, **rules.attacks.reading.model_dump())
    if prompts.kind == "harmful" and rules.attacks.wrapper != "direct":
        there = wrap(there, rules.attacks.wrapper)
    return _compared(part, prompts.digest, prompts_digest(there))


def _judge(judge: TestedJudge, binding: Binding, rules: ReleaseRules) -> Checked:
    part = f"judge {judge.judge}"
    if judge.reference is None or judge.digest is None:
        return Checked(part=part, state="not checked", why="it was given in Python, and has no reference")
    return _compared(part, judge.digest, judge_digest(judge.reference, world=_world(binding, rules)))


def _world(binding: Binding, rules: ReleaseRules) -> str | None:
    references = [binding.base.model, *(one.reference or "" for one in binding.prompts.values())]
    return rules.attacks.world or next((w for r in references if (w := world_named_by(r))), None)


def _tasks(binding: Binding, rules: ReleaseRules) -> Checked:
    general = rules.general
    assert general is not None
    tasks, data = resolve_tasks(general.tasks, general.data, general.world or _world(binding, rules))
    if not isinstance(tasks, Path):
        return Checked(
            part="general tasks",
            state="not checked",
            why="they come from the hub, and are not fetched for this",
        )
    with quiet():
        there = load_tasks(tasks, data).digests
    changed = sorted(
        name for name in there.keys() | binding.tasks.keys() if there.get(name) != binding.tasks.get(name)
    )
    if changed:
        return Checked(
            part="general tasks", state="differs", why=f"{', '.join(changed)}: their files or data changed"
        )
    return Checked(part="general tasks", state="same", why="")


def _code(binding: Binding) -> Checked:
    """The code that made the file is not at hand where this one differs, so that nothing can be said of it."""
    then, now = binding.code, tested_code()
    apart = [
        f"{name} {then.libraries.get(name, 'absent')}, here {now.libraries.get(name, 'absent')}"
        for name in sorted(then.libraries.keys() | now.libraries.keys())
        if then.libraries.get(name) != now.libraries.get(name)
    ]
    if then.digest != now.digest:
        apart = [
            f"backfire {then.backfire} ({then.digest[:16]}), here {now.backfire} ({now.digest[:16]})",
            *apart,
        ]
    if apart:
        return Checked(part="code", state="not checked", why=f"it was made by {'; '.join(apart)}")
    return Checked(part="code", state="same", why="")
