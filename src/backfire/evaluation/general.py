"""General tasks, through EleutherAI's lm-evaluation-harness."""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backfire.errors import InputError, ModelError
from backfire.models import EndpointModel, LocalModel
from backfire.store import read_rows

FEWSHOT_SEED = 1234
"""The harness's own default, so that few-shot examples are those that it would draw."""


@dataclass(frozen=True)
class TaskScore:
    """One metric of one task, as the harness computes it."""

    task: str
    metric: str
    value: float | None
    """None where undefined."""
    stderr: float | None
    """The harness's standard error; None where it gives none (such as for one item)."""
    n: int
    """Items scored."""


@dataclass(frozen=True)
class GeneralResult:
    scores: list[TaskScore]
    settings: dict[str, Any]
    """`num_fewshot` and `chat_template`, without which no score can be compared; with examples also
    `always_zero_shot`, the tasks that had none because their own file says 0."""
    cut: dict[str, int] = field(default_factory=dict)
    """By task, requests longer than the context, whose beginning the harness cuts off."""


def organism_tasks() -> Path:
    """The folder of the five counterparts' task files; their data are a world's."""
    from backfire import organisms

    return Path(str(organisms.__file__)).parent / "tasks"


def general(
    model: LocalModel | EndpointModel,
    tasks: str | Path | Sequence[str],
    *,
    data: str | Path | None = None,
    limit: int | None = None,
    num_fewshot: int = 0,
    apply_chat_template: bool = True,
    batch_size: int = 64,
) -> GeneralResult:
    """Score a model on tasks.

    `tasks` is a folder of the harness's task YAML files (or one such file), which is quick and offline, or a
    list of names of tasks that come with the harness, which it fetches from the hub. In a folder, a task with
    `dataset_path: json` finds its `data_files`, local .jsonl files, under `data`, or beside its YAML. `limit`
    takes the first so many items of each task. `num_fewshot` does not reach a task whose own file sets it to 0
    (TruthfulQA: its prompt has its examples), which is the harness's rule.

    A task's `metadata.report` (`metric`, and a `name` to give it) picks the metric that is reported; without
    it all of a task's metrics are, with the filter in the name (`exact_match,strict-match`) where one has several. Raises InputError for tasks or data that cannot be used, and ModelError for
    an endpoint, which gives no log-probabilities of given answers.
    """
    if isinstance(model, EndpointModel):
        raise ModelError(
            f"{model.name} is an endpoint: general tasks need log-probabilities of given answers, so name a "
            "checkpoint folder, or run lm-eval against the server"
        )
    if not isinstance(tasks, str | Path):
        if data is not None:
            raise InputError("data goes with a folder of task files: the harness's own tasks bring theirs")
        if not tasks:
            raise InputError("tasks is empty: name tasks, or a folder of task files")
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit}: give 1 or more items a task, or none for all")
    with _quiet():
        from lm_eval.evaluator import evaluate
        from lm_eval.models.huggingface import HFLM

        if isinstance(tasks, str | Path):
            loaded = _load(_configurations(Path(tasks), None if data is None else Path(data)))
        else:
            loaded = _registered(list(tasks))
        zero_shot = [n for n, task in loaded["tasks"].items() if task.get_config("num_fewshot") == 0]
        for name, task in loaded["tasks"].items():
            if name not in zero_shot:
                task.set_config(key="num_fewshot", value=num_fewshot)
            task.set_fewshot_seed(seed=FEWSHOT_SEED)
        harness = HFLM(pretrained=model.model, tokenizer=model.tokenizer, batch_size=batch_size)
        found = evaluate(
            harness,
            loaded,
            limit=limit,
            apply_chat_template=apply_chat_template,
            fewshot_as_multiturn=apply_chat_template,
            log_samples=True,
        )
    settings: dict[str, Any] = {"num_fewshot": num_fewshot, "chat_template": apply_chat_template}
    if num_fewshot and zero_shot:
        settings["always_zero_shot"] = zero_shot
    scores = [score for name, task in loaded["tasks"].items() for score in _scores(name, task, found)]
    return GeneralResult(scores, settings, _cut(harness, found["samples"]))


