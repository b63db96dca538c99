"""Stages that measure before and after training: the audit of pairs, their influence, the pilot, the refusal margin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backfire.answers.audit import SCHEMA as AUDIT_SCHEMA
from backfire.answers.audit import PerPair
from backfire.records import Decoding
from backfire.store import Ledger, write_json
from backfire.study.artifacts import pairs_built, trained_policy
from backfire.study.cells import Cell, RunFolder
from backfire.study.identities import identity_of, judge_identity
from backfire.study.inputs import judge_of, open_judge, open_prompts
from backfire.study.plan import InfluenceSettings, in_world
from backfire.study.stage import Configuration, Stage, manifest_digest

if TYPE_CHECKING:
    from backfire.influence import ProbeSet, ProbeSets
    from backfire.models import LocalModel
    from backfire.pairs import Pair

PROBES = "probes.jsonl"
VALUES = "pairs.parquet"
NO_PROBES = {"skipped": "no probe prompt gave a refusal and a compliance"}


def audit_stage(run: RunFolder, cell: Cell) -> Stage:
    """Say what the label of the cell's pairs encodes, before anything is trained on it."""
    pairs = run.data(cell) / "pairs"
    settings = cell.study.audit
    assert settings is not None
    exact = cell.world is not None and "exact" in cell.study.attacks.judges

    def make(aside: Path) -> dict[str, Any] | None:
        if not pairs_built(run, cell):
            return {"skipped": "no pairs"}
        from backfire.answers import write_audit
        from backfire.auditing import audit
        from backfire.report import write_audit_page

        report = audit(
            pairs,
            policy=cell.policy if settings.hidden else None,
            policy_pairs=settings.policy_pairs,
            judge=open_judge("exact", cell.world) if exact else None,
            controls=settings.controls,
            max_pairs=settings.max_pairs,
            per_pair=aside / "pairs.parquet",
            seed=cell.seed,
        )
        told = {"dataset": str(pairs.relative_to(run.root)), "per_pair": _beside(report.per_pair)}
        report = report.model_copy(update=told)
        write_audit(aside / "audit.json", report)
        write_audit_page(report, aside / "index.html")
        return _without({one.part: one.reason for one in report.failed or ()})

    def configuration() -> Configuration:
        inputs = [manifest_digest(pairs), identity_of(cell.policy)]
        judge = judge_identity("exact", cell.world) if exact else None
        about = {"settings": settings.model_dump(), "judge": judge, "schema": AUDIT_SCHEMA}
        return {"stage": "audit", "seed": cell.seed, **about, "inputs": inputs}

    folder = run.data(cell) / "audit"
    return Stage(f"audit {cell.data_name}", folder, [f"pair {cell.data_name}"], configuration, make)


def _without(failed: Mapping[str, str]) -> dict[str, Any] | None:
    """What a stage reports of parts that failed: the artifact stands without them, and the next run tries again."""
    return {"lost": {f"{part}: {reason}": 1 for part, reason in failed.items()}} if failed else None


def _beside(found: PerPair | None) -> PerPair | None:
    """The column's file as its reader finds it: beside the answer."""
    if found is None or found.file is None:
        return found
    return found.model_copy(update={"file": Path(found.file).name})


def probes_stage(run: RunFolder, cell: Cell) -> Stage:
    """The untrained policy's own refusals and compliances, which influence and margins are measured on."""
    settings = _settings(cell)
    references = [in_world(ref, cell.world) for ref in (settings.harmful, settings.benign) if ref is not None]
    name = judge_of(cell.study.attacks.judges, cell.world)
    decoding = Decoding(max_new_tokens=cell.study.decoding.max_new_tokens, temperature=1.0)

    def make(aside: Path) -> dict[str, Any]:
        from backfire.influence import ProbeSets, open_probes, read_probes, write_probes

        sets = read_probes(references)
        if not isinstance(sets, ProbeSets):
            with Ledger(run.ledger_path) as ledger:
                sets = open_probes(
                    _model(cell.policy),
                    sets,
                    judge=open_judge(name, cell.world),
                    training_prompts={prompt.id for prompt in open_prompts(cell.prompts)},
                    decoding=decoding,
                    ledger=ledger,
                    seed=cell.seed,
                )
        write_probes(aside / PROBES, sets)
        found = [s for s in (sets.refusal, sets.benign, sets.placebo) if s is not None]
        return {"judge": name, "probes": {s.name: len(s.probes) for s in found}}

    def configuration() -> Configuration:
        inputs = [identity_of(ref) for ref in (cell.policy, cell.prompts, *references)]
        how = {"judge": judge_identity(name, cell.world), "decoding": decoding.as_dict()}
        return {"stage": "probes", "seed": cell.seed, **how, "inputs": inputs}

    folder = run.probes(cell)
    return Stage(f"probes {folder.name}", folder, [], configuration, make)


