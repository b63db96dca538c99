"""One stage of a study: an artifact, what it is made from, and how it is made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic_core import to_jsonable_python

from backfire.errors import BackfireError, StudyError
from backfire.records import digest
from backfire.store import artifact, changed_file, read_json, write_contents, write_json
from backfire.store.contents import CONTENTS
from backfire.study.cells import RunFolder
from backfire.study.inputs import Artifact, Input

REPORT = "stage.json"
UNFINISHED = "unfinished"
"""What a manifest says, beside stage, settings and inputs, of an artifact that more can be added to by another run."""

S = TypeVar("S")
I = TypeVar("I", bound=Input)  # noqa: E741
Report = dict[str, Any] | None


class State(Enum):
    """How the artifact of a stage stands under the present settings and inputs."""

    DONE = "done"
    PARTLY = "partly"
    """Whole, but made while some requests were lost or some parts failed: another run tries again."""
    MISSING = "missing"
    """Not there, not whole, or made with other settings or inputs."""


@dataclass(frozen=True)
class Job(Generic[S]):
    """What the function that makes an artifact is given. Nothing else may decide what it writes."""

    folder: Path
    """The folder to fill."""
    settings: S
    inputs: Mapping[str, Input]
    """The stage's inputs by role."""
    run: RunFolder
    """For its ledger and its scratch folders, which keep what was computed and decide nothing."""
    earlier: Mapping[str, Any] | None = None
    """What the stage reported when it made the artifact that stands partly; None where none does."""

    def input(self, role: str, kind: type[I]) -> I:
        """The input of this role."""
        one = self.inputs[role]
        if not isinstance(one, kind):
            raise TypeError(f"input {role!r} is a {type(one).__name__}, not a {kind.__name__}")
        return one

    def optional(self, role: str, kind: type[I]) -> I | None:
        """The input of this role, where the stage has one."""
        return self.input(role, kind) if role in self.inputs else None

    def group(self, group: str, kind: type[I]) -> dict[str, I]:
        """The inputs whose roles begin with `group/`, by what stands after it, in the stage's order."""
        start = f"{group}/"
        return {
            role.removeprefix(start): self.input(role, kind) for role in self.inputs if role.startswith(start)
        }


@dataclass(frozen=True, eq=False)
class Stage(Generic[S]):
    """An artifact of a study: what makes it, with which settings, from which inputs.

    The list of inputs is stated once. The manifest, the stages that must be done before, and what `make` is given are
    read from it.
    """

    run_folder: RunFolder
    verb: str
    """What is done, such as `train`."""
    folder: Path
    """Where the artifact lies: two folders deep in the run folder, or more."""
    settings: S
    """A mapping, a dataclass or a settings class, of plain values."""
    inputs: Sequence[Input]
    make: Callable[[Job[S]], Report]
    """Fills the job's folder. What it returns is written beside the artifact as stage.json. Where that has `lost` (reason
    -> count), the artifact stands for now, but is not done: requests were lost, or parts of an audit or of an influence
    failed."""
    tests_policy: bool = False
    """Whether it opens its cell's policy by `open_policy`. Every other stage begins with that closed."""
    only_if_used: bool = False
    """Whether it is left out where no other stage takes its artifact."""

    @cached_property
    def name(self) -> str:
        """The verb and what it is done to: `train llama-self+rm-s0-1a2b3c4d`."""
        return f"{self.verb} {self._place[1]}"

    @property
    def area(self) -> Path:
        """The folder of the run folder that this stage writes in, such as `cells`."""
        return self.run_folder.root / self._place[0]

    @property
    def _place(self) -> tuple[str, ...]:
        return self.folder.relative_to(self.run_folder.root).parts

    def manifest(self) -> dict[str, Any]:
        """What decides the artifact: the verb, the settings, and a digest of each input by its role."""
        settings = json.loads(json.dumps(to_jsonable_python(self.settings)))
        inputs = {one.role: one.digest() for one in self.inputs}
        if len(inputs) < len(self.inputs):
            raise StudyError(f"stage {self.name!r} has two inputs of one role: {_repeated(self.inputs)}")
        return {"stage": self.verb, "settings": settings, "inputs": inputs}

    def state(self) -> State:
        """How the artifact stands, made from what stands before it now.

        What cannot be read is missing: `run` meets the same error, and fails with it.
        """
        return self._compared_with(self.manifest)

    def _compared_with(self, manifest: Callable[[], dict[str, Any]]) -> State:
        try:
            manifest_there = read_json(self.folder / "manifest.json")
            made_from = {key: value for key, value in manifest_there.items() if key != UNFINISHED}
            if made_from != manifest() or not self._whole():
                return State.MISSING
            return State.PARTLY if UNFINISHED in manifest_there else State.DONE
        except (BackfireError, OSError, ValueError, AttributeError, RecursionError):
            return State.MISSING

    def done(self) -> bool:
        """Whether the artifact stands, whole, with nothing lost."""
        return self.state() is State.DONE

    def run(self) -> None:
        """Make the artifact, whole or not at all.

        Raises StudyError where an input has changed meanwhile, for then nobody knows what the artifact was made from.
        """
        before = self.manifest()
        partly = self._compared_with(lambda: before) is State.PARTLY
        earlier = read_stage(self.folder) if partly else None
        manifest = dict(before)
        with artifact(self.folder, manifest) as aside:
            inputs = {one.role: one for one in self.inputs}
            _check_contents(self.inputs)
            report = self.make(Job(aside, self.settings, inputs, self.run_folder, earlier))
            if self.manifest() != before:
                raise StudyError("what it is made from was changed while it ran: run the study again")
            if report is not None:
                write_json(aside / REPORT, report)
                if report.get("lost"):
                    manifest[UNFINISHED] = {"lost": report["lost"], "made": digest(report)}
            write_contents(aside, without=("manifest.json",))

    def lost(self) -> dict[str, int]:
        """Requests or parts that the artifact stands without, for now: reason -> count."""
        report = self.folder / REPORT
        lost: dict[str, int] = read_json(report).get("lost", {}) if report.is_file() else {}
        return lost

    def _whole(self) -> bool:
        """Whether every file of the artifact is as it was written."""
        return changed_file(self.folder) is None


