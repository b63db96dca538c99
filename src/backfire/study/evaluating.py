"""The stages that test a policy's behaviour: attacks, and general tasks. Both use one load of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backfire.errors import StudyError
from backfire.models.settings import Opening
from backfire.records import Decoding
from backfire.store import Ledger, write_json
from backfire.study.artifacts import PolicyArtifact
from backfire.study.cells import SFT, Cell, RunFolder
from backfire.study.inputs import (
    Input,
    JudgeInput,
    ModelInput,
    PromptsInput,
    SuiteInput,
    TasksInput,
    inputs_named,
)
from backfire.study.policies import open_policy
from backfire.study.stage import Job, Report, Stage

if TYPE_CHECKING:
    from backfire.models import EndpointModel, LocalModel


@dataclass(frozen=True)
class Attacking:
    """How a policy is asked."""

    decoding: Decoding
    system: str | None
    seed: int


def attack_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """Attacks and benign prompts, judged."""
    attacks = cell.study.attacks
    inputs = [*inputs_named(attacks, cell), _policy(run, cell)]
    settings = Attacking(attacks.decoding.decoding(), attacks.system, cell.seed)
    yield Stage(run, "attack", run.attack(cell), settings, inputs, _attack, tests_policy=True)


def _attack(job: Job[Attacking]) -> Report:
    policy = _tested(job)
    if policy is None:
        return {"skipped": "nothing was trained"}
    from backfire.evaluation import attack, attack_suite

    harmful, benign = (job.group(group, PromptsInput) for group in ("harmful", "benign"))
    requests = {name: one.open("harmful") for name, one in harmful.items()}
    allowed = {name: one.open("benign") for name, one in benign.items()}
    suite, settings = job.optional("suite", SuiteInput), job.settings
    with Ledger(job.run.ledger_path) as ledger:
        model = policy.open()
        options: dict[str, Any] = {
            "judges": [judge.open() for judge in job.group("judges", JudgeInput).values()],
            "ledger": ledger,
            "decoding": settings.decoding,
            "seed": settings.seed,
            "system": settings.system,
        }
        if suite is None:
            result = attack(model, requests, allowed, **options)
        else:
            result = attack_suite(model, suite.open(), requests, allowed, **options)
    references = {name: one.reference for name, one in {**harmful, **benign}.items()}
    write_json(job.folder / "attack.json", {**result.as_dict(), "sets": references})
    return {"lost": result.lost} if result.lost else None


@dataclass(frozen=True)
class Scoring:
    """How general tasks are put."""

    limit: int | None
    num_fewshot: Any
    chat_template: bool | None


def general_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """The general tasks, by lm-evaluation-harness."""
    general = cell.study.general
    if general is None:
        return
    settings = Scoring(general.limit, general.num_fewshot, general.chat_template)
    tasks = (general.tasks,) if isinstance(general.tasks, str) else general.tasks
    inputs = [_policy(run, cell), TasksInput("tasks", tasks, general.data, cell.organisms_world)]
    yield Stage(run, "general", run.general(cell), settings, inputs, _score, tests_policy=True)


def _score(job: Job[Scoring]) -> Report:
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
    settings = job.settings
    tasks, data = job.input("tasks", TasksInput).resolve()
    result = general(
        model,
        tasks,
        data=data,
        limit=settings.limit,
        num_fewshot=settings.num_fewshot,
        apply_chat_template=settings.chat_template,
    )
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
