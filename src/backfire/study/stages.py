"""The stages of a study. Each reads finished artifacts and the ledger, writes one artifact, and is skipped when that
artifact stands under the same configuration, which holds the digests of everything that it was made from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backfire.records import Response
from backfire.store import Ledger
from backfire.study.artifacts import pairs_built, stored_responses
from backfire.study.cells import SFT, Cell, Draw, RunFolder
from backfire.study.evaluating import attack_stage, general_stage
from backfire.study.identities import human_identity, identity_of
from backfire.study.inputs import open_human, open_prompts
from backfire.study.measuring import audit_stage, influence_stage, margin_stage, pilot_stage, probes_stage
from backfire.study.mending import repair_stage
from backfire.study.stage import Configuration, Stage, State, manifest_digest, read_stage


def sample_stage(run: RunFolder, draw: Draw) -> Stage:
    """Draw (or read) one responder's responses to the prompts.

    Requests that got no response are counted: those that were refused are final, those that were lost leave the artifact
    standing partly, so that the next run asks for them again, and for nothing else.
    """

    def make(_: Path) -> dict[str, Any]:
        from backfire.responses import counted_reasons, sample, store_given

        prompts = open_prompts(draw.prompts)
        with Ledger(run.ledger_path) as ledger:
            if draw.given:
                given = store_given(ledger, draw.role_free_name, Path(draw.role_free_name).stem)
                ids = {p.id for p in prompts}
                kept = [r for r in given.responses if r.prompt_id in ids]
                left_out = dict(given.left_out)
                if others := len(given.responses) - len(kept):
                    left_out["prompt is not the study's"] = others
                return {"responses": [r.id for r in kept], "failures": {}, "left_out": left_out}
            from backfire.models import open_model

            model = open_model(draw.role_free_name)
            how: dict[str, Any] = {"n": draw.n, "decoding": draw.decoding, "seed": draw.seed}
            sampled = sample(model, prompts, ledger=ledger, **how, refused=_refused(stage))
        return {
            "model": model.name,
            "model_id": model.id,
            "responses": [r.id for r in sampled.responses],
            "truncated": sum(r.truncated for r in sampled.responses),
            "failures": counted_reasons(sampled.refused),
            "refused": {f.request.id: f.reason for f in sampled.refused},
            "lost": counted_reasons(sampled.lost),
        }

    def configuration() -> Configuration:
        inputs = [identity_of(draw.role_free_name), identity_of(draw.prompts)]
        return {**draw.spec, "inputs": inputs}

    stage = Stage(f"sample {draw.slug}", run.samples(draw), [], configuration, make)
    return stage


def _refused(stage: Stage) -> dict[str, str]:
    """Requests that were refused when the artifact was made that stands partly: they are not sent again."""
    if stage.state() is not State.PARTLY:
        return {}
    refused: dict[str, str] = read_stage(stage.folder)["refused"]
    return refused


def human_stage(run: RunFolder, cell: Cell) -> Stage:
    """Put the human-labelled set into the ledger."""

    def make(_: Path) -> dict[str, Any]:
        prompts, chosen, rejected, left_out = open_human(str(cell.human), **cell.human_reading)
        with Ledger(run.ledger_path) as ledger:
            ledger.put_prompts(prompts)
            ledger.put_responses([*chosen, *rejected])
        return {"chosen": [r.id for r in chosen], "rejected": [r.id for r in rejected], "left_out": left_out}

    def configuration() -> Configuration:
        identity = human_identity(str(cell.human), **cell.human_reading)
        return {"stage": "human", "set": cell.human_set, "inputs": [identity]}

    return Stage(f"human {run.human(cell).name}", run.human(cell), [], configuration, make)


def score_stage(run: RunFolder, cell: Cell, draw: Draw | None) -> Stage:
    """Score one responder's responses (None: the human-labelled set) by the reward model."""
    reference = str(cell.reward_model)
    source = run.human(cell) if draw is None else run.samples(draw)
    folder = run.human_scores(cell) if draw is None else run.scores(draw, reference)

    def make(_: Path) -> dict[str, Any]:
        from backfire.models import open_reward_model
        from backfire.responses import score

        reward_model = open_reward_model(reference)
        with Ledger(run.ledger_path) as ledger:
            responses = stored_responses(ledger, source)
            prompts = ledger.prompts(sorted({r.prompt_id for r in responses}))
            score(reward_model, prompts, responses, ledger=ledger)
        return {
            "reward_model": reward_model.name,
            "scorer_id": reward_model.id,
            "scored": len(responses),
            "truncated": reward_model.truncated,
        }

    def configuration() -> Configuration:
        inputs = [identity_of(reference), manifest_digest(source)]
        return {"stage": "score", "reward_model": reference, "inputs": inputs}

    before = f"human {source.name}" if draw is None else f"sample {draw.slug}"
    return Stage(f"score {folder.name}", folder, [before], configuration, make)


