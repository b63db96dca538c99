"""One stage of a study: an artifact, what it is made from, and how it is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from backfire.errors import BackfireError, StudyError
from backfire.records import digest
from backfire.store import artifact, manifest_digest, read_json, write_json

Configuration = dict[str, Any]
REPORT = "stage.json"
CONTENTS = "contents.json"
"""The artifact's files with their sizes, by which a part that was removed or cut is noticed."""
UNFINISHED = "unfinished"
"""What a manifest says, beside the configuration, of an artifact that more can be added to by another run."""


class State(Enum):
    """How the artifact of a stage stands under the present configuration."""

    DONE = "done"
    PARTLY = "partly"
    """Whole, but made while some requests were lost or some parts failed: another run tries again."""
    MISSING = "missing"
    """Not there, not whole, or made under another configuration."""


class Stage:
    """A named step of the study: where its artifact lies, what it is made from, and how it is made.

    `make` fills the folder that it is given. What it returns is written beside the artifact as stage.json; where that has
    `lost` (reason -> count), the artifact stands for now, but is not done: requests that were lost, or parts of an audit
    or of an influence that failed.
    """

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

    @property
    def kind(self) -> str:
        """The first word of its name, such as `train`."""
        return self.name.partition(" ")[0]

    def state(self) -> State:
        """How the artifact stands, made from what stands before it now.

        What cannot be read is missing: `run` meets the same error, and fails with it.
        """
        try:
            manifest = read_json(self.folder / "manifest.json")
            made_from = {key: value for key, value in manifest.items() if key != UNFINISHED}
            if made_from != json.loads(json.dumps(self._configuration())) or not self._whole():
                return State.MISSING
            return State.PARTLY if UNFINISHED in manifest else State.DONE
        except (BackfireError, OSError, ValueError, AttributeError, RecursionError):
            return State.MISSING

    def done(self) -> bool:
        """Whether the artifact stands, whole, with nothing lost."""
        return self.state() is State.DONE

    def run(self) -> None:
        """Make the artifact, whole or not at all.

        Raises StudyError where what it is made from has changed meanwhile, for then nobody knows what it was made from.
        """
        before = self._configuration()
        configuration = dict(before)
        with artifact(self.folder, configuration) as aside:
            report = self._make(aside)
            if self._configuration() != before:
                raise StudyError("what it is made from was changed while it ran: run the study again")
            if report is not None:
                write_json(aside / REPORT, report)
                if report.get("lost"):
                    configuration[UNFINISHED] = {"lost": report["lost"], "made": digest(report)}
            write_json(aside / CONTENTS, _sizes(aside))

    def lost(self) -> dict[str, int]:
        """Requests or parts that the artifact stands without, for now: reason -> count."""
        report = self.folder / REPORT
        found: dict[str, int] = read_json(report).get("lost", {}) if report.is_file() else {}
        return found

    def _whole(self) -> bool:
        """Whether every file of the artifact is there with its size; one that was made before these were kept is."""
        contents = self.folder / CONTENTS
        if not contents.is_file():
            return True
        sizes = read_json(contents)
        return bool(sizes.items() <= _sizes(self.folder).items())


def _sizes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() not in ("manifest.json", CONTENTS)
    }


def read_stage(folder: Path) -> dict[str, Any]:
    """What the stage that made the artifact reported."""
    found: dict[str, Any] = read_json(folder / REPORT)
    return found


__all__ = ["Configuration", "Stage", "State", "manifest_digest", "read_stage"]
