"""results.json from the finished artifacts of a run folder."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backfire.organisms import catalog
from backfire.report import Results, parse_results
from backfire.store import read_json
from backfire.study.cells import SFT, Cell, RunFolder, grid
from backfire.study.inputs import prompts_left_out
from backfire.study.plan import StudyFile
from backfire.study.stage import manifest_digest, read_stage

SCHEMA = 1


def collect(study: StudyFile, run: RunFolder, failed: dict[str, str]) -> Results:
    """Gather every cell whose attacks have been judged; `stages` names what is missing and why."""
    cells, missing = [], {}
    for cell in grid(study):
        folder = run.cell(cell)
        if (folder / "attack" / "attack.json").is_file():
            cells.append(cell_result(cell, run))
        else:
            missing[cell.label] = _why(run.data(cell))
    return parse_results(
        {
            "schema": SCHEMA,
            "backfire": version("backfire"),
            "name": study.name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "study": study.model_dump(mode="json"),
            "stages": {"failed": failed, "cells_missing": missing, **_left_out(study, run)},
            "cells": cells,
        }
    )


def _left_out(study: StudyFile, run: RunFolder) -> dict[str, Any]:
    """What the study's files and responders did not give, counted by reason; nothing where all was used."""
    found: dict[str, dict[str, int]] = {}
    for reference in {study.prompts, *study.attacks.harmful.values(), *study.attacks.benign.values()}:
        found[f"rows of {reference}"] = prompts_left_out(reference)
    for cell in grid(study):
        if cell.recipe == SFT or cell.repair is not None:
            continue
        folders = [(draw.role_free_name, run.samples(draw)) for _, draw, _ in cell.draws()]
        if cell.human is not None:
            folders.append((cell.human, run.human(cell)))
        for name, folder in folders:
            told = _maybe(folder / "stage.json") or {}
            found[f"rows of {name}"] = {**found.get(f"rows of {name}", {}), **told.get("left_out", {})}
            failures = told.get("failures") or {}
            place = folder.relative_to(run.root)
            found[f"requests to {name} without a response (remove {place} to ask again)"] = dict(failures)
    counted = {what: reasons for what, reasons in sorted(found.items()) if reasons}
    return {"left_out": counted} if counted else {}


def _why(folder: Path) -> str:
    pairs = folder / "pairs" / "pairs.json"
    if pairs.is_file():
        about = read_json(pairs)
        if not about["counts"]["built"]:
            return "; ".join(about["warnings"]) or "no pairs"
    return "a stage failed or has not run"


def cell_result(cell: Cell, run: RunFolder) -> dict[str, Any]:
    """One cell of results.json; docs/results.md documents every field."""
    folder, data = run.cell(cell), run.data(cell)
    attacked = read_json(folder / "attack" / "attack.json")
    general = _maybe(folder / "general" / "general.json") or {"scores": [], "settings": {}}
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
        "provenance": _provenance(cell, run),
        "pairs": None if cell.recipe == SFT else _pairs(data),
        "asr": attacked["asr"] + [_any_attack(row) for row in attacked.get("any_attack", ())],
        "over_refusal": attacked["over_refusal"],
        "general": general["scores"],
        "general_settings": general["settings"],
        "separability": (_maybe(data / "audit" / "audit.json") or {}).get("separability", []),
        "safety_influence": _influence(data),
        "training": _training(folder),
        "examples": attacked["examples"],
        "notes": attacked["notes"],
        "truncated_responses": attacked["truncated"],
    }


def _any_attack(row: dict[str, Any]) -> dict[str, Any]:
    """The row of all of a suite's attacks together, beside the rows of each."""
    return {key: value for key, value in row.items() if key not in ("prompts", "attacks", "open")}


def _maybe(path: Path) -> Any:
    return read_json(path) if path.is_file() else None


def _pairs(folder: Path) -> dict[str, Any] | None:
    about = _maybe(folder / "pairs" / "pairs.json")
    return None if about is None else {**about["counts"], "warnings": about["warnings"]}


def _influence(data: Path) -> dict[str, Any] | None:
    found = _maybe(data / "influence" / "influence.json")
    return None if found is None else {k: found["influence"][k] for k in ("cosine", "low", "high", "probes")}


def _training(folder: Path) -> dict[str, Any] | None:
    log = _maybe(folder / "policy" / "training.json")
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
    margin = _maybe(folder / "margin" / "margin.json")
    measured = {} if margin is None else {"refusal_margin": margin}
    return {**{key: log[key] for key in kept}, "log": lines, **measured}


def _provenance(cell: Cell, run: RunFolder) -> dict[str, Any]:
    folder = run.cell(cell)
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
    if cell.study.audit is not None:
        where |= {"audit": f"{place}/audit/audit.json", "audit_page": f"{place}/audit/index.html"}
    if cell.study.influence is not None:
        where |= {"influence": f"{place}/influence/influence.json"}
        if cell.study.influence.pilot is not None:
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
    samples = [run.samples(draw) for _, draw, _ in cell.draws()]
    where["model_ids"] = {
        stage["model"]: stage["model_id"]
        for stage in (read_stage(s) for s in samples if (s / "stage.json").is_file())
        if "model" in stage
    }
    return where
