"""The stages that give a data set of pairs: built by a recipe, or another cell's pairs repaired."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.pairs import Recipe
from backfire.pairs.settings import PairSettings
from backfire.records import Response, Score
from backfire.records.settings import DecodingSettings
from backfire.store import Ledger
from backfire.study.artifacts import (
    InfluenceArtifact,
    PairsArtifact,
    ProbesArtifact,
    ResponsesArtifact,
    ScoresArtifact,
)
from backfire.study.cells import Cell, RunFolder
from backfire.study.inputs import FileInput, Input, JudgeInput, ModelInput, PromptsInput, inputs_named
from backfire.study.references import without_references
from backfire.study.stage import Job, Report, Stage

HUMAN_SET = "human set"
FROM_THE_STUDY = ("recipes", "self_pairs", "decoding")
"""What a repair names of the study, or takes from it where it is not given."""


@dataclass(frozen=True)
class Pairing:
    """How pairs are chosen."""

    recipe: Recipe
    pairs: PairSettings
    first: Mapping[str, int | None]
    """By the name of a responder's input: how many of its responses to a prompt the recipe may choose from; None is all."""


def pair_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """Build the recipe's pairs from stored responses and scores."""
    if not cell.has_pairs or cell.repair is not None:
        return
    recipe = cell.study.recipe_table()[cell.recipe]
    candidates = cell.recipe_candidates()
    first = {name: None if one.responses.given else one.n for name, one in candidates.items()}
    inputs = [PromptsInput("prompts", cell.prompts), *_sources(run, cell, scored=recipe.needs_scores)]
    pairs = PairSettings(truncated=cell.study.truncated, min_characters=cell.study.min_characters)
    settings = Pairing(recipe, pairs, first)
    yield Stage(run, "pair", run.pairs(cell), settings, inputs, _pair)


def _pair(job: Job[Pairing]) -> Report:
    from backfire.pairs import build_pairs, write_pairs

    settings = job.settings
    candidates: dict[str, list[Response]] = {}
    with Ledger(job.run.ledger_path) as ledger:
        for name, artifact in job.group("responses", ResponsesArtifact).items():
            responses = artifact.read(ledger)
            if name == HUMAN_SET:
                preferred = artifact.preferred()
                candidates["human-chosen"] = [r for r in responses if r.id in preferred]
                candidates["human-rejected"] = [r for r in responses if r.id not in preferred]
                continue
            first = settings.first[name]
            role = name.partition(" ")[0]
            candidates.setdefault(role, []).extend(r for r in responses if first is None or r.index < first)
        scores: dict[str, float] = {}
        if scored := job.group("scores", ScoresArtifact):
            scorer = next(iter(scored.values())).scorer
            scores = ledger.scores(scorer, [r.id for responses in candidates.values() for r in responses])
    prompts = job.input("prompts", PromptsInput).open()
    built = build_pairs(settings.recipe, prompts, candidates, scores, settings.pairs)
    write_pairs(job.folder, built)
    sampled = [r.tokens for responses in candidates.values() for r in responses if r.tokens is not None]
    return {"tokens_sampled": sum(sampled)} if sampled else None


@dataclass(frozen=True)
class Repairing:
    """How pairs are repaired."""

    repair: Mapping[str, Any]
    decoding: DecodingSettings
    pilot: Mapping[str, Any] | None
    max_length: int | None
    """At which the study's training cuts pairs."""
    seed: int


def repair_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """Repair the pairs of the cell's recipe."""
    if cell.repair is None:
        return
    repair = cell.study.repairs[cell.repair]
    given = cell.of_recipe(cell.recipe)
    inputs: list[Input] = [
        PairsArtifact("pairs", run.pairs(given)),
        ModelInput("policy", cell.policy, cell.opening),
        *inputs_named(repair, cell),
    ]
    if repair.judge is None:
        inputs.append(JudgeInput("judge", cell.decision_judge, cell.organisms_world))
    measured = cell.study.influence is not None
    if measured:
        inputs.append(InfluenceArtifact("influence", run.influence(given)))
    if repair.added is not None:
        added = cell.of_recipe(repair.added)
        inputs.append(PairsArtifact("added pairs", run.pairs(added)))
        if measured:
            inputs.append(InfluenceArtifact("added influence", run.influence(added)))
    if repair.method == "balance":
        inputs += _sources(run, given, scored=cell.reward_model is not None)
    if repair.by_pilot:
        inputs.append(ProbesArtifact("probes", run.probes(cell)))
    settings = Repairing(
        {name: value for name, value in without_references(repair).items() if name not in FROM_THE_STUDY},
        getattr(repair, "decoding", None) or cell.study.decoding,
        _pilot(cell) if repair.by_pilot else None,
        cell.study.training.max_length,
        cell.seed,
    )
    yield Stage(run, "repair", run.pairs(cell), settings, inputs, _repair)


