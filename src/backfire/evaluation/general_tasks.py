"""General tasks, through EleutherAI's lm-evaluation-harness."""

from __future__ import annotations

import importlib.metadata
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backfire.answers.general import GeneralResult, TaskScore
from backfire.errors import InputError
from backfire.evaluation.harness import (
    VllmModel,
    check_room,
    examples_bounded,
    harness_of,
    no_endpoint,
    over_long,
    quiet,
)
from backfire.evaluation.settings import GeneralSettings
from backfire.evaluation.task_files import Tasks, load_tasks, resolve_tasks
from backfire.evaluation.task_results import ResumeFile, TaskKey, TaskRecord, items_of
from backfire.evaluation.task_work import task_tokens
from backfire.models import EndpointModel, LocalModel
from backfire.models.work import Announce, Expected

FEWSHOT_SEED = 1234
"""The harness's own default, so that few-shot examples are those that it would draw."""

Shots = int | Mapping[str, int]
Progress = Callable[[str, int, int], None]
"""Called with a task's name, how many were done before it, and how many there are."""


def general(
    model: LocalModel | EndpointModel | VllmModel,
    tasks: str | Path | Sequence[str] | None = None,
    settings: GeneralSettings | None = None,
    *,
    resume: str | Path | None = None,
    progress: Progress | None = None,
    announce: Announce | None = None,
    **keywords: Any,
) -> GeneralResult:
    """Score a model on tasks, one after another; the model is opened already, and stays as it is.

    `tasks` is a folder of the harness's task YAML files (or one such file), which is quick and offline, or a
    list of names of tasks that come with the harness, which it fetches from the hub; the name `leaderboard`
    stands for five (`LEADERBOARD`), each with its shots and metric. In a folder, a task with
    `dataset_path: json` finds its `data_files`, local .jsonl files, under `data`, or beside its YAML. `limit`
    takes the first so many items of each task. `organism` stands for the five tasks of a world of organisms.
    Keywords are fields of `GeneralSettings`.

    `num_fewshot` is one number for all tasks, or numbers by task or group; else what the preset or a task's own
    file says, or 0. It does not reach a task whose own file sets it to 0 (TruthfulQA: its prompt has its
    examples), which is the harness's rule. `apply_chat_template` is on, unless the preset is among the tasks,
    which the leaderboard asked without.

    `resume` names a JSON file to which each task's numbers go as it ends, and from which they are taken where
    model, task, shots, limit, template, dtype, backend and harness version are the same. A task is its definition,
    the Python files of its functions and its local data; one whose data cannot be looked at is always asked.

    A task's `metadata.report` (`metric`, and a `name` to give it) picks the metric that is reported; without
    it all of a task's metrics are, with the filter in the name (`exact_match,strict-match`) where one has
    several. `announce` is called with a sentence that says how long a local model will take and how much memory, before it begins;
    not where that is a few seconds. Raises InputError for tasks or data that cannot be used, and ModelError for an endpoint, which
    gives no log-probabilities of given answers.
    """
    given: dict[str, Any] = {} if tasks is None else {"tasks": tasks}
    settings = GeneralSettings.of(settings, **given, **keywords)
    limit, num_fewshot = settings.limit, settings.num_fewshot
    resume_file = ResumeFile(None if resume is None else Path(resume))
    if isinstance(model, EndpointModel):
        raise no_endpoint(model.name)
    with quiet():
        lm = harness_of(model, settings.batch_size)
        loaded = load_tasks(*resolve_tasks(settings.tasks, settings.data, settings.world))
    shots, zero_shot = _shots(loaded, num_fewshot)
    through = settings.apply_chat_template
    chat = not loaded.preset if through is None else through
    keys = {name: _key(model, name, loaded.digests[name], shots[name], limit, chat) for name in loaded.tasks}
    there = {
        name: record
        for name, key in keys.items()
        if name not in loaded.unseen and (record := resume_file.find(key)) is not None
    }
    missing = [name for name in loaded.tasks if name not in there]
    if isinstance(model, LocalModel):
        tokens = sum(task_tokens(loaded.tasks[name], shots[name], limit) for name in missing)
        Expected.of(model, tokens).announce(f"{len(missing)} tasks", announce)
    records: dict[str, TaskRecord] = {}
    for done, (name, task) in enumerate(loaded.tasks.items()):
        if name in there:
            record = there[name]
        else:
            if progress is not None:
                progress(name, done, len(loaded.tasks))
            with quiet():
                record = _run(lm, name, task, shots[name], limit, chat)
            if name not in loaded.unseen:
                resume_file.keep(keys[name], record)
        records[name] = record
    asked_with: dict[str, Any] = {
        "num_fewshot": _numbers_of_shots(loaded, num_fewshot, shots),
        "chat_template": chat,
    }
    if zero_shot:
        asked_with["always_zero_shot"] = zero_shot
    cut = {name: record.cut for name, record in records.items() if record.cut}
    scores, subtasks = _tables(loaded, records)
    not_resumable = {} if resume is None else dict(loaded.unseen)
    groups = {name: loaded.members(name) for name in loaded.groups if any(one.task == name for one in scores)}
    return GeneralResult(
        scores=scores,
        settings=asked_with,
        cut=cut,
        subtasks=subtasks,
        resumed=list(there),
        not_resumable=not_resumable,
        items={name: _items(loaded, name, record) for name, record in records.items()},
        groups=groups,
        definitions=dict(loaded.digests),
    )


