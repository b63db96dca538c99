"""The stage that repairs the pairs of another cell, in the place of building pairs by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backfire.records import Response
from backfire.store import Ledger
from backfire.study.artifacts import pairs_built, stored_responses
from backfire.study.cells import Cell, RunFolder
from backfire.study.identities import identity_of, judge_identity
from backfire.study.inputs import judge_of, open_judge
from backfire.study.measuring import VALUES, probe_sets
from backfire.study.plan import PilotSettings
from backfire.study.stage import Configuration, Stage, manifest_digest, read_stage


def repair_stage(run: RunFolder, cell: Cell) -> Stage:
    """Repair the pairs of the cell's recipe."""
    assert cell.repair is not None
    settings = cell.study.repairs[cell.repair]
    given = cell.of_recipe(cell.recipe)
    added = None if settings.self_pairs is None else cell.of_recipe(settings.self_pairs)
    name = judge_of(cell.study.attacks.judges, cell.world)
    measured = cell.study.influence is not None
    sources = _sources(run, given) if settings.method == "balance" else []
    tried = _pilot_of(cell) if settings.by == "pilot" else None
    folders = [run.data(one) for one in (given, added) if one is not None]

    def make(aside: Path) -> dict[str, Any]:
        if not all(pairs_built(run, one) for one in (given, added) if one is not None):
            return {"skipped": "no pairs to repair"}
        from backfire.repairing import options_of, repair
        from backfire.training import DPOSettings

        pool = None
        if sources:
            pool = aside / "pool.db"
            _fill(pool, run, sources)
        options: dict[str, Any] = {
            "policy": cell.policy,
            "by": settings.by,
            "keep": settings.keep,
            "above": settings.above,
            "control": settings.control,
            "influence": run.data(given) / "influence" / VALUES if measured else None,
            "pool": pool,
            "mode": settings.mode,
            "tries": settings.tries,
            "when_changed": settings.when_changed,
            "self_pairs": None if added is None else run.data(added) / "pairs",
            "self_influence": None
            if added is None or not measured
            else run.data(added) / "influence" / VALUES,
            "share": settings.share,
            "grow": settings.grow,
            "target": settings.target,
            "probe_prompts": None if tried is None else probe_sets(run.probes(cell)),
            "pilot": tried,
            "judge": open_judge(name, cell.world),
            "ledger": run.ledger_path,
            "decoding": cell.study.decoding.decoding(),
            "audit": False,
            "max_length": DPOSettings.of(**cell.study.training).max_length,
            "seed": cell.seed,
        }
        known = options_of(settings.method)
        options = {name: value for name, value in options.items() if name in known}
        done = repair(run.data(given) / "pairs", method=settings.method, out=aside / "out", **options)
        for file in sorted(done.folder.iterdir()):
            file.replace(aside / file.name)
        done.folder.rmdir()
        for file in aside.glob("pool.db*"):
            file.unlink()
        return {"changed": dict(done.changed)}

    def configuration() -> Configuration:
        inputs = [manifest_digest(folder / "pairs") for folder in folders]
        inputs += [manifest_digest(folder / "influence") for folder in folders if measured]
        inputs += [manifest_digest(folder) for source in sources for folder in source if folder is not None]
        inputs += [] if tried is None else [manifest_digest(run.probes(cell))]
        return {
            "stage": "repair",
            "seed": cell.seed,
            "settings": settings.asked(),
            "pilot": tried,
            "judge": judge_identity(name, cell.world),
            "decoding": cell.study.decoding.model_dump(),
            "policy": identity_of(cell.policy),
            "inputs": inputs,
        }

    needs = [
        f"{what} {one.data_name}" for one in (given, added) if one is not None for what in _before(measured)
    ]
    needs += [f"score {scores.name}" for _, scores in sources if scores is not None]
    needs += [] if tried is None else [f"probes {run.probes(cell).name}"]
    return Stage(f"pair {cell.data_name}", run.data(cell) / "pairs", needs, configuration, make)


def _pilot_of(cell: Cell) -> dict[str, Any]:
    """A pilot in the settings of the study's training; those of its `trainings` share the repaired data."""
    from backfire.training import DPOSettings

    settings = DPOSettings.of(seed=cell.seed, **cell.study.training)
    asked = cell.study.influence
    assert asked is not None
    return {
        "steps": PilotSettings().steps if asked.pilot is None else asked.pilot.steps,
        "lr": settings.lr,
        "beta": settings.beta,
        "batch_size": settings.batch_size * settings.gradient_accumulation,
        "parameters": settings.trains,
    }


def _before(measured: bool) -> tuple[str, ...]:
    return ("pair", "influence") if measured else ("pair",)


def _sources(run: RunFolder, cell: Cell) -> list[tuple[Path, Path | None]]:
    """Where the responses that the recipe could have picked lie, and their scores: what `balance` pairs anew from."""
    roles = set(cell.study.recipe_table()[cell.recipe].roles)
    reference = cell.reward_model
    found = [
        (run.samples(draw), None if reference is None else run.scores(draw, reference))
        for role, draw, _ in cell.draws()
        if role in roles
    ]
    if cell.human is not None and {"human-chosen", "human-rejected"} & roles:
        found.append((run.human(cell), None if reference is None else run.human_scores(cell)))
    return found


def _fill(pool: Path, run: RunFolder, sources: list[tuple[Path, Path | None]]) -> None:
    """A ledger of exactly these responses and scores, so that what others have stored since changes nothing."""
    from backfire.records import Score

    with Ledger(run.ledger_path) as ledger, Ledger(pool) as kept:
        for folder, scores in sources:
            responses: list[Response] = stored_responses(ledger, folder)
            kept.put_prompts(ledger.prompts(sorted({r.prompt_id for r in responses})).values())
            kept.put_responses(responses)
            if scores is not None:
                scorer = read_stage(scores)["scorer_id"]
                known = ledger.scores(scorer, [r.id for r in responses])
                kept.put_scores(Score(i, scorer, value) for i, value in known.items())