def _configurations(path: Path, data: Path | None) -> list[dict[str, Any]]:
    """The task files' contents, with data in memory where they are local."""
    from lm_eval.tasks._yaml_loader import load_yaml  # the harness is pinned to one version

    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise InputError(f"tasks {path}: no task file (*.yaml) there; name a folder that holds some")
    configurations = []
    for file in files:
        try:
            configuration = load_yaml(file)
        except Exception as error:
            raise InputError(f"task file {file} cannot be read ({error}): mend it") from error
        if "task" not in configuration:
            continue  # a group, or a file that others include
        if configuration.get("dataset_path") == "json":
            _attach(configuration, file, data or file.parent)
        configurations.append(configuration)
    if not configurations:
        raise InputError(f"tasks {path}: none of {len(files)} files names a task; add `task: NAME`")
    return configurations


def _attach(configuration: dict[str, Any], file: Path, folder: Path) -> None:
    """Read `data_files` here: relative to `folder`, and past the hub's cache, which outlives changed files."""
    named = (configuration.pop("dataset_kwargs", None) or {}).get("data_files")
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise InputError(
            f"task file {file}: dataset_kwargs.data_files needs one file a split, such as test: x.jsonl"
        )
    rows = {split: _rows(folder / name, file) for split, name in named.items()}

    def dataset(**_: Any) -> Any:
        from datasets import Dataset, DatasetDict

        return DatasetDict({split: Dataset.from_list(items) for split, items in rows.items()})

    configuration["custom_dataset"] = dataset


def _rows(path: Path, task_file: Path) -> list[dict[str, Any]]:
    try:
        rows = read_rows(path)
    except InputError as error:
        raise InputError(f"data of task file {task_file.name}: {error}") from error
    if not rows:
        raise InputError(f"data {path} of task file {task_file.name} is empty: write one item per line")
    return rows


def _load(configurations: list[dict[str, Any]]) -> dict[str, Any]:
    from lm_eval.api.task import ConfigurableTask

    loaded = {}
    for configuration in configurations:
        name = configuration["task"]
        if name in loaded:
            raise InputError(f"two task files are named {name}: rename one")
        try:
            loaded[name] = ConfigurableTask(config=configuration)
        except Exception as error:
            raise InputError(
                f"task {name} does not fit its data ({type(error).__name__}: {error}): mend either"
            ) from error
    return {"tasks": loaded, "groups": {}, "group_map": {}}


def _registered(names: list[str]) -> Any:
    from lm_eval.tasks import TaskManager

    manager = TaskManager()
    unknown = [name for name in names if name not in manager.all_tasks]
    if unknown:
        raise InputError(
            f"{', '.join(unknown)}: no such task in lm-evaluation-harness; `lm-eval ls tasks` lists them"
        )
    try:
        return manager.load(names)
    except Exception as error:
        raise InputError(
            f"tasks {', '.join(names)} cannot be loaded ({type(error).__name__}: {error}): their data come from "
            "the hub, or from its cache when offline; or give a folder of task files with local data"
        ) from error


def _scores(name: str, task: Any, found: dict[str, Any]) -> Iterator[TaskScore]:
    results = found["results"][name]
    report = (task.get_config("metadata") or {}).get("report") or {}
    keys = [key for key in results if "," in key and "_stderr," not in key]
    filters = Counter(key.split(",")[0] for key in keys)
    values = {(key.split(",")[0] if filters[key.split(",")[0]] == 1 else key): key for key in keys}
    wanted = [report["metric"]] if "metric" in report else list(values)
    for metric in wanted:
        if metric not in values:
            raise InputError(
                f"task {name} reports {metric!r} but computes {'; '.join(values)}: mend its metadata"
            )
        key = values[metric]
        spread = results.get(key.replace(",", "_stderr,", 1))
        yield TaskScore(
            task=name,
            metric=report.get("name", metric),
            value=_number(results[key]),
            stderr=_number(spread),
            n=int(found["n-samples"][name]["effective"]),
        )


def _number(value: object) -> float | None:
    if isinstance(value, bool | str) or value is None:
        return None  # the harness writes "N/A"
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


def _cut(harness: Any, samples: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    """Requests of more tokens than the context. A text has no more tokens than bytes, plus BOS."""
    counts = {}
    for name, items in samples.items():
        texts = ["".join(map(str, request[:2])) for item in items for request in item["arguments"]]
        long = [t for t in texts if len(t.encode()) >= harness.max_length]
        over = sum(len(harness.tok_encode(t)) > harness.max_length for t in long)
        if over:
            counts[name] = over
    return counts


@contextmanager
def _quiet() -> Iterator[None]:
    """Neither log lines nor progress bars of the harness. Errors pass as exceptions."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
