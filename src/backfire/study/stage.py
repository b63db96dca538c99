"""One stage of a study: an artifact, what it is made from, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backfire.errors import BackfireError
from backfire.records import digest
from backfire.store import artifact, is_done, read_json, write_json

Configuration = dict[str, Any]


def manifest_digest(folder: Path) -> str:
    """What stands for a finished artifact in the configurations of later stages; a folder without one has none."""
    manifest = folder / "manifest.json"
    return digest(read_json(manifest)) if manifest.is_file() else ""


class Stage:
    """A named step of the study: where its artifact lies, what it is made from, and how it is made."""

    def __init__(
        self,
        name: str,
        folder: Path,
        needs: list[str],
        configuration: Callable[[], Configuration],
        make: Callable[[Path], dict[str, Any] | None],
        *,
        tests_policy: bool = False,
    ) -> None:
        self.name = name
        self.folder = folder
        self.needs = needs
        self.tests_policy = tests_policy
        """Whether it opens its cell's policy by `open_policy`; every other stage begins with that closed."""
        self._configuration = configuration
        self._make = make

    def done(self) -> bool:
        """Whether the artifact stands, made from what stands before it now.

        What cannot be read is not done: `run` meets the same error, and fails with it.
        """
        try:
            return is_done(self.folder, self._configuration())
        except (BackfireError, OSError, ValueError):
            return False

    def run(self) -> None:
        """Make the artifact, whole or not at all. What `make` returns is written beside it as stage.json."""
        with artifact(self.folder, self._configuration()) as aside:
            report = self._make(aside)
            if report is not None:
                write_json(aside / "stage.json", report)


def read_stage(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(folder / "stage.json")
    return found