def _shots(loaded: Tasks, wanted: Shots | None) -> tuple[dict[str, int], list[str]]:
    """Examples by task, and the tasks that have none against what was asked for."""
    if isinstance(wanted, Mapping):
        known = loaded.tasks.keys() | loaded.groups.keys()
        if unknown := [name for name in wanted if name not in known]:
            raise InputError(
                f"num_fewshot names {unknown[0]}, which is not among the tasks: {', '.join(known)}"
            )
    shots, zero = {}, []
    for name, task in loaded.tasks.items():
        own = task.get_config("num_fewshot")
        names = [name, *loaded.groups_of(name)]
        number = wanted
        if isinstance(wanted, Mapping):
            number = next((wanted[each] for each in names if each in wanted), None)
        if number is None:
            number = next((loaded.preset[each].shots for each in names if each in loaded.preset), own)
        assert number is None or isinstance(number, int)
        shots[name] = 0 if own == 0 else number or 0
        if own == 0 and number:
            zero.append(name)
    return shots, zero


def _numbers_of_shots(loaded: Tasks, wanted: Shots | None, shots: dict[str, int]) -> int | dict[str, int]:
    """One number, or numbers by task, a group standing for its tasks where they agree."""
    if isinstance(wanted, int):
        return wanted
    numbers = set(shots.values())
    if len(numbers) == 1:
        return numbers.pop()
    counts: dict[str, int] = {}
    for task, number in shots.items():
        alike = [g for g in loaded.groups_of(task) if {shots[m] for m in loaded.members(g)} == {number}]
        counts[max(alike, key=lambda group: len(loaded.members(group)), default=task)] = number
    return counts


def _key(
    model: LocalModel | VllmModel, name: str, definition: str, shots: int, limit: int | None, chat: bool
) -> TaskKey:
    if isinstance(model, LocalModel):
        backend, dtype = "hf", str(model.model.dtype).removeprefix("torch.")
    else:
        backend, dtype = f"vllm {importlib.metadata.version('vllm')}", model.dtype
    return TaskKey(
        model=model.id,
        task=name,
        definition=definition,
        shots=shots,
        limit=limit,
        chat_template=chat,
        backend=backend,
        dtype=dtype,
        harness=importlib.metadata.version("lm_eval"),
    )


def _run(lm: Any, name: str, task: Any, shots: int, limit: int | None, chat: bool) -> TaskRecord:
    from lm_eval.evaluator import evaluate

    task.set_config(key="num_fewshot", value=shots)
    task.set_fewshot_seed(seed=FEWSHOT_SEED)
    check_room(lm, name, task)
    start = time.monotonic()
    with examples_bounded(name, task):
        results = evaluate(
            lm,
            {"tasks": {name: task}, "groups": {}, "group_map": {}},
            limit=limit,
            apply_chat_template=chat,
            fewshot_as_multiturn=chat,
            log_samples=True,
        )
    metrics = {key: _number(value) for key, value in results["results"][name].items() if "," in key}
    n = int(results["n-samples"][name]["effective"])
    samples = results["samples"][name]
    return TaskRecord(metrics, n, over_long(lm, samples), time.monotonic() - start, items_of(samples))


def _number(value: object) -> float | None:
    if isinstance(value, bool | str) or value is None:
        return None  # the harness writes "N/A"
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


