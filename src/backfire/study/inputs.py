"""What a stage is made from: each input knows its role, where it lies, and a digest of its contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.models.settings import Opening
from backfire.pairs.human import HumanResponses, open_human
from backfire.records import Kind, Prompt, digest
from backfire.settings import InputKind, Settings
from backfire.store import manifest_digest
from backfire.study.cells import Cell
from backfire.study.identities import (
    human_identity,
    identity_of,
    judge_identity,
    opened_digest,
    suite_identity,
    tasks_identity,
)
from backfire.study.openings import AS_IT_IS
from backfire.study.references import references_in
from backfire.study.worlds import in_world

if TYPE_CHECKING:
    from backfire.judges import Judge
    from backfire.models import EndpointModel, LocalModel, RewardModel


@dataclass(frozen=True)
class Input:
    """Something that a stage is made from. Its role tells it from the stage's other inputs."""

    role: str

    def digest(self) -> str:
        """Changes whenever the contents do, and not with the name or the place."""
        raise TypeError(f"{type(self).__name__} has no digest")

    @property
    def path(self) -> Path | None:
        """Where it lies, as an absolute path; None for what has no path."""
        return None


@dataclass(frozen=True)
class Artifact(Input):
    """A folder that a stage of the study makes; `study/artifacts.py` has one class for each kind."""

    folder: Path

    def digest(self) -> str:
        return manifest_digest(self.folder)

    @property
    def path(self) -> Path:
        return self.folder


@dataclass(frozen=True)
class Named(Input):
    """What the study file names by a reference: a model, a file, prompts."""

    reference: str

    def digest(self) -> str:
        return identity_of(self.reference)

    @property
    def path(self) -> Path | None:
        path = Path(self.reference).expanduser()
        return path.resolve() if path.is_absolute() or path.exists() else None


@dataclass(frozen=True)
class ModelInput(Named):
    """A policy, a responder or a reward model. The digest is that of its weights, tokenizer and template, and of the
    numbers that it computes in where these are said."""

    opening: Opening = AS_IT_IS

    def digest(self) -> str:
        return opened_digest(identity_of(self.reference), self.opening)

    def open(self) -> LocalModel | EndpointModel:
        from backfire.models import open_model

        return open_model(self.reference, **self.opening.options())

    def open_reward(self, *, label: str | None = None, max_length: int | None = None) -> RewardModel:
        from backfire.models import open_reward_model

        return open_reward_model(
            self.reference,
            label=label,
            max_length=max_length,
            dtype=self.opening.dtype,
            device=self.opening.device,
        )

    def open_local(self) -> LocalModel:
        """A model with gradients; InputError for an endpoint."""
        from backfire.models.local_policy import open_local

        return open_local(self.reference, self.opening)


@dataclass(frozen=True)
class FileInput(Named):
    """A file or a folder of files."""


@dataclass(frozen=True)
class PromptsInput(Named):
    """A published set, `organism:prompts/NAME`, `hub:OWNER/NAME` or a file of prompts."""

    def open(self, kind: Kind | None = None) -> list[Prompt]:
        from backfire.prompts import open_prompts

        return list(open_prompts(self.reference, kind=kind).prompts)


@dataclass(frozen=True)
class HumanInput(Named):
    """Human-labelled preference data, with how they are read."""

    reading: Mapping[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        return human_identity(self.reference, **self.reading)

    def open(self) -> HumanResponses:
        return open_human(self.reference, **self.reading)


@dataclass(frozen=True)
class JudgeInput(Named):
    """A judge, as `judges.open_judge` names it; `exact` reads the prompts of the world."""

    world: str

    def digest(self) -> str:
        return judge_identity(self.reference, self.world)

    def open(self) -> Judge:
        from backfire.judges import open_judge

        return open_judge(self.reference, world=self.world)


@dataclass(frozen=True)
class SuiteInput(Named):
    """A suite of attacks. Its digest covers what each attack is run with, and how it words a request."""

    means: Mapping[str, Any] = field(default_factory=dict)
    """What the attacks need beside the suite, as `evaluation.Means` has it."""

    def digest(self) -> str:
        return digest(suite_identity(self.reference, self.means))


def inputs_named(settings: Settings, cell: Cell) -> list[Input]:
    """An input for each reference that settings name, read in the cell's world.

    The role is the field's name: `embedder`. Several of one field are `harmful/direct`, `judges/0`.
    """
    inputs: list[Input] = []
    for one in references_in(settings):
        role, reference = one.place.replace(".", "/", 1), in_world(str(one.value), cell.world)
        if one.kind == "judge":
            inputs.append(JudgeInput(role, reference, cell.organisms_world))
        elif one.kind in ("model", "reward model", "embedder"):
            inputs.append(ModelInput(role, reference, cell.other_opening))
        else:
            inputs.append(OTHERS[one.kind](role, reference))
    return inputs


OTHERS: Mapping[InputKind, type[Named]] = {
    "prompts": PromptsInput,
    "suite": SuiteInput,
    "data set": FileInput,
    "file": FileInput,
    "folder": FileInput,
}


@dataclass(frozen=True)
class TasksInput(Input):
    """General tasks: `organism`, a folder of task files, or names of the harness's own tasks."""

    tasks: tuple[str, ...]
    data: str | None
    """Where a folder's tasks find their data."""
    world: str
    """Whose tasks `organism` means."""

    def digest(self) -> str:
        return tasks_identity(*self.resolve())

    def resolve(self) -> tuple[Path | list[str], Path | None]:
        """A folder of task files and where their data lie, or the names of the harness's own tasks."""
        from backfire.evaluation import organism_tasks
        from backfire.organisms import catalog

        if self.tasks == ("organism",):
            return organism_tasks(), catalog.tasks_data(self.world)
        folder = Path(self.tasks[0])
        if len(self.tasks) == 1 and folder.exists():
            return folder, None if self.data is None else Path(self.data)
        return list(self.tasks), None
