"""The stages that train: the pilot of a few steps, and DPO itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

from backfire.errors import StudyError
from backfire.models.settings import Opening
from backfire.store import write_json
from backfire.study.artifacts import PairsArtifact, ProbesArtifact
from backfire.study.cells import Cell, RunFolder
from backfire.study.inputs import Input, ModelInput, Named, inputs_named
from backfire.study.measuring import NO_PROBES
from backfire.study.stage import Job, Report, Stage
from backfire.training import DPOSettings
from backfire.training.settings import TrainingSettings

Training = TypeVar("Training", bound=TrainingSettings)


@dataclass(frozen=True)
class Pilot:
    """A few steps of a training."""

    steps: int
    training: DPOSettings


def pilot_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """A few steps of the cell's own training, with the refusal margin measured after each."""
    if not cell.has_pairs or cell.study.influence is None or cell.study.influence.pilot is None:
        return
    settings = Pilot(*cell.study.pilot(cell.training_name, seed=cell.seed))
    inputs = [
        PairsArtifact("pairs", run.pairs(cell)),
        ProbesArtifact("probes", run.probes(cell)),
        ModelInput("policy", cell.policy, cell.opening),
    ]
    yield Stage(run, "pilot", run.pilot(cell), settings, inputs, _pilot)


def _pilot(job: Job[Pilot]) -> Report:
    pairs = job.input("pairs", PairsArtifact)
    if not pairs.built:
        return {"skipped": "no pairs"}
    from backfire.influence import run_pilot
    from backfire.influence.pilot_outcome import mean_change, reading_of_probes

    refusal = job.input("probes", ProbesArtifact).read().refusal
    if not refusal.probes:
        return NO_PROBES
    training = job.settings.training
    model = job.input("policy", ModelInput).open_local()
    outcome = run_pilot(
        model,
        [pair.body for pair in pairs.read()],
        refusal,
        steps=job.settings.steps,
        **reading_of_probes(model, job.settings.steps),
        lr=training.given_lr,
        beta=training.beta,
        batch_size=training.batch_size * training.gradient_accumulation,
        parameters=training.trains,
        lora=training.adapter,
        max_length=training.max_length,
        seed=training.seed,
    )
    estimate = mean_change(outcome.changes)
    measured = {
        "steps": job.settings.steps,
        "margins": outcome.margins,
        "change": outcome.margin_change,
        "low": None if estimate is None else estimate.low,
        "high": None if estimate is None else estimate.high,
        "probes": sum(map(isfinite, outcome.changes)),
    }
    write_json(job.folder / "pilot.json", measured)
    return None


def train_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """DPO on the cell's pairs, from the target's SFT checkpoint."""
    if not cell.has_pairs:
        return
    settings = cell.study.dpo(cell.training_name, seed=cell.seed)
    opened_as(
        settings, cell.opening, DPOSettings
    )  # what cannot be trained in ends the study before any stage runs
    inputs: list[Input] = [
        PairsArtifact("pairs", run.pairs(cell)),
        ModelInput("policy", cell.policy, cell.opening),
        *(inputs_named(settings, cell) if settings.watch.on else ()),
    ]
    yield Stage(run, "train", run.policy(cell), settings, inputs, _train)


def _train(job: Job[DPOSettings]) -> Report:
    pairs = job.input("pairs", PairsArtifact)
    if not pairs.built:
        return {"skipped": "no pairs"}
    from backfire.models.opening import resolve
    from backfire.training import train_dpo

    policy = job.input("policy", ModelInput)
    settings = opened_as(watched_as_named(job), policy.opening, DPOSettings)
    log = train_dpo(resolve(policy.reference), pairs.folder, job.folder, settings)
    return {"started_from": policy.reference, "steps": log.steps, "final_loss": log.final_loss}


def watched_as_named(job: Job[Training]) -> Training:
    """The training, with what it watches by the references of the stage's inputs, which are read in the cell's world."""
    watch = job.settings.watch
    named = job.group("watch", Named)
    if not named:
        return job.settings
    in_world: dict[str, Any] = {name: named[name].reference for name in ("pairs", "judge") if name in named}
    in_world["prompts"] = tuple(named[f"prompts.{place}"].reference for place in range(len(watch.prompts)))
    settings: Training = job.settings.model_copy(update={"watch": watch.model_copy(update=in_world)})
    return settings


def opened_as(training: Training, opening: Opening, kind: type[Training]) -> Training:
    """The training of a policy that the study opens in this way: its template, its device, its dtype if training has none.

    `kind` is the class of the command's settings.
    """
    device = (opening.device or "").partition(":")[0]
    dtype = {} if "dtype" in training.model_fields_set else {"dtype": opening.dtype}
    if dtype.get("dtype") == "float16":
        raise StudyError(
            "opening.dtype float16 cannot be trained in: give training.dtype, float32 or bfloat16, or another opening.dtype"
        )
    on = device if device in ("cpu", "cuda") else None
    return kind.of(training, **dtype, chat_template=opening.chat_template, device=on)
