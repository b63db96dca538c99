"""The stages of rewards: a reward model that the study trains itself, and RLOO, which trains a policy by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backfire.organisms import catalog
from backfire.preferences.settings import Reading
from backfire.study.artifacts import RewardArtifact
from backfire.study.cells import RLOO, Cell, RunFolder
from backfire.study.inputs import FileInput, HumanInput, Input, ModelInput, PromptsInput, inputs_named
from backfire.study.reward_sections import CellReward, CellRLOO, TrainedReward
from backfire.study.stage import Job, Report, Stage
from backfire.study.training import opened_as, watched_as_named
from backfire.study.worlds import in_world
from backfire.training.settings import RewardSettings, RLOOSettings

if TYPE_CHECKING:
    from backfire.models import RewardModel

REWARD_MODEL = "reward model"


def reward_input(run: RunFolder, cell: Cell) -> Input:
    """The reward model of a cell: what the study file names, or what the study trains."""
    if isinstance(cell.study.reward_model, TrainedReward):
        return RewardArtifact(REWARD_MODEL, run.reward(cell), cell.reward_opening)
    return ModelInput(REWARD_MODEL, str(cell.reward_model), cell.reward_opening)


def opened_reward(job: Job[Any], *, label: str | None = None, max_length: int | None = None) -> RewardModel:
    """The reward model of a job."""
    from backfire.models import open_reward_model

    one = job.inputs[REWARD_MODEL]
    assert isinstance(one, (ModelInput, RewardArtifact))
    return open_reward_model(
        one.reference, label=label, max_length=max_length, dtype=one.opening.dtype, device=one.opening.device
    )


def reward_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """Train the study's own reward model, on pairs that the study file names or on the human-labelled ones."""
    named = cell.study.reward_model
    if not isinstance(named, TrainedReward):
        return
    train = named.train
    settings = train.settings(cell.seed)
    inputs: list[Input] = [ModelInput("model", in_world(str(train.model), cell.world), cell.other_opening)]
    if train.data is None:
        inputs.append(HumanInput("human", str(cell.human), cell.human_reading))
    else:
        inputs.append(FileInput("pairs", in_world(str(train.data), cell.world)))
    if settings.watch.on:
        inputs += [one for one in inputs_named(settings, cell) if one.role.startswith("watch/")]
    yield Stage(run, "reward", run.reward(cell), settings, inputs, _train_reward, only_if_used=True)


def _train_reward(job: Job[CellReward]) -> Report:
    from backfire.models.opening import resolve
    from backfire.training import train_reward

    model, human = job.input("model", ModelInput), job.optional("human", HumanInput)
    settings = opened_as(watched_as_named(job), model.opening, RewardSettings)
    if human is None:
        data = job.input("pairs", FileInput).reference
    else:
        data = human.reference
        settings = RewardSettings.of(settings, reading=Reading(**human.reading))
    log = train_reward(resolve(model.reference), _file_of(data), job.folder, settings)
    agreed = None if log.held_out is None else log.held_out.all.model_dump(mode="json")
    return {"made_of": model.reference, "steps": log.steps, "final_loss": log.final_loss, "held_out": agreed}


def _file_of(data: str) -> str:
    """Human-labelled pairs of an organism's world are a file, too."""
    if not data.startswith(catalog.PREFIX):
        return data
    world, member = catalog.split_reference(data)
    return str(catalog.world_folder(world) / f"{member}.jsonl")


@dataclass(frozen=True)
class Rewarding:
    """How a policy is trained by RLOO, and what is said of scoring."""

    training: CellRLOO
    scoring: Mapping[str, Any]


def rloo_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """RLOO on the study's prompts, from the target's SFT checkpoint."""
    if cell.recipe != RLOO or cell.study.rloo is None:
        return
    training = cell.study.rloo.settings(cell.seed)
    opened_as(
        training, cell.opening, RLOOSettings
    )  # what cannot be trained in ends the study before any stage runs
    scoring = {name: value for name, value in cell.scoring.items() if name != "batch_size"}
    inputs: list[Input] = [
        PromptsInput("prompts", cell.prompts),
        ModelInput("policy", cell.policy, cell.opening),
        reward_input(run, cell),
        *(inputs_named(training, cell) if training.watch.on else ()),
    ]
    yield Stage(run, "train", run.policy(cell), Rewarding(training, scoring), inputs, _train_rloo)


def _train_rloo(job: Job[Rewarding]) -> Report:
    from backfire.models.opening import resolve
    from backfire.training import train_rloo

    policy = job.input("policy", ModelInput)
    trains = Job(job.folder, job.settings.training, job.inputs, job.run)
    log = train_rloo(
        resolve(policy.reference),
        job.input("prompts", PromptsInput).open(),
        job.folder,
        opened_as(watched_as_named(trains), policy.opening, RLOOSettings),
        reward_model=opened_reward(job, **job.settings.scoring),
    )
    rewarded = log.rewarded
    tokens = {} if rewarded is None else {"tokens_sampled": rewarded.tokens}
    return {"started_from": policy.reference, "steps": log.steps, **tokens}
