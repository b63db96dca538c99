"""results.json from the artifacts of a run folder that stand now."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backfire.answers import Results, parse_results
from backfire.answers.attack import AttackRate, AttackResult, SuiteResult, parse_attack
from backfire.errors import StudyError
from backfire.organisms import catalog
from backfire.store import manifest_digest, read_json
from backfire.study.cells import SFT, Cell, RunFolder, grid
from backfire.study.inputs import prompts_left_out
from backfire.study.plan import StudyFile
from backfire.study.schedule import Outcome
from backfire.study.stage import read_stage

SCHEMA = 1


class Standing:
    """The parts of a study that stand now: artifacts whose stages are done under the present configuration.

    Nothing else is read, whatever lies in the run folder: what failed, or was made otherwise before, is missing.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.missing: dict[str, str] = {}
        """Stages that no number comes from, and why."""

    def has(self, stage: str) -> bool:
        """Whether the stage's artifact stands; where it does not, it is noted as missing."""
        if stage in self.outcome.standing:
            return True
        self.missing[stage] = self.outcome.cause(stage)
        return False

    def read(self, stage: str, file: Path) -> Any:
        """What a JSON file of the stage's artifact holds; None where the artifact does not stand or has no such file."""
        if not self.has(stage) or not file.is_file():
            return None
        try:
            return read_json(file)
        except (OSError, ValueError, RecursionError) as error:
            self.missing[stage] = f"{file} does not read ({error}): remove {file.parent} and run again"
            return None


def collect(study: StudyFile, run: RunFolder, outcome: Outcome) -> Results:
    """Gather every cell whose attacks are judged, part by part from what stands now; `stages` names what is missing and why."""
    cells, missing, parts = [], {}, {}
    for cell in grid(study):
        standing = Standing(outcome)
        attacked = standing.read(f"attack {cell.folder_name}", run.cell(cell) / "attack" / "attack.json")
        if attacked is None:
            missing[cell.label] = _why(cell, run, standing)
            continue
        attack = parse_attack(attacked, str(run.cell(cell) / "attack" / "attack.json"))
        cells.append(cell_result(cell, run, attack, standing))
        if standing.missing:
            parts[cell.label] = "; ".join(
                f"{stage.partition(' ')[0]}: {why}" for stage, why in standing.missing.items()
            )
    if not cells:
        reasons = "; ".join(f"{stage}: {reason}" for stage, reason in outcome.failed.items())
        more = "; ".join(f"{cell}: {why}" for cell, why in missing.items())
        raise StudyError(f"no cell of {study.name} could be finished: {reasons or more}")
    return parse_results(
        {
            "schema": SCHEMA,
            "backfire": version("backfire"),
            "name": study.name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "study": study.model_dump(mode="json"),
            "stages": {
                "failed": outcome.failed,
                "cells_missing": missing,
                **({"parts_missing": parts} if parts else {}),
                **_left_out(study, run, outcome),
            },
            "cells": cells,
        }
    )


def _left_out(study: StudyFile, run: RunFolder, outcome: Outcome) -> dict[str, Any]:
    """What the study's files, responders and judges did not give, counted by reason; nothing where all was used."""
    found: dict[str, dict[str, int]] = {}
    for reference in {study.prompts, *study.attacks.harmful.values(), *study.attacks.benign.values()}:
        found[f"rows of {reference}"] = prompts_left_out(reference)
    for cell in grid(study):
        attack = f"attack {cell.folder_name}"
        for stage in (f"audit {cell.data_name}", f"influence {cell.data_name}"):
            if stage in outcome.lost:
                found[f"parts of the {stage} that failed (the next run tries them again)"] = outcome.lost[
                    stage
                ]
        if attack in outcome.lost:
            found[f"answers in the attack on {cell.label} (the next run asks for them again)"] = outcome.lost[
                attack
            ]
        if cell.recipe == SFT or cell.repair is not None:
            continue
        folders = [
            (draw.role_free_name, f"sample {draw.slug}", run.samples(draw)) for _, draw, _ in cell.draws()
        ]
        if cell.human is not None:
            folders.append((cell.human, f"human {run.human(cell).name}", run.human(cell)))
        for name, stage, folder in folders:
            if stage not in outcome.standing:
                continue
            told = read_stage(folder)
            found[f"rows of {name}"] = {**found.get(f"rows of {name}", {}), **told.get("left_out", {})}
            place = folder.relative_to(run.root)
            without = f"requests to {name} without a response"
            found[f"{without} (remove {place} to ask again)"] = dict(told.get("failures") or {})
            found[f"{without}, of {place} (the next run asks for them again)"] = dict(told.get("lost") or {})
    counted = {what: reasons for what, reasons in sorted(found.items()) if reasons}
    return {"left_out": counted} if counted else {}


def _why(cell: Cell, run: RunFolder, standing: Standing) -> str:
    """Why a cell has no attack to show."""
    pairs = f"pair {cell.data_name}"
    if cell.recipe != SFT and pairs in standing.outcome.standing:
        about = standing.read(pairs, run.data(cell) / "pairs" / "pairs.json")
        if about is not None and not about["counts"]["built"]:
            return "; ".join(about["warnings"]) or "no pairs"
    return "; ".join(standing.missing.values()) or "nothing was trained"