def _repair(job: Job[Repairing]) -> Report:
    from backfire.repairing import options_of, repair

    pairs, added = job.input("pairs", PairsArtifact), job.optional("added pairs", PairsArtifact)
    if not all(one.built for one in (pairs, added) if one is not None):
        return {"skipped": "no pairs to repair"}
    influence, added_influence = (
        job.optional(role, InfluenceArtifact) for role in ("influence", "added influence")
    )
    probes = job.optional("probes", ProbesArtifact)
    template, decisions = (job.optional(role, FileInput) for role in ("template", "decisions"))
    policy, settings = job.input("policy", ModelInput), job.settings
    ranking = job.optional("reward_model", ModelInput)
    options: dict[str, Any] = {
        **settings.repair,
        "policy": policy.reference,
        "opening": policy.opening,
        "influence": None if influence is None else influence.values,
        "pool": _pool(job),
        "reward_model": None if ranking is None else ranking.open_reward(),
        "self_pairs": None if added is None else added.folder,
        "self_influence": None if added_influence is None else added_influence.values,
        "probe_prompts": None if probes is None else probes.read(),
        "pilot": settings.pilot,
        "judge": job.input("judge", JudgeInput).open(),
        "template": None if template is None else template.reference,
        "decisions": None if decisions is None else decisions.reference,
        "ledger": job.run.ledger_path,
        "decoding": settings.decoding,
        "audit": False,
        "max_length": settings.max_length,
        "seed": settings.seed,
    }
    taken = options_of(settings.repair["method"])
    options = {name: value for name, value in options.items() if name in taken}
    done = repair(pairs.folder, out=job.folder / "out", **options)
    for file in sorted(done.folder.iterdir()):
        file.replace(job.folder / file.name)
    done.folder.rmdir()
    for file in job.folder.glob("pool.db*"):
        file.unlink()
    return {"changed": dict(done.changed)}


def _pilot(cell: Cell) -> dict[str, Any]:
    """A pilot in the settings of the study's training; those of its `trainings` share the repaired data."""
    steps, settings = cell.study.pilot()
    given = {} if settings.given_lr is None else {"lr": settings.given_lr}
    return {
        "steps": steps,
        "beta": settings.beta,
        "batch_size": settings.batch_size * settings.gradient_accumulation,
        "parameters": settings.trains,
        **({} if settings.adapter is None else {"lora": settings.adapter.model_dump()}),
        **given,
    }


def _sources(run: RunFolder, cell: Cell, *, scored: bool) -> Iterator[Input]:
    """All responses that the cell's recipe may choose from, and their scores where these are used."""
    folders = {
        name: (run.samples(one.responses), run.scores(one.responses, cell.reward_model))
        for name, one in cell.recipe_candidates().items()
    }
    if cell.uses_human and cell.human is not None:
        folders[HUMAN_SET] = run.human(cell), run.human_scores(cell)
    for name, (responses, scores) in folders.items():
        yield ResponsesArtifact(f"responses/{name}", responses)
        if scored:
            yield ScoresArtifact(f"scores/{name}", scores)


def _pool(job: Job[Repairing]) -> Path | None:
    """A ledger of exactly these responses and scores, so that what others have stored since changes nothing."""
    sources = job.group("responses", ResponsesArtifact)
    if not sources:
        return None
    path, scores = job.folder / "pool.db", job.group("scores", ScoresArtifact)
    with Ledger(job.run.ledger_path) as ledger, Ledger(path) as pool:
        for name, artifact in sources.items():
            responses = artifact.read(ledger)
            pool.put_prompts(ledger.prompts(sorted({r.prompt_id for r in responses})).values())
            pool.put_responses(responses)
            if name in scores:
                scorer, ids = scores[name].scorer, [r.id for r in responses]
                known = ledger.scores(scorer, ids)
                pool.put_scores(Score(i, scorer, value) for i, value in known.items())
    return path
