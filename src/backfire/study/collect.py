"""results.json from the artifacts of a run folder that stand now."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backfire.answers import Results, parse_results
from backfire.answers.attack import AttackRate, AttackResult, SuiteResult, parse_attack
from backfire.answers.results import SCHEMA
from backfire.errors import InputError, StudyError
from backfire.organisms import catalog
from backfire.store import manifest_digest, read_json
from backfire.study.artifacts import PAIRS, REWARDS, TRAINED, WATCHED
from backfire.study.cells import RLOO, SFT, Cell, RunFolder, grid
from backfire.study.plan import StudyFile
from backfire.study.schedule import Outcome
from backfire.study.stage import REPORT, Stage, read_stage


class Standing:
    """The parts of a study that stand now: artifacts whose stages are done under the present configuration.

    Nothing else is read, whatever lies in the run folder: what failed, or was made otherwise before, is missing.
    """

    def __init__(self, stages: Mapping[Path, str], outcome: Outcome) -> None:
        self.outcome = outcome
        self.missing: dict[str, str] = {}
        """Stages that no number comes from, and why."""
        self._stages = stages

    def has(self, artifact: Path) -> bool:
        """Whether the artifact stands; where it does not, its stage is noted as missing."""
        if self.stands(artifact):
            return True
        stage = self.name(artifact)
        self.missing[stage] = self.outcome.cause(stage)
        return False

    def stands(self, artifact: Path) -> bool:
        """Whether the artifact stands."""
        return self._stages.get(artifact) in self.outcome.standing

    def name(self, artifact: Path) -> str:
        """The stage that makes the artifact."""
        return self._stages.get(artifact, artifact.name)

    def lost(self, artifact: Path) -> dict[str, int]:
        """Requests or parts that the artifact stands without, by reason."""
        return self.outcome.lost.get(self._stages.get(artifact, ""), {})

    def read(self, file: Path) -> Any:
        """What a JSON file of an artifact holds; None where the artifact does not stand or has no such file."""
        return self._read(file, read_json)

    def _read(self, file: Path, how: Callable[[Path], Any]) -> Any:
        if not self.has(file.parent) or not file.is_file():
            return None
        try:
            return how(file)
        except (OSError, ValueError, RecursionError) as error:
            self.missing[self._stages[file.parent]] = (
                f"{file} does not read ({error}): remove {file.parent} and run again"
            )
            return None

    def read_lines(self, file: Path) -> list[dict[str, Any]]:
        """What a file of JSON lines of an artifact holds; nothing where the artifact does not stand or has no such file."""
        lines: list[dict[str, Any]] | None = self._read(
            file, lambda path: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        )
        return lines or []


def collect(study: StudyFile, run: RunFolder, stages: Sequence[Stage[Any]], outcome: Outcome) -> Results:
    """Gather every cell whose attacks are judged, part by part from what stands now; `stages` names what is missing and why."""
    cells, missing, parts = [], {}, {}
    names = {stage.folder: stage.name for stage in stages}
    for cell in grid(study):
        standing = Standing(names, outcome)
        attacked = standing.read(run.attack(cell) / "attack.json")
        if attacked is None:
            missing[cell.label] = _why(cell, run, standing)
            continue
        attack = parse_attack(attacked, str(run.attack(cell) / "attack.json"))
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
                **_left_out(study, run, Standing(names, outcome)),
            },
            "cells": cells,
        }
    )


def _left_out(study: StudyFile, run: RunFolder, standing: Standing) -> dict[str, Any]:
    """What the study's files, responders and judges did not give, counted by reason; nothing where all was used."""
    counts: dict[str, dict[str, int]] = {}
    prompts = {target.prompts or study.prompts for target in study.targets}
    for reference in prompts | {*study.attacks.harmful.values(), *study.attacks.benign.values()}:
        counts[f"rows of {reference}"] = _prompts_left_out(reference)
    for cell in grid(study):
        for folder in (run.audit(cell), run.influence(cell)):
            if lost := standing.lost(folder):
                counts[
                    f"parts of the {standing.name(folder)} that failed (the next run tries them again)"
                ] = lost
        if lost := standing.lost(run.attack(cell)):
            counts[f"answers in the attack on {cell.label} (the next run asks for them again)"] = lost
        if not cell.has_pairs or cell.repair is not None:
            continue
        artifacts = [(one.responses.responder, run.samples(one.responses)) for one in cell.candidates()]
        if cell.human is not None:
            artifacts.append((cell.human, run.human(cell)))
        for name, folder in artifacts:
            if not standing.stands(folder):
                continue
            report = read_stage(folder)
            rows = f"rows of {name}"
            counts[rows] = {**counts.get(rows, {}), **report.get("left_out", {})}
            place = folder.relative_to(run.root)
            without = f"requests to {name} without a response"
            counts[f"{without} (remove {place} to ask again)"] = dict(report.get("failures") or {})
            counts[f"{without}, of {place} (the next run asks for them again)"] = dict(
                report.get("lost") or {}
            )
    counts = {what: reasons for what, reasons in sorted(counts.items()) if reasons}
    return {"left_out": counts} if counts else {}


