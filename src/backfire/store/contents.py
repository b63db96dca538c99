"""What the files of a folder hold, written beside them, so that a file that was cut, removed or changed is noticed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from backfire.records import file_digest
from backfire.store.artifacts import read_json, write_json

CONTENTS = "contents.json"
LARGE = 64 * 2**20
"""Bytes from which on a file is not hashed at every look."""


def write_contents(folder: Path, without: Collection[str] = ()) -> None:
    """Write the size and the SHA-256 of every file of a folder into contents.json, but for those named in `without`."""
    listed = {
        name: [path.stat().st_size, file_digest(path)] for name, path in _files(folder) if name not in without
    }
    write_json(folder / CONTENTS, listed)


def changed_file(folder: Path, *, whole: bool = False) -> str | None:
    """The first file that is not what contents.json says of it; None where all are.

    Files of LARGE bytes or more are looked at by size alone, unless `whole`. So are those of a list that older versions wrote,
    which had sizes alone. Raises OSError or ValueError where contents.json is not there or does not say it.
    """
    listed = read_json(folder / CONTENTS)
    there = dict(_files(folder))
    for name, written in listed.items():
        size, sha256 = written if isinstance(written, list) else (written, None)
        path = there.get(name)
        if path is None or path.stat().st_size != size:
            return str(name)
        if sha256 is not None and (whole or size < LARGE) and file_digest(path) != sha256:
            return str(name)
    return None


def _files(folder: Path) -> list[tuple[str, Path]]:
    every = (
        (path.relative_to(folder).as_posix(), path) for path in sorted(folder.rglob("*")) if path.is_file()
    )
    return [(name, path) for name, path in every if name != CONTENTS]
