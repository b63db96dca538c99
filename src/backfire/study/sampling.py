"""The stages that give responses: sampled from models, read from files, labelled by people; and their scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.records import Decoding
from backfire.responses.settings import ScoreSettings
from backfire.store import Ledger
from backfire.study.artifacts import ResponsesArtifact
from backfire.study.cells import Cell, RunFolder
from backfire.study.inputs import FileInput, HumanInput, ModelInput, PromptsInput
from backfire.study.rewarding import opened_reward, reward_input
from backfire.study.stage import Job, Report, Stage


@dataclass(frozen=True)
class Sampling:
    """How a model is sampled."""

    n: int
    decoding: Decoding
    seed: int


def sample_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """Sample what each responder gives, or read it from its file."""
    for _, responses, _ in cell.candidates() if cell.has_pairs else ():
        folder, prompts = run.samples(responses), PromptsInput("prompts", responses.prompts)
        if responses.given:
            inputs = [FileInput("responses", responses.responder), prompts]
            reading = responses.spec.get("reading", {})
            yield Stage(run, "sample", folder, reading, inputs, _take_given, only_if_used=True)
        else:
            settings = Sampling(responses.n, responses.decoding, responses.seed)
            model = ModelInput("model", responses.responder, responses.opening)
            yield Stage(run, "sample", folder, settings, [model, prompts], _sample, only_if_used=True)


def _sample(job: Job[Sampling]) -> Report:
    """Requests that got no response are counted: those that were refused are final, those that were lost leave the artifact
    standing partly, so that the next run asks for them again, and for nothing else."""
    from backfire.responses import counted_reasons, sample

    settings = job.settings
    model = job.input("model", ModelInput).open()
    with Ledger(job.run.ledger_path) as ledger:
        sampled = sample(
            model,
            job.input("prompts", PromptsInput).open(),
            ledger=ledger,
            n=settings.n,
            decoding=settings.decoding,
            seed=settings.seed,
            refused={} if job.earlier is None else job.earlier["refused"],
        )
    return {
        "model": model.name,
        "model_id": model.id,
        "responses": [r.id for r in sampled.responses],
        "truncated": sum(r.truncated for r in sampled.responses),
        "failures": counted_reasons(sampled.refused),
        "refused": {f.request.id: f.reason for f in sampled.refused},
        "lost": counted_reasons(sampled.lost),
    }


def _take_given(job: Job[Any]) -> Report:
    from backfire.responses import store_given

    file = job.input("responses", FileInput).reference
    prompt_ids = {prompt.id for prompt in job.input("prompts", PromptsInput).open()}
    with Ledger(job.run.ledger_path) as ledger:
        given = store_given(ledger, file, **{"source": Path(file).stem, **job.settings})
    responses = [r for r in given.responses if r.prompt_id in prompt_ids]
    left_out = dict(given.left_out)
    if others := len(given.responses) - len(responses):
        left_out["prompt is not the study's"] = others
    return {"responses": [r.id for r in responses], "failures": {}, "left_out": left_out}


def human_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """Put the human-labelled set into the ledger."""
    if cell.human is not None and cell.has_pairs:
        human = HumanInput("human", cell.human, cell.human_reading)
        yield Stage(run, "human", run.human(cell), cell.human_reading, [human], _store_human)


def _store_human(job: Job[Any]) -> Report:
    human = job.input("human", HumanInput).open()
    with Ledger(job.run.ledger_path) as ledger:
        ledger.put_prompts(human.prompts)
        ledger.put_responses([*human.chosen, *human.rejected])
    chosen, rejected = ([r.id for r in side] for side in (human.chosen, human.rejected))
    return {"chosen": chosen, "rejected": rejected, "left_out": human.left_out}


def score_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """Score everything that the cell's recipe may choose from, by the reward model."""
    if cell.reward_model is None or not cell.has_pairs:
        return
    model = reward_input(run, cell)
    scored = [
        (run.samples(responses), run.scores(responses, cell.reward_model))
        for _, responses, _ in cell.candidates()
    ]
    if cell.human is not None:
        scored.append((run.human(cell), run.human_scores(cell)))
    for source, folder in scored:
        inputs = [model, ResponsesArtifact("responses", source)]
        yield Stage(run, "score", folder, cell.scoring, inputs, _score, only_if_used=True)


def _score(job: Job[Any]) -> Report:
    from backfire.responses import score

    settings = dict(job.settings)
    batch_size = settings.pop("batch_size", ScoreSettings().batch_size)
    model = opened_reward(job, **settings)
    with Ledger(job.run.ledger_path) as ledger:
        responses = job.input("responses", ResponsesArtifact).read(ledger)
        prompts = ledger.prompts(sorted({r.prompt_id for r in responses}))
        score(model, prompts, responses, ledger=ledger, batch_size=batch_size)
    return {
        "reward_model": model.name,
        "scorer_id": model.id,
        "scored": len(responses),
        "truncated": model.truncated,
    }