def _prompts_left_out(reference: str) -> dict[str, int]:
    """Rows of a file of prompts that are left out, by reason; none for an organism's set, nor for a file that cannot be
    read, which stops the stages that read it."""
    from backfire.prompts import open_prompts

    try:
        return dict(open_prompts(reference).left_out)
    except InputError:
        return {}


def _why(cell: Cell, run: RunFolder, standing: Standing) -> str:
    """Why a cell has no attack to show."""
    if cell.has_pairs and standing.stands(run.pairs(cell)):
        about = standing.read(run.pairs(cell) / PAIRS)
        if about is not None and not about["counts"]["built"]:
            return "; ".join(about["warnings"]) or "no pairs"
    return "; ".join(standing.missing.values()) or "nothing was trained"


def cell_result(cell: Cell, run: RunFolder, attacked: AttackResult, standing: Standing) -> dict[str, Any]:
    """One cell of results.json; docs/reference/results-schema.md documents every field."""
    general = None
    if cell.study.general is not None:
        general = standing.read(run.general(cell) / "general.json")
    general = general or {"scores": [], "settings": {}}
    pairs = audit = influence = pilot = training = None
    if cell.recipe == RLOO:
        training = _training(cell, run, standing)
    elif cell.recipe != SFT:
        pairs = _pairs(standing.read(run.pairs(cell) / PAIRS))
        training = _training(cell, run, standing)
        if cell.study.audit is not None:
            audit = standing.read(run.audit(cell) / "audit.json")
        if cell.study.influence is not None:
            influence = _influence(standing.read(run.influence(cell) / "influence.json"))
            if cell.study.influence.pilot is not None:
                pilot = _pilot(standing.read(run.pilot(cell) / "pilot.json"))
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
        "provenance": _provenance(cell, run, standing),
        "pairs": pairs,
        "asr": [*attacked.asr, *_together(attacked)],
        "over_refusal": attacked.over_refusal,
        "general": general["scores"],
        "general_settings": general["settings"],
        "separability": (audit or {}).get("separability", []),
        "safety_influence": influence,
        **({} if pilot is None else {"pilot": pilot}),
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


