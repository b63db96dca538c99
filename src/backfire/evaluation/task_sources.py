"""What a task depends on beside the words of its file: Python code and data on this disk, by their contents."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backfire.records import file_digest

Digests = list[tuple[str, str]]
"""File names, and what the files hold."""


def plain(value: Any, written: Any = None) -> Any:
    """A configuration's value as JSON can hold it.

    `written` is the same value with each `!function` as the path and name that stand in the task's file; such a
    function becomes its name and the digests of its Python file and of those beside it. Without it functions
    are their names.
    """
    if isinstance(written, str) and value != written:
        return _function(written)
    if isinstance(value, dict):
        inner = written if isinstance(written, dict) else {}
        return {str(key): plain(each, inner.get(key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        beside = written if isinstance(written, list) else [None] * len(value)
        return [plain(each, other) for each, other in zip(value, beside, strict=True)]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if callable(value):
        return (
            f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
        )
    return str(value)


def local_files(configuration: dict[str, Any], *, rows_known: bool) -> tuple[Digests, str]:
    """The files on this disk that a task reads through `datasets`, or by `use_prompt`; the hub's are not among them.

    `rows_known` leaves out its data. Also says, in words, why these may not be all that it reads; blank where
    they are.
    """
    prompts, _, _ = str(configuration.get("use_prompt") or "").partition(":")
    digests = _digests([Path(prompts)]) if ".yaml" in prompts and Path(prompts).is_file() else []
    if rows_known:
        return digests, ""
    if configuration.get("custom_dataset") is not None:
        return digests, "its custom_dataset may read anything"
    path = str(configuration.get("dataset_path") or "")
    settings = configuration.get("dataset_kwargs") or {}
    files, folder = settings.get("data_files"), Path(settings.get("data_dir") or "").expanduser()
    if _is_format(path):
        if files is None and not settings.get("data_dir"):
            return digests, f"dataset_path {path} has neither data_files nor data_dir"
        if files is None:
            digests += _digests(_below(folder), folder)
    elif path and Path(path).is_dir():
        folder = Path(path, folder)
        digests += _digests(_below(Path(path)), Path(path))
    else:
        return digests, ""
    named, gap = _named(files, folder)
    return digests + named, gap


def _function(written: str) -> list[Any]:
    """Where the harness looks for a function: beside the task's file, then among installed modules."""
    place = Path(written)
    module, _, _ = place.name.rpartition(".")
    file = place.parent / f"{module.replace('.', '/')}.py"
    if not file.is_file():
        spec = importlib.util.find_spec(module)
        file = Path((spec.origin if spec else None) or "")
        if not file.is_file():
            return [place.name, sys.version]
    return [place.name, _digests({file, *file.parent.glob("*.py")})]


def _is_format(path: str) -> bool:
    """Whether a `dataset_path` names a format that `datasets` reads from files, such as csv."""
    return path.isidentifier() and importlib.util.find_spec(f"datasets.packaged_modules.{path}") is not None


def _named(data_files: Any, within: Path) -> tuple[Digests, str]:
    """The files that `data_files` names, by one pattern, a list, or either for each split."""
    from datasets.data_files import resolve_pattern, sanitize_patterns

    digests: Digests = []
    gap = ""
    for patterns in sanitize_patterns(data_files).values() if data_files is not None else []:
        for pattern in map(str, patterns):
            if "://" in pattern:
                gap = f"its data_files are not on this disk: {pattern}"
                continue
            try:
                files = resolve_pattern(pattern, str(within.resolve()))
            except FileNotFoundError:
                continue  # opening the data set says so
            digests += _digests(map(Path, files))
    return digests, gap


def _below(folder: Path) -> list[Path]:
    """Every file in a folder and its folders; hidden ones are none of a data set's."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _digests(files: Iterable[Path], within: Path | None = None) -> Digests:
    """By name, or by path below `within`, so that a folder that was moved stays the same."""
    digests = []
    for path in sorted(files):
        name = path.name if within is None else path.relative_to(within).as_posix()
        digests.append((name, file_digest(path)))
    return digests