def pair_stage(run: RunFolder, cell: Cell) -> Stage:
    """Build the recipe's pairs from stored responses and scores."""
    recipe = cell.study.recipe_table()[cell.recipe]
    human_roles = {"human-chosen", "human-rejected"} & set(recipe.roles)
    draws = [(role, draw, n) for role, draw, n in cell.draws() if role in recipe.roles]
    with_human = bool(human_roles) and cell.human is not None
    folders = [run.samples(draw) for _, draw, _ in draws] + ([run.human(cell)] if with_human else [])
    if recipe.needs_scores:
        reference = str(cell.reward_model)
        scored = [run.scores(draw, reference) for _, draw, _ in draws]
        scored += [run.human_scores(cell)] if with_human else []
    else:
        scored = []

    def make(aside: Path) -> None:
        from backfire.pairs import build_pairs, write_pairs

        prompts = open_prompts(cell.prompts)
        candidates: dict[str, list[Response]] = {}
        with Ledger(run.ledger_path) as ledger:
            for role, draw, n in draws:
                stored = stored_responses(ledger, run.samples(draw))
                candidates.setdefault(role, []).extend(r for r in stored if draw.given or r.index < n)
            if with_human:
                people = stored_responses(ledger, run.human(cell))
                preferred = set(read_stage(run.human(cell))["chosen"])
                candidates["human-chosen"] = [r for r in people if r.id in preferred]
                candidates["human-rejected"] = [r for r in people if r.id not in preferred]
            scores: dict[str, float] = {}
            if scored:
                scorer_id = read_stage(scored[0])["scorer_id"]
                ids = [r.id for responses in candidates.values() for r in responses]
                scores = ledger.scores(scorer_id, ids)
        built = build_pairs(recipe, prompts, candidates, scores, truncated=cell.study.truncated)
        write_pairs(aside, built)

    def configuration() -> Configuration:
        return {
            "stage": "pair",
            "recipe": recipe.as_dict(),
            "truncated": cell.study.truncated,
            "prompts": identity_of(cell.prompts),
            "roles": [[role, n] for role, _, n in draws],
            "inputs": [manifest_digest(f) for f in [*folders, *scored]],
        }

    needs = [f"sample {draw.slug}" for _, draw, _ in draws] + [f"score {f.name}" for f in scored]
    needs += [f"human {run.human(cell).name}"] if with_human else []
    return Stage(f"pair {cell.data_name}", run.data(cell) / "pairs", needs, configuration, make)


def train_stage(run: RunFolder, cell: Cell) -> Stage:
    """DPO on the cell's pairs, from the target's SFT checkpoint."""
    pairs = run.data(cell) / "pairs"

    def make(aside: Path) -> dict[str, Any]:
        if not pairs_built(run, cell):
            return {"skipped": "no pairs"}
        from backfire.models.opening import resolve
        from backfire.training import DPOSettings, train_dpo

        settings = DPOSettings.of(seed=cell.seed, **cell.training)
        log = train_dpo(resolve(cell.policy), pairs, aside, settings)
        return {"started_from": cell.policy, "steps": log.steps, "final_loss": log.final_loss}

    def configuration() -> Configuration:
        inputs = [manifest_digest(pairs), identity_of(cell.policy)]
        return {"stage": "train", "seed": cell.seed, "settings": cell.training, "inputs": inputs}

    folder = run.cell(cell) / "policy"
    return Stage(f"train {cell.folder_name}", folder, [f"pair {cell.data_name}"], configuration, make)


def stages_of(run: RunFolder, cells: list[Cell]) -> list[Stage]:
    """Every stage of the cells, each once, each after those that it needs."""
    stages: dict[str, Stage] = {}

    def add(stage: Stage) -> None:
        stages.setdefault(stage.name, stage)

    trained = [cell for cell in cells if cell.recipe != SFT]
    plain = [cell for cell in trained if cell.repair is None]
    for cell in plain:
        roles = set(cell.study.recipe_table()[cell.recipe].roles)
        for role, draw, _ in cell.draws():
            if role in roles:
                add(sample_stage(run, draw))
        if cell.human is not None:
            add(human_stage(run, cell))
    for cell in trained:
        if _scored(cell):
            recipe = cell.study.recipe_table()[cell.recipe]
            for role, draw, _ in cell.draws():
                if role in recipe.roles:
                    add(score_stage(run, cell, draw))
            if cell.human is not None and {"human-chosen", "human-rejected"} & set(recipe.roles):
                add(score_stage(run, cell, None))
    for cell in cells:
        if cell.study.influence is not None:
            add(probes_stage(run, cell))
    for cell in plain:
        add(pair_stage(run, cell))
        if cell.study.influence is not None:
            add(influence_stage(run, cell))
    for cell in cells:
        if cell.repair is not None:
            add(repair_stage(run, cell))
            if cell.study.influence is not None:
                add(influence_stage(run, cell))
        if cell.recipe != SFT:
            if cell.study.audit is not None:
                add(audit_stage(run, cell))
            if cell.study.influence is not None and cell.study.influence.pilot is not None:
                add(pilot_stage(run, cell))
            add(train_stage(run, cell))
        add(attack_stage(run, cell))
        if cell.study.general is not None:
            add(general_stage(run, cell))
        if cell.study.influence is not None and cell.recipe != SFT:
            add(margin_stage(run, cell))
    return list(stages.values())


def _scored(cell: Cell) -> bool:
    """Whether the cell's responses are scored: its recipe picks by score, or its repair pairs them anew by score."""
    if cell.study.reward_model is None:
        return False
    repaired = cell.repair is not None and cell.study.repairs[cell.repair].method == "balance"
    return repaired or cell.study.recipe_table()[cell.recipe].needs_scores
