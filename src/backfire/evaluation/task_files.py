"""Tasks for the harness: task files with local data, the harness's own by name, and the leaderboard's five."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.evaluation.task_sources import local_files, plain
from backfire.records import digest
from backfire.tables import read_rows

PRESET = "leaderboard"
ORGANISM = "organism"
"""What stands for the five tasks of a world of organisms."""


@dataclass(frozen=True)
class Setting:
    """How the Open LLM Leaderboard of 2023 asked a task, and which number it took."""

    shots: int
    metric: str
    name: str
    """What the number is called: the harness calls mc2 `acc`."""


LEADERBOARD: Mapping[str, Setting] = {
    "arc_challenge": Setting(25, "acc_norm", "acc_norm"),
    "hellaswag": Setting(10, "acc_norm", "acc_norm"),
    "mmlu": Setting(5, "acc", "acc"),
    "truthfulqa_mc2": Setting(0, "acc", "mc2"),
    "winogrande": Setting(5, "acc", "acc"),
}
"""The preset `leaderboard`: tasks of the harness by name, without a chat template, as the leaderboard asked
them (Beeching et al. 2023, Open LLM Leaderboard). Its mmlu is the plain mean over the 57 subjects."""


@dataclass(frozen=True)
class Tasks:
    """Tasks as the harness loads them, by name, and what each is."""

    tasks: dict[str, Any]
    digests: dict[str, str]
    """Of a task's definition, and of its functions and data where they are local."""
    groups: dict[str, Any]
    """The harness's groups, which have tasks or groups in them."""
    preset: Mapping[str, Setting]
    """Settings of the tasks and groups that a preset brought."""
    unseen: Mapping[str, str] = field(default_factory=dict)
    """By task, why its digest may miss a change of its local data; other tasks are not here."""

    def members(self, group: str) -> list[str]:
        """The tasks of a group, those of its groups included."""
        return [str(task.task_name) for task in self.groups[group].get_all_tasks()]

    def groups_of(self, task: str) -> list[str]:
        return [group for group in self.groups if task in self.members(group)]


def organism_tasks() -> Path:
    """The folder of the five counterparts' task files; their data are a world's."""
    from backfire import organisms

    return Path(str(organisms.__file__)).parent / "tasks"


def resolve_tasks(
    tasks: str | Path | Sequence[str] | None, data: str | Path | None = None, world: str | None = None
) -> tuple[Path | list[str], Path | None]:
    """A folder of task files (or one file) with where its data lie, or names of the harness's own tasks.

    Args:
        tasks: `organism` for the five tasks of a world, the path of a folder or of a file, or names; None is `organism` where
            there is a world.
        world: whose tasks `organism` means; None is the shipped one.

    Raises:
        InputError: no tasks, or a path where nothing is.
    """
    folder = None if data is None else Path(data)
    if isinstance(tasks, Path):
        return tasks, folder
    if tasks is None and world is None:
        raise InputError(
            "no tasks: give a folder of task files, names such as arc_easy,winogrande, or leaderboard"
        )
    names = [ORGANISM] if tasks is None else tasks.split(",") if isinstance(tasks, str) else list(tasks)
    whole = ",".join(names)
    if whole == ORGANISM:
        from backfire.organisms.catalog import SHIPPED, tasks_data

        return organism_tasks(), folder or tasks_data(world or SHIPPED)
    if whole and Path(whole).exists():
        return Path(whole), folder
    if "/" in whole or whole.endswith((".yaml", ".yml")):
        raise InputError(f"tasks {whole}: there is no such folder or file")
    return [name.strip() for name in names if name.strip()], folder


def load_tasks(tasks: str | Path | Sequence[str], data: str | Path | None) -> Tasks:
    """Load what `general` was asked for; call it within `quiet`. Raises InputError for what cannot be used."""
    if isinstance(tasks, str | Path):
        return _local(Path(tasks), None if data is None else Path(data))
    if data is not None:
        raise InputError("data goes with a folder of task files: the harness's own tasks bring theirs")
    names = list(dict.fromkeys(tasks))
    if not names:
        raise InputError("tasks is empty: name tasks, or a folder of task files")
    preset = LEADERBOARD if PRESET in names else {}
    return _registered(list(dict.fromkeys(n for name in names for n in _expanded(name))), preset)


def _expanded(name: str) -> Iterable[str]:
    return LEADERBOARD if name == PRESET else [name]