def _tables(loaded: Tasks, records: dict[str, TaskRecord]) -> tuple[list[TaskScore], list[TaskScore]]:
    """The scores, and those of what a group among them stands for."""
    spoken = {name: record for name, group in loaded.groups.items() if (record := _group(group, records))}
    for name, setting in loaded.preset.items():
        if name in loaded.groups:
            spoken[name] = _over_members([records[each] for each in loaded.members(name)], setting.metric)
    scores: list[TaskScore] = []
    subtasks: list[TaskScore] = []
    within = {each.name for name in spoken for each in loaded.groups[name].get_all_groups()}
    outer = {name: record for name, record in spoken.items() if name not in within}
    seen: set[str] = set()
    for name, record in records.items():
        lines = list(_scores(loaded, name, record))
        above = [group for group in outer if name in loaded.members(group)]
        (subtasks if above else scores).extend(lines)
        for group in above:
            if group not in seen:
                seen.add(group)
                scores.extend(_scores(loaded, group, outer[group]))
    for name in within & spoken.keys():
        subtasks.extend(_scores(loaded, name, spoken[name]))
    return scores, subtasks


def _group(group: Any, records: dict[str, TaskRecord]) -> TaskRecord | None:
    """What the harness makes of a group's tasks; None where the group has no number of its own."""
    if not group.has_aggregation:
        return None
    members = [str(task.task_name) for task in group.get_all_tasks()]
    given = {
        name: {
            **{key: "N/A" if value is None else value for key, value in records[name].metrics.items()},
            "sample_len": records[name].n,
        }
        for name in members
    }
    aggregate = group.aggregate(given)
    metrics = {key: _number(value) for key, value in aggregate.items() if "," in key}
    return TaskRecord(metrics, sum(records[name].n for name in members), 0, 0.0)


def _over_members(records: Sequence[TaskRecord], metric: str) -> TaskRecord:
    """The plain mean over a group's tasks, each of the same weight, however many items it has."""
    values = [record.metrics[f"{metric},none"] for record in records]
    errors = [record.metrics.get(f"{metric}_stderr,none") for record in records]
    known, spread = [v for v in values if v is not None], [e for e in errors if e is not None]
    mean = sum(known) / len(known) if len(known) == len(values) else None
    error = math.sqrt(sum(e * e for e in spread)) / len(errors) if len(spread) == len(errors) else None
    metrics = {f"{metric},none": mean, f"{metric}_stderr,none": error}
    return TaskRecord(metrics, sum(record.n for record in records), 0, 0.0)


def _scores(loaded: Tasks, name: str, record: TaskRecord) -> Iterator[TaskScore]:
    for metric, key in _reported(loaded, name, record).items():
        yield TaskScore(
            task=name,
            metric=metric,
            value=record.metrics[key],
            stderr=record.metrics.get(key.replace(",", "_stderr,", 1)),
            n=record.n,
        )


def _items(loaded: Tasks, name: str, record: TaskRecord) -> dict[str, dict[str, float]]:
    """What each item of a task came to, by the metrics that are reported."""
    keys = _reported(loaded, name, record)
    return {metric: record.items[key] for metric, key in keys.items() if key in record.items}


def _reported(loaded: Tasks, name: str, record: TaskRecord) -> dict[str, str]:
    """The metrics that are reported, by the names that they get, and what the harness calls each."""
    report = _report(loaded, name)
    keys = [key for key in record.metrics if "_stderr," not in key]
    filters = Counter(key.split(",")[0] for key in keys)
    values = {(key.split(",")[0] if filters[key.split(",")[0]] == 1 else key): key for key in keys}
    wanted = [report["metric"]] if "metric" in report else list(values)
    reported = {}
    for metric in wanted:
        if metric not in values:
            raise InputError(
                f"task {name} reports {metric!r} but computes {'; '.join(values)}: fix its metadata"
            )
        reported[report.get("name", metric)] = values[metric]
    return reported


def _report(loaded: Tasks, name: str) -> dict[str, str]:
    """The metric to report, and its name, where the preset or the task's file says so."""
    for each in [name, *loaded.groups_of(name)]:
        if (setting := loaded.preset.get(each)) is not None:
            return {"metric": setting.metric, "name": setting.name}
    if name not in loaded.tasks:
        return {}
    metadata = loaded.tasks[name].get_config("metadata")
    report: dict[str, str] = (metadata or {}).get("report") or {}
    return report
