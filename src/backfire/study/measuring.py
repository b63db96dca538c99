"""The stages that measure without testing: the audit of pairs, the probes, the influence of pairs, the refusal margin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backfire.answers.audit import SCHEMA as AUDIT_SCHEMA
from backfire.answers.audit import PerPair
from backfire.auditing.settings import AuditSettings
from backfire.influence.settings import InfluenceSettings
from backfire.models.settings import Opening
from backfire.records import Decoding
from backfire.store import Ledger, write_json
from backfire.study.artifacts import PROBES, VALUES, PairsArtifact, PolicyArtifact, ProbesArtifact
from backfire.study.cells import SFT, Cell, RunFolder
from backfire.study.inputs import FileInput, JudgeInput, ModelInput, PromptsInput, inputs_named
from backfire.study.references import without_references
from backfire.study.sections import AuditSection
from backfire.study.stage import Job, Report, Stage

if TYPE_CHECKING:
    from backfire.influence import ProbeSet
    from backfire.models import LocalModel
    from backfire.pairs import Pair

NO_PROBES = {"skipped": "no probe prompt gave a refusal and a compliance"}


@dataclass(frozen=True)
class Auditing:
    """How pairs are audited, and the number of the answer's schema."""

    audit: Mapping[str, Any]
    seed: int
    schema: int = AUDIT_SCHEMA


def audit_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """Say what the label of the cell's pairs encodes, before anything is trained on it."""
    section = cell.study.audit
    if not cell.has_pairs or section is None:
        return
    inputs = [PairsArtifact("pairs", run.pairs(cell)), *inputs_named(section, cell)]
    inputs = [one for one in inputs if one.role != "judge"]
    if section.hidden:
        inputs.append(ModelInput("policy", cell.policy, cell.opening))
    if cell.decision_judge == "exact":
        inputs.append(JudgeInput("judge", "exact", cell.organisms_world))
    audit = without_references(section)
    audit = {name: value for name, value in audit.items() if name not in ("hidden", *AuditSection.known)}
    if "max_length" not in section.model_fields_set:
        audit["max_length"] = cell.study.training.max_length
    yield Stage(run, "audit", run.audit(cell), Auditing(audit, cell.seed), inputs, _audit)


def _audit(job: Job[Auditing]) -> Report:
    pairs = job.input("pairs", PairsArtifact)
    if not pairs.built:
        return {"skipped": "no pairs"}
    from backfire.answers import write_audit
    from backfire.auditing import audit
    from backfire.report import write_audit_page

    policy, embedder = (job.optional(role, ModelInput) for role in ("policy", "embedder"))
    judge, other = job.optional("judge", JudgeInput), job.optional("overlap_with", FileInput)
    probes = job.group("probe_prompts", PromptsInput).values()
    settings = AuditSettings(
        **job.settings.audit,
        policy=None if policy is None else policy.reference,
        opening=Opening() if policy is None else policy.opening,
        embedder=None if embedder is None else embedder.reference,
        overlap_with=None if other is None else other.reference,
        probe_prompts=tuple(one.reference for one in probes),
        judge=None if judge is None else judge.open(),
        seed=job.settings.seed,
    )
    report = audit(pairs.folder, settings, per_pair=job.folder / "pairs.parquet")
    place = str(pairs.folder.relative_to(job.run.root))
    report = report.model_copy(update={"dataset": place, "per_pair": _beside(report.per_pair)})
    write_audit(job.folder / "audit.json", report)
    write_audit_page(report, job.folder / "index.html")
    return _without({one.part: one.reason for one in report.failed or ()})


def _without(failed: Mapping[str, str]) -> Report:
    """What a stage reports of parts that failed: the artifact stands without them, and the next run tries again."""
    return {"lost": {f"{part}: {reason}": 1 for part, reason in failed.items()}} if failed else None


def _beside(values: PerPair | None) -> PerPair | None:
    """The column's file as its reader finds it: beside the answer."""
    if values is None or values.file is None:
        return values
    return values.model_copy(update={"file": Path(values.file).name})


@dataclass(frozen=True)
class Probing:
    """How the policy is sampled for probes."""

    decoding: Decoding
    seed: int


def probes_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """The untrained policy's own refusals and compliances, which influence and margins are measured on."""
    influence = cell.study.influence
    if influence is None:
        return
    inputs = [
        ModelInput("policy", cell.policy, cell.opening),
        PromptsInput("training prompts", cell.prompts),
        JudgeInput("judge", cell.decision_judge, cell.organisms_world),
        *inputs_named(influence, cell),
    ]
    decoding = Decoding(max_new_tokens=cell.study.decoding.max_new_tokens, temperature=1.0)
    yield Stage(run, "probes", run.probes(cell), Probing(decoding, cell.seed), inputs, _probe)


