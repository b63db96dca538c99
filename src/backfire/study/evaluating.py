"""The stages that test a policy's behaviour: attacks, and general tasks. Both use one load of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backfire.errors import StudyError
from backfire.evaluation.settings import AttackSettings
from backfire.models.settings import Opening
from backfire.store import Ledger, write_json
from backfire.study.artifacts import PolicyArtifact
from backfire.study.cells import SFT, Cell, RunFolder
from backfire.study.inputs import (
    Input,
    JudgeInput,
    ModelInput,
    Named,
    PromptsInput,
    SuiteInput,
    TasksInput,
    inputs_named,
)
from backfire.study.policies import open_policy
from backfire.study.references import without_references
from backfire.study.stage import Job, Report, Stage

if TYPE_CHECKING:
    from backfire.models import EndpointModel, LocalModel


@dataclass(frozen=True)
class Attacking:
    """How a policy is asked and judged."""

    attack: Mapping[str, Any]
    seed: int


def attack_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """Attacks and benign prompts, judged."""
    section = cell.study.attacks
    inputs = [
        replace(one, means=section.means()) if isinstance(one, SuiteInput) else one
        for one in inputs_named(section, cell)
    ]
    attack = {name: v for name, v in without_references(section).items() if name not in section.known}
    settings = Attacking(attack, cell.seed)
    inputs.append(_policy(run, cell))
    yield Stage(run, "attack", run.attack(cell), settings, inputs, _attack, tests_policy=True)


def _attack(job: Job[Attacking]) -> Report:
    policy = _tested(job)
    if policy is None:
        return {"skipped": "nothing was trained"}
    from backfire.evaluation import attack

    harmful, benign = (
        {name: one.reference for name, one in job.group(group, PromptsInput).items()}
        for group in ("harmful", "benign")
    )
    judges = job.group("judges", JudgeInput).values()
    single = {
        role: one.reference
        for role, one in job.inputs.items()
        if isinstance(one, Named) and "/" not in role and role != "policy"
    }
    settings = AttackSettings(
        **job.settings.attack,
        **single,
        harmful=harmful,
        benign=benign,
        judges=tuple(judge.reference for judge in judges),
        world=next((judge.world for judge in judges), None),
        seed=job.settings.seed,
    )
    model = policy.open()
    with Ledger(job.run.ledger_path) as ledger:
        result = attack(model, settings=settings, ledger=ledger, opening=policy.opening)
    write_json(job.folder / "attack.json", {**result.as_dict(), "sets": {**harmful, **benign}})
    return {"lost": result.lost} if result.lost else None


def general_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """The general tasks, by lm-evaluation-harness."""
    section = cell.study.general
    if section is None:
        return
    tasks = (section.tasks,) if isinstance(section.tasks, str) else section.tasks
    data = None if section.data is None else str(section.data)
    inputs = [_policy(run, cell), TasksInput("tasks", tasks, data, cell.organisms_world)]
    plain = without_references(section)
    settings = {name: value for name, value in plain.items() if name not in ("tasks", *section.known)}
    yield Stage(run, "general", run.general(cell), settings, inputs, _score, tests_policy=True)


def _score(job: Job[dict[str, Any]]) -> Report:
    policy = _tested(job)
    if policy is None:
        return {"skipped": "nothing was trained"}
    from backfire.evaluation import general
    from backfire.models import LocalModel

    model = policy.open()
    if not isinstance(model, LocalModel):
        raise StudyError(
            f"policy {policy.reference} cannot be scored here: leave out `general`, or name a checkpoint"
        )
    tasks, data = job.input("tasks", TasksInput).resolve()
    result = general(model, tasks, data=data, **job.settings)
    write_json(job.folder / "general.json", result.as_dict())
    return None


def _policy(run: RunFolder, cell: Cell) -> Input:
    """What is tested: the SFT checkpoint itself, or what was trained."""
    if cell.recipe == SFT:
        return ModelInput("policy", cell.policy, cell.opening)
    return PolicyArtifact("policy", run.policy(cell), cell.trained_opening)


@dataclass(frozen=True)
class _Tested:
    """The policy of a job, which stays open for the next one."""

    reference: str
    digest: str
    opening: Opening

    def open(self) -> LocalModel | EndpointModel:
        return open_policy(self.reference, self.digest, self.opening)


def _tested(job: Job[Any]) -> _Tested | None:
    """What is tested; None where nothing was trained."""
    policy = job.inputs["policy"]
    assert isinstance(policy, (ModelInput, PolicyArtifact))
    reference = policy.reference
    return None if reference is None else _Tested(reference, policy.digest(), policy.opening)
