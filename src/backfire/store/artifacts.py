"""Artifact folders: written aside, then moved into place with a manifest, so that half of one never counts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from backfire.records import digest
from backfire.store.disk import writing

MANIFEST = "manifest.json"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Fill a file aside, then move it to `path`; an exception inside leaves what stood there before untouched.

    Raises:
        DiskError: the disk takes no more.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            yield aside
            _to_disk(aside)
            aside.replace(path)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Have a file, or a folder's list of files, written to the disk, before a rename says that it is whole."""
    if path.exists() and os.name == "posix":
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with whole_file(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON whole or not at all. Numbers are not rounded; NaN is refused."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """What a file of JSON holds. Raises OSError, or ValueError where it is no JSON, or is nested too deeply to be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@contextmanager
def artifact(folder: Path, configuration: dict[str, Any]) -> Iterator[Path]:
    """Fill a folder aside, then move it to `folder` with a manifest of what it was made from.

    An exception inside leaves what stood at `folder` before untouched.

    Raises:
        DiskError: the disk takes no more.
    """
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    with writing(folder):
        shutil.rmtree(aside, ignore_errors=True)
        try:
            aside.mkdir(parents=True)
            yield aside
            write_json(aside / MANIFEST, configuration)
            for file in aside.rglob("*"):
                _to_disk(file)
            if folder.is_file() or folder.is_symlink():
                folder.unlink()
            shutil.rmtree(folder, ignore_errors=True)
            aside.replace(folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


def is_done(folder: Path, configuration: dict[str, Any]) -> bool:
    """Whether `folder` holds the finished artifact of exactly this configuration."""
    manifest = folder / MANIFEST
    return manifest.is_file() and read_json(manifest) == json.loads(json.dumps(configuration))


def manifest_digest(folder: Path) -> str:
    """What stands for a finished artifact in the configurations of later ones; a folder without one has none.

    Raises ValueError for a manifest that is no JSON.
    """
    manifest = folder / MANIFEST
    return digest(read_json(manifest)) if manifest.is_file() else ""