def dependencies(stages: Sequence[Stage[Any]]) -> dict[str, tuple[str, ...]]:
    """For each stage the names of those that make its inputs, in the order of the inputs.

    Raises:
        StudyError: two stages have one name or one folder, or an input lies where stages write and no stage makes it.
    """
    for what, values in (
        ("named", [stage.name for stage in stages]),
        ("written to", [str(stage.folder) for stage in stages]),
    ):
        if twice := [value for value, count in Counter(values).items() if count > 1]:
            raise StudyError(f"two stages are {what} {twice[0]!r}")
    makers = {stage.folder: stage for stage in stages}
    areas = {stage.area for stage in stages}
    return {
        stage.name: tuple(
            dict.fromkeys(
                maker.name
                for one in stage.inputs
                if (maker := _maker_of(stage, one, makers, areas)) is not None
            )
        )
        for stage in stages
    }


def _maker_of(
    stage: Stage[Any], one: Input, makers: Mapping[Path, Stage[Any]], areas: set[Path]
) -> Stage[Any] | None:
    """The stage that makes an input; None for what comes from outside the run folder."""
    if one.path is None:
        return None
    around = (one.path, *one.path.parents)
    maker = next((makers[place] for place in around if place in makers), None)
    if maker is None and (isinstance(one, Artifact) or not areas.isdisjoint(around)):
        raise StudyError(
            f"stage {stage.name!r} takes its {one.role!r} from {one.path}, where stages of the study write, and no "
            "stage makes it: list the stage that does, or keep the file in another folder"
        )
    return maker


def _check_contents(inputs: Sequence[Input]) -> None:
    """StudyError where a file of an input that a stage made is not what that stage wrote; it is made anew by the next run."""
    for one in inputs:
        if not isinstance(one, Artifact) or not (one.folder / CONTENTS).is_file():
            continue
        if changed := changed_file(one.folder, whole=True):
            (one.folder / CONTENTS).unlink()
            raise StudyError(
                f"{one.folder / changed} is not as it was written: the disk or somebody changed it. Run the study again, "
                "and it is made anew"
            )


def _repeated(inputs: Iterable[Input]) -> str:
    counts = Counter(one.role for one in inputs)
    return next(role for role, count in counts.items() if count > 1)


def read_stage(folder: Path) -> dict[str, Any]:
    """What the stage that made the artifact reported."""
    report: dict[str, Any] = read_json(folder / REPORT)
    return report