def _local(path: Path, data: Path | None) -> Tasks:
    from lm_eval.api.task import ConfigurableTask

    tasks: dict[str, Any] = {}
    digests: dict[str, str] = {}
    unseen: dict[str, str] = {}
    for task_file in _read_files(path, data):
        name, rows = task_file.configuration["task"], task_file.rows
        if name in tasks:
            raise InputError(f"two task files are named {name}: rename one")
        values = plain(task_file.configuration, task_file.written)
        files, gap = local_files(task_file.configuration, rows_known=rows is not None)
        digests[name] = digest("task", values, rows, *([files] if files else []))
        if gap:
            unseen[name] = gap
        try:
            tasks[name] = ConfigurableTask(config=_with_data(task_file.configuration, rows))
        except Exception as error:
            raise InputError(
                f"task {name} does not fit its data ({type(error).__name__}: {error}): fix either"
            ) from error
    return Tasks(tasks, digests, {}, {}, unseen)


@dataclass(frozen=True)
class _TaskFile:
    configuration: dict[str, Any]
    """As the harness reads it, functions and all."""
    written: dict[str, Any]
    """The same with each function as the path and name that stand there."""
    rows: dict[str, Any] | None
    """Its rows by split where they are local .jsonl files."""


def _read_files(path: Path, data: Path | None) -> list[_TaskFile]:
    from lm_eval.tasks._yaml_loader import load_yaml  # the harness is pinned to one version

    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise InputError(f"tasks {path}: no task file (*.yaml) there; name a folder that holds some")
    files_read = []
    for file in files:
        try:
            configuration = load_yaml(file)
            written = load_yaml(file, resolve_func=False)
        except Exception as error:
            raise InputError(f"task file {file} cannot be read ({error}): fix it") from error
        if "task" not in configuration:
            continue  # a group, or a file that others include
        local = configuration.get("dataset_path") == "json"
        rows = _local_rows(configuration, file, data or file.parent) if local else None
        files_read.append(_TaskFile(configuration, written, rows))
    if not files_read:
        raise InputError(f"tasks {path}: none of {len(files)} files names a task; add `task: NAME`")
    return files_read


def _local_rows(configuration: dict[str, Any], file: Path, folder: Path) -> dict[str, Any]:
    """Read `data_files` here: relative to `folder`, and past the hub's cache, which outlives changed files."""
    named = (configuration.pop("dataset_kwargs", None) or {}).get("data_files")
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise InputError(
            f"task file {file}: dataset_kwargs.data_files needs one file a split, such as test: x.jsonl"
        )
    return {split: _rows(folder / name, file) for split, name in named.items()}


def _rows(path: Path, task_file: Path) -> list[dict[str, Any]]:
    try:
        rows = read_rows(path)
    except InputError as error:
        raise InputError(f"data of task file {task_file.name}: {error}") from error
    if not rows:
        raise InputError(f"data {path} of task file {task_file.name} is empty: write one item per line")
    return rows


def _with_data(configuration: dict[str, Any], rows: dict[str, Any] | None) -> dict[str, Any]:
    if rows is None:
        return configuration

    def dataset(**_: Any) -> Any:
        from datasets import Dataset, DatasetDict

        return DatasetDict({split: Dataset.from_list(items) for split, items in rows.items()})

    return {**configuration, "custom_dataset": dataset}


@cache
def _manager() -> Any:
    """The harness's index of its own tasks, which takes it seconds to build."""
    from lm_eval.tasks import TaskManager

    return TaskManager()


def _registered(names: list[str], preset: Mapping[str, Setting]) -> Tasks:
    manager = _manager()
    unknown = [name for name in names if name not in manager.all_tasks]
    if unknown:
        raise InputError(
            f"{', '.join(unknown)}: no such task in lm-evaluation-harness; `lm-eval ls tasks` lists them"
        )
    try:
        loaded = manager.load(names)
    except Exception as error:
        raise InputError(
            f"tasks {', '.join(names)} cannot be loaded ({type(error).__name__}: {error}): their data come from "
            "the hub, or from its cache when offline; or give a folder of task files with local data"
        ) from error
    digests = {
        name: digest("task", name, plain(task.dump_config())) for name, task in loaded["tasks"].items()
    }
    return Tasks(loaded["tasks"], digests, loaded["groups"], preset)
