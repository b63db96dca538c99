"""What came of each task, kept in a file as it ends, so that an interrupted run goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from backfire.errors import InputError, setting
from backfire.records import digest
from backfire.store.artifacts import read_json, write_json

FORMAT = "backfire general tasks 3"
OLDER = "backfire general tasks 2"
"""The format before, which has no items. It is read, too."""
HASH = 16
"""Digits of the harness's hash of an item by which it is known."""


@dataclass(frozen=True)
class TaskKey:
    """All that a task's numbers depend on, apart from rounding: the batch size is not here."""

    model: str
    """The model's id."""
    task: str
    definition: str
    """Digest of the task's definition, and of its data where they are local."""
    shots: int
    limit: int | None
    chat_template: bool
    backend: str
    dtype: str
    harness: str
    """Version of lm-evaluation-harness."""

    @property
    def id(self) -> str:
        return digest("general task", asdict(self))


@dataclass(frozen=True)
class TaskRecord:
    """One task's numbers as the harness names them (`acc,none`, `acc_stderr,none`); None where undefined."""

    metrics: dict[str, float | None]
    n: int
    """Items scored."""
    cut: int
    """Requests that do not fit the context."""
    seconds: float
    items: dict[str, dict[str, float]] = field(default_factory=dict)
    """By metric as the harness names it, what each item came to; only metrics whose items are numbers. Empty where the record
    was kept by an older version."""


def items_of(samples: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """What each item came to, by metric, from the samples that the harness logs; an item is known by its content.

    Items of the same content are told apart by their number among these.
    """
    items: dict[str, dict[str, float]] = {}
    for sample in samples:
        for metric in sample["metrics"]:
            value = sample[metric]
            if not isinstance(value, bool | int | float):
                continue
            by_item = items.setdefault(f"{metric},{sample['filter']}", {})
            content = str(sample["doc_hash"])[:HASH]
            name, repeats = content, 1
            while name in by_item:
                repeats += 1
                name = f"{content}#{repeats}"
            by_item[name] = float(value)
    return items


class ResumeFile:
    """A JSON file of records by key; `path` None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stored: dict[str, dict[str, Any]] = {}
        if path is not None and path.exists():
            self._stored = _read(path)

    def find(self, key: TaskKey) -> TaskRecord | None:
        stored = self._stored.get(key.id)
        return None if stored is None else _record(stored)

    def keep(self, key: TaskKey, record: TaskRecord) -> None:
        """Add a record and write the file, whole or not at all; what others added meanwhile stays."""
        if self._path is None:
            return
        if self._path.exists():
            self._stored = _read(self._path)
        self._stored[key.id] = {"key": asdict(key), "record": asdict(record)}
        write_json(self._path, {"format": FORMAT, "tasks": self._stored})


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{setting('resume')} {path} cannot be read ({error}): name a new file, or fix this"
        ) from error
    if not isinstance(content, dict) or content.get("format") not in (FORMAT, OLDER):
        raise InputError(
            f"{setting('resume')} {path} is no file of `backfire general --resume`: name another"
        )
    tasks = content.get("tasks")
    if not isinstance(tasks, dict):
        raise InputError(f"{setting('resume')} {path} has no table `tasks`: name a new file, or fix this")
    for name, stored in tasks.items():
        if not isinstance(stored, dict) or not isinstance(stored.get("key"), dict) or _record(stored) is None:
            raise InputError(
                f"{setting('resume')} {path}: tasks.{name} is no key with a record of metrics, n, cut and seconds: take it out, "
                "and its task is asked again"
            )
    return tasks


def _record(stored: dict[str, Any]) -> TaskRecord | None:
    """The record as it was kept; None where it is none."""
    match stored.get("record"):
        case {
            "metrics": dict(metrics),
            "n": int(n),
            "cut": int(cut),
            "seconds": int() | float() as seconds,
            **more,
        }:
            items: Any = more.pop("items", {})
            numbers = all(value is None or isinstance(value, int | float) for value in metrics.values())
            whole = isinstance(items, dict) and all(isinstance(one, dict) for one in items.values())
            return TaskRecord(metrics, n, cut, seconds, items) if numbers and whole and not more else None
    return None