def _probe(job: Job[Probing]) -> Report:
    from backfire.influence import ProbeSets, open_probes, read_probes, write_probes

    judge = job.input("judge", JudgeInput)
    named = [job.optional(role, PromptsInput) for role in ("harmful", "benign")]
    references = [one.reference for one in named if one is not None]
    sets = read_probes(references)
    if not isinstance(sets, ProbeSets):
        with Ledger(job.run.ledger_path) as ledger:
            sets = open_probes(
                job.input("policy", ModelInput).open_local(),
                sets,
                judge=judge.open(),
                training_prompts={p.id for p in job.input("training prompts", PromptsInput).open()},
                decoding=job.settings.decoding,
                ledger=ledger,
                seed=job.settings.seed,
            )
    write_probes(job.folder / PROBES, sets)
    there = [s for s in (sets.refusal, sets.benign, sets.placebo) if s is not None]
    return {"judge": judge.reference, "probes": {s.name: len(s.probes) for s in there}}


def influence_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """Predict from the pairs alone: safety influence, each pair's own, and what is compared with it."""
    influence = cell.study.influence
    if not cell.has_pairs or influence is None:
        return
    inputs = [
        PairsArtifact("pairs", run.pairs(cell)),
        ProbesArtifact("probes", run.probes(cell)),
        ModelInput("policy", cell.policy, cell.opening),
        JudgeInput("judge", cell.decision_judge, cell.organisms_world),
        *inputs_named(influence.states, cell),
    ]
    given = influence.model_dump(
        mode="json", include={"beta", "precondition", "states"}, exclude_defaults=True
    )
    settings = {
        "parameters": influence.parameters,
        "pairs": influence.pairs,
        "max_length": cell.study.training.max_length,
        "seed": cell.seed,
        **given,
    }
    yield Stage(run, "influence", run.influence(cell), settings, inputs, _predict)


def _predict(job: Job[Mapping[str, Any]]) -> Report:
    data = job.input("pairs", PairsArtifact)
    if not data.built:
        return {"skipped": "no pairs"}
    from backfire.influence.predicting import read_influence_of
    from backfire.influence.predictors.registry import PREDICTORS
    from backfire.study.baselines import baselines_of

    sets = job.input("probes", ProbesArtifact).read()
    if not sets.refusal.probes:
        return NO_PROBES
    settings = InfluenceSettings(**job.settings)
    pairs = data.read()
    conversations = [pair.body for pair in pairs]
    model = job.input("policy", ModelInput).open_local()
    order = np.random.default_rng(settings.seed).permutation(len(pairs))
    sample, rest = np.sort(order[: settings.pairs]), np.sort(order[settings.pairs :])
    read = read_influence_of(
        model,
        [conversations[i] for i in sample],
        sample + 1,
        sample,
        sets,
        others=[conversations[i] for i in rest],
        parameters=settings.parameters,
        beta=settings.beta,
        precondition=settings.precondition,
        states=settings.states,
        keep=job.run.gradients,
        max_length=settings.max_length,
        seed=settings.seed,
    )
    columns: dict[str, Any] = {}
    of_each = {"safety_influence": (read.values, read.others)}
    of_each |= {PREDICTORS[name].column: (one.values, one.others) for name, one in read.by_states.items()}
    for name, (of_sample, of_rest) in of_each.items():
        columns[name] = np.empty(len(pairs))
        columns[name][sample], columns[name][rest] = of_sample, of_rest
    baselines, gaps = baselines_of(
        model, pairs, job.input("judge", JudgeInput).open(), max_length=settings.max_length
    )
    _write_values(job.folder / VALUES, pairs, {**columns, "likelihood_gap": gaps})
    value = read.answer.model_copy(update={"file": VALUES}).model_dump(mode="json")
    write_json(job.folder / "influence.json", {"influence": value, "rivals": baselines})
    return _without(read.answer.failed or {})


def margin_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    """The mean margin of the refusal probes under the untrained and under the trained policy."""
    if cell.recipe == SFT or cell.study.influence is None:
        return
    inputs = [
        ProbesArtifact("probes", run.probes(cell)),
        ModelInput("untrained policy", cell.policy, cell.opening),
        PolicyArtifact("trained policy", run.policy(cell), cell.trained_opening),
    ]
    yield Stage(run, "margin", run.margin(cell), {}, inputs, _measure_margin)


def _measure_margin(job: Job[Any]) -> Report:
    policy = job.input("trained policy", PolicyArtifact)
    if policy.reference is None:
        return {"skipped": "nothing was trained"}
    refusal = job.input("probes", ProbesArtifact).read().refusal
    if not refusal.probes:
        return NO_PROBES
    trained = ModelInput("trained policy", policy.reference, policy.opening)
    policies = job.input("untrained policy", ModelInput), trained
    before, after = (_mean_margin(policy.open_local(), refusal) for policy in policies)
    margin = {"before": before, "after": after, "change": after - before, "probes": len(refusal.probes)}
    write_json(job.folder / "margin.json", margin)
    return None


def _mean_margin(model: LocalModel, probes: ProbeSet) -> float:
    from backfire.influence import mean_margins

    return float(np.nanmean(mean_margins(model, probes)))


def _write_values(path: Path, pairs: Sequence[Pair], values: Mapping[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "row": pa.array(np.arange(1, len(pairs) + 1)),
        "pair_id": pa.array([pair.id for pair in pairs]),
        **{name: pa.array(numbers) for name, numbers in values.items()},
    }
    pq.write_table(pa.table(columns), path)