def cell_result(cell: Cell, run: RunFolder, attacked: AttackResult, standing: Standing) -> dict[str, Any]:
    """One cell of results.json; docs/reference/results-schema.md documents every field."""
    folder, data = run.cell(cell), run.data(cell)
    general = None
    if cell.study.general is not None:
        general = standing.read(f"general {cell.folder_name}", folder / "general" / "general.json")
    general = general or {"scores": [], "settings": {}}
    pairs = audit = influence = training = None
    if cell.recipe != SFT:
        pairs = _pairs(standing.read(f"pair {cell.data_name}", data / "pairs" / "pairs.json"))
        training = _training(cell, folder, standing)
        if cell.study.audit is not None:
            audit = standing.read(f"audit {cell.data_name}", data / "audit" / "audit.json")
        if cell.study.influence is not None:
            found = standing.read(f"influence {cell.data_name}", data / "influence" / "influence.json")
            influence = _influence(found)
            if cell.study.influence.pilot is not None:
                standing.has(f"pilot {cell.folder_name}")
    world = None
    if cell.world is not None:
        world = catalog.open_world(cell.world).seed
    return {
        "id": cell.folder_name,
        "family": cell.target.family,
        "target": cell.policy,
        "recipe": cell.name,
        "seed": cell.seed,
        "world": world,
        "provenance": _provenance(cell, run, standing.outcome),
        "pairs": pairs,
        "asr": [*attacked.asr, *_together(attacked)],
        "over_refusal": attacked.over_refusal,
        "general": general["scores"],
        "general_settings": general["settings"],
        "separability": (audit or {}).get("separability", []),
        "safety_influence": influence,
        "training": training,
        "examples": attacked.examples,
        "notes": attacked.notes,
        "truncated_responses": attacked.truncated,
    }


def _together(attacked: AttackResult) -> list[AttackRate]:
    """The rows of all of a suite's attacks together, beside the rows of each."""
    return [row.as_attack_rate() for row in attacked.any_attack] if isinstance(attacked, SuiteResult) else []


def _pairs(about: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if about is None else {**about["counts"], "warnings": about["warnings"]}


def _influence(found: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if found is None else {k: found["influence"][k] for k in ("cosine", "low", "high", "probes")}


def _training(cell: Cell, folder: Path, standing: Standing) -> dict[str, Any] | None:
    log = standing.read(f"train {cell.folder_name}", folder / "policy" / "training.json")
    if log is None:
        return None
    kept = (
        "method",
        "steps",
        "final_loss",
        "reward_accuracy",
        "reward_margin",
        "seconds",
        "settings",
        "examples",
    )
    lines = [
        {key: line.get(key) for key in ("step", "loss", "reward_accuracy", "reward_margin")}
        for line in log["log"]
    ]
    margin = None
    if cell.study.influence is not None:
        margin = standing.read(f"margin {cell.folder_name}", folder / "margin" / "margin.json")
    measured = {} if margin is None else {"refusal_margin": margin}
    return {**{key: log[key] for key in kept}, "log": lines, **measured}


def _provenance(cell: Cell, run: RunFolder, outcome: Outcome) -> dict[str, Any]:
    folder = run.cell(cell)

    def stands(stage: str) -> bool:
        return stage in outcome.standing

    where: dict[str, Any] = {
        "policy": cell.policy,
        "ledger": run.ledger_path.name,
        "attack": f"cells/{cell.folder_name}/attack/attack.json",
        "attack_digest": manifest_digest(folder / "attack"),
        "attack_decoding": cell.study.attacks.decoding.model_dump(),
    }
    if cell.recipe == SFT:
        return where
    data = run.data(cell)
    place = data.relative_to(run.root).as_posix()
    where |= {
        "recipe": cell.recipe,
        "repair": cell.repair,
        "training": cell.training_name,
        "pairs": f"{place}/pairs",
        "pairs_digest": manifest_digest(data / "pairs"),
    }
    if stands(f"audit {cell.data_name}"):
        where |= {"audit": f"{place}/audit/audit.json", "audit_page": f"{place}/audit/index.html"}
    if stands(f"influence {cell.data_name}"):
        where |= {"influence": f"{place}/influence/influence.json"}
    if stands(f"pilot {cell.folder_name}"):
        where["pilot"] = f"cells/{cell.folder_name}/pilot/pilot.json"
    where |= {
        "trained_policy": f"cells/{cell.folder_name}/policy",
        "policy_digest": manifest_digest(folder / "policy"),
        "command": f"backfire train dpo {cell.policy} {place}/pairs --out NEW",
        "responders": [
            {"role": role, "responder": draw.role_free_name, "n": n, "decoding": draw.decoding.as_dict()}
            for role, draw, n in cell.draws()
        ],
    }
    samples = [run.samples(draw) for _, draw, _ in cell.draws() if stands(f"sample {draw.slug}")]
    where["model_ids"] = {
        stage["model"]: stage["model_id"] for stage in map(read_stage, samples) if "model" in stage
    }
    return where
