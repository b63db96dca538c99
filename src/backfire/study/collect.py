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
            missing[cell.label] = _why(folder)
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
        if cell.recipe == SFT:
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
    folder = run.cell(cell)
    attacked = read_json(folder / "attack" / "attack.json")
    general = _maybe(folder / "general" / "general.json") or {"scores": [], "settings": {}}
    world = None
    if cell.world is not None:
        world = catalog.open_world(cell.world).seed
    return {
        "id": cell.folder_name,
        "family": cell.target.family,
        "target": cell.policy,
        "recipe": cell.recipe,
        "seed": cell.seed,
        "world": world,
        "provenance": _provenance(cell, run),
        "pairs": _pairs(folder),
        "asr": attacked["asr"],
        "over_refusal": attacked["over_refusal"],
        "general": general["scores"],
        "general_settings": general["settings"],
        "separability": (_maybe(folder / "audit" / "audit.json") or {}).get("separability", []),
        "training": _training(folder),
        "examples": attacked["examples"],
        "notes": attacked["notes"],
        "truncated_responses": attacked["truncated"],
    }


def _maybe(path: Path) -> Any:
    return read_json(path) if path.is_file() else None


def _pairs(folder: Path) -> dict[str, Any] | None:
    about = _maybe(folder / "pairs" / "pairs.json")
    return None if about is None else {**about["counts"], "warnings": about["warnings"]}


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
    return {**{key: log[key] for key in kept}, "log": lines}


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
    where |= {
        "pairs": f"cells/{cell.folder_name}/pairs",
        "pairs_digest": manifest_digest(folder / "pairs"),
        "audit": f"cells/{cell.folder_name}/audit/audit.json",
        "audit_page": f"cells/{cell.folder_name}/audit/index.html",
        "trained_policy": f"cells/{cell.folder_name}/policy",
        "policy_digest": manifest_digest(folder / "policy"),
        "command": f"backfire train dpo {cell.policy} cells/{cell.folder_name}/pairs --out NEW",
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