def influence_stage(run: RunFolder, cell: Cell) -> Stage:
    """Predict from the pairs alone: safety influence, each pair's own, and what is compared with it."""
    pairs, probes = run.data(cell) / "pairs", run.probes(cell)
    settings = _settings(cell)
    name = judge_of(cell.study.attacks.judges, cell.world)

    def make(aside: Path) -> dict[str, Any] | None:
        if not pairs_built(run, cell):
            return {"skipped": "no pairs"}
        from backfire.influence.predicting import read_influence_of
        from backfire.pairs import read_pairs
        from backfire.study.rivals import rivals_of

        sets = probe_sets(probes)
        if not sets.refusal.probes:
            return NO_PROBES
        built = read_pairs(pairs).pairs
        conversations = [pair.body for pair in built]
        model = _model(cell.policy)
        drawn = np.random.default_rng(cell.seed).permutation(len(built))
        kept, rest = np.sort(drawn[: settings.pairs]), np.sort(drawn[settings.pairs :])
        read = read_influence_of(
            model,
            [conversations[i] for i in kept],
            kept + 1,
            kept,
            sets,
            others=[conversations[i] for i in rest],
            parameters=settings.parameters,
            keep=run.gradients,
            seed=cell.seed,
        )
        values = np.empty(len(built))
        values[kept], values[rest] = read.values, read.others
        rivals, gaps = rivals_of(model, built, open_judge(name, cell.world))
        _write_values(aside / VALUES, built, values, gaps)
        value = read.answer.model_copy(update={"file": VALUES}).model_dump(mode="json")
        write_json(aside / "influence.json", {"influence": value, "rivals": rivals})
        return _without(read.answer.failed or {})

    def configuration() -> Configuration:
        inputs = [manifest_digest(pairs), manifest_digest(probes), identity_of(cell.policy)]
        asked = settings.model_dump(mode="json", include={"parameters", "pairs"})
        judge = judge_identity(name, cell.world)
        return {"stage": "influence", "seed": cell.seed, "settings": asked, "judge": judge, "inputs": inputs}

    folder = run.data(cell) / "influence"
    needs = [f"pair {cell.data_name}", f"probes {probes.name}"]
    return Stage(f"influence {cell.data_name}", folder, needs, configuration, make)


def pilot_stage(run: RunFolder, cell: Cell) -> Stage:
    """A few steps of the cell's own training, with the refusal margin measured after each."""
    pairs, probes = run.data(cell) / "pairs", run.probes(cell)
    pilot = _settings(cell).pilot
    assert pilot is not None

    def make(aside: Path) -> dict[str, Any] | None:
        if not pairs_built(run, cell):
            return {"skipped": "no pairs"}
        from backfire.influence import run_pilot
        from backfire.pairs import read_pairs
        from backfire.training import DPOSettings

        settings = DPOSettings.of(seed=cell.seed, **cell.training)
        refusal = probe_sets(probes).refusal
        if not refusal.probes:
            return NO_PROBES
        found = run_pilot(
            _model(cell.policy),
            [pair.body for pair in read_pairs(pairs).pairs],
            refusal,
            steps=pilot.steps,
            lr=settings.lr,
            beta=settings.beta,
            batch_size=settings.batch_size * settings.gradient_accumulation,
            parameters=settings.trains,
            seed=cell.seed,
        )
        write_json(aside / "pilot.json", {"margins": found.margins, "change": found.margin_change})
        return None

    def configuration() -> Configuration:
        inputs = [manifest_digest(pairs), manifest_digest(probes), identity_of(cell.policy)]
        return {
            "stage": "pilot",
            "seed": cell.seed,
            "steps": pilot.steps,
            "training": cell.training,
            "inputs": inputs,
        }

    needs = [f"pair {cell.data_name}", f"probes {probes.name}"]
    return Stage(f"pilot {cell.folder_name}", run.cell(cell) / "pilot", needs, configuration, make)


def margin_stage(run: RunFolder, cell: Cell) -> Stage:
    """The mean margin of the refusal probes under the untrained and under the trained policy."""
    probes = run.probes(cell)

    def make(aside: Path) -> dict[str, Any] | None:
        policy = trained_policy(run, cell)
        if policy is None:
            return {"skipped": "nothing was trained"}
        refusal = probe_sets(probes).refusal
        if not refusal.probes:
            return NO_PROBES
        before, after = (_mean_margin(_model(reference), refusal) for reference in (cell.policy, policy))
        margin = {"before": before, "after": after, "change": after - before, "probes": len(refusal.probes)}
        write_json(aside / "margin.json", margin)
        return None

    def configuration() -> Configuration:
        inputs = [
            manifest_digest(probes),
            identity_of(cell.policy),
            manifest_digest(run.cell(cell) / "policy"),
        ]
        return {"stage": "margin", "inputs": inputs}

    needs = [f"train {cell.folder_name}", f"probes {probes.name}"]
    return Stage(f"margin {cell.folder_name}", run.cell(cell) / "margin", needs, configuration, make)


def _settings(cell: Cell) -> InfluenceSettings:
    assert cell.study.influence is not None
    return cell.study.influence


def _model(reference: str) -> LocalModel:
    from backfire.models.local_policy import open_local

    return open_local(reference, lacks="gradients")


def probe_sets(folder: Path) -> ProbeSets:
    """The stored probes of an artifact."""
    from backfire.influence import ProbeSets, read_probes

    sets = read_probes(folder / PROBES)
    assert isinstance(sets, ProbeSets)
    return sets


def _mean_margin(model: LocalModel, probes: ProbeSet) -> float:
    from backfire.influence import mean_margins

    return float(np.nanmean(mean_margins(model, probes)))


def _write_values(path: Path, pairs: tuple[Pair, ...], values: Any, gaps: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "row": pa.array(np.arange(1, len(pairs) + 1)),
        "pair_id": pa.array([pair.id for pair in pairs]),
        "safety_influence": pa.array(values),
        "likelihood_gap": pa.array(gaps),
    }
    pq.write_table(pa.table(columns), path)