def _influence(file: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if file is None else {k: file["influence"][k] for k in ("cosine", "low", "high", "probes")}


def _pilot(file: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a pilot did to the probes; one that an older version took says no more than the change of the margin."""
    if file is None:
        return None
    steps = len(file["margins"]) - 1
    return {"steps": steps} | {k: file[k] for k in ("steps", "change", "low", "high", "probes") if k in file}


def _training(cell: Cell, run: RunFolder, standing: Standing) -> dict[str, Any] | None:
    log = standing.read(run.policy(cell) / TRAINED)
    if log is None:
        return None
    fields = (
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
        for line in (log["log"] if log["method"] != "rloo" else ())
    ]
    margin = None
    if cell.study.influence is not None:
        margin = standing.read(run.margin(cell) / "margin.json")
    watched = [watch_row(point) for point in standing.read_lines(run.policy(cell) / WATCHED)]
    measured = {} if margin is None else {"refusal_margin": margin}
    watch = {"watch": watched} if watched else {}
    rewards = [
        {key: point[key] for key in ("step", "reward", "kl", "tokens", "ended")}
        for point in standing.read_lines(run.policy(cell) / REWARDS)
    ]
    rewarded = {"rewards": rewards} if rewards else {}
    tokens = _tokens_sampled(cell, run, standing)
    cost = {} if tokens is None else {"tokens_sampled": tokens}
    return {**{key: log[key] for key in fields}, "log": lines, **watch, **measured, **rewarded, **cost}


def _tokens_sampled(cell: Cell, run: RunFolder, standing: Standing) -> int | None:
    """Tokens that were sampled for the training: of RLOO, in it; of pairs, the responses that the recipe chose from."""
    folder = run.pairs(cell.of_recipe(cell.recipe)) if cell.has_pairs else run.policy(cell)
    if not standing.stands(folder) or not (folder / REPORT).is_file():
        return None
    tokens: int | None = read_stage(folder).get("tokens_sampled")
    return tokens


def watch_row(point: dict[str, Any]) -> dict[str, Any]:
    """One line of watch.jsonl as a row of the results."""

    def rate(of: Any) -> Any:
        return None if of is None else of.get("rate")

    pairs, others = point.get("training") or {}, point.get("held_out") or {}
    values = {
        **{name: rate(point.get(name)) for name in ("refused", "needless_refusals")},
        **{name: point.get(name) for name in ("refusal_margin", "tokens_harmful")},
        **{name: pairs.get(name) for name in ("logps_chosen", "logps_rejected")},
        "watched_accuracy": rate(pairs.get("reward_accuracy")),
        "held_out_accuracy": rate(others.get("reward_accuracy")),
    }
    return {"step": point["step"], **{name: value for name, value in values.items() if value is not None}}


def _provenance(cell: Cell, run: RunFolder, standing: Standing) -> dict[str, Any]:
    def place(artifact: Path) -> str:
        return artifact.relative_to(run.root).as_posix()

    where: dict[str, Any] = {
        "policy": cell.policy,
        "ledger": run.ledger_path.name,
        "attack": place(run.attack(cell) / "attack.json"),
        "attack_digest": manifest_digest(run.attack(cell)),
        "attack_decoding": cell.study.attacks.decoding.model_dump(),
    }
    if cell.recipe == SFT:
        return where
    if cell.recipe == RLOO:
        named = cell.reward_model if isinstance(cell.reward_model, str) else place(run.reward(cell))
        return where | {
            "prompts": cell.prompts,
            "reward_model": named,
            "trained_policy": place(run.policy(cell)),
            "policy_digest": manifest_digest(run.policy(cell)),
            "command": f"backfire train rloo {cell.policy} --prompts {cell.prompts} --reward-model {named} --out NEW",
        }
    where |= {
        "recipe": cell.recipe,
        "repair": cell.repair,
        "training": cell.training_name,
        "pairs": place(run.pairs(cell)),
        "pairs_digest": manifest_digest(run.pairs(cell)),
    }
    if standing.stands(run.audit(cell)):
        audit = run.audit(cell)
        where |= {"audit": place(audit / "audit.json"), "audit_page": place(audit / "index.html")}
    if standing.stands(run.influence(cell)):
        where["influence"] = place(run.influence(cell) / "influence.json")
    if standing.stands(run.pilot(cell)):
        where["pilot"] = place(run.pilot(cell) / "pilot.json")
    candidates = cell.candidates()
    where |= {
        "trained_policy": place(run.policy(cell)),
        "policy_digest": manifest_digest(run.policy(cell)),
        "command": f"backfire train dpo {cell.policy} {place(run.pairs(cell))} --out NEW",
        "responders": [
            {"role": role, "responder": one.responder, "n": n, "decoding": one.decoding.as_dict()}
            for role, one, n in candidates
        ],
    }
    reports = [
        read_stage(folder)
        for folder in (run.samples(one.responses) for one in candidates)
        if standing.stands(folder)
    ]
    where["model_ids"] = {report["model"]: report["model_id"] for report in reports if "model" in report}
    return where
