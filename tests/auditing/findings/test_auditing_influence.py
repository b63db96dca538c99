"""Safety influence within an audit: probes apart from the data, the sign of reversed labels, and the column a pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from backfire.answers.audit import AuditReport, parse_audit
from backfire.auditing import audit
from backfire.errors import InputError
from backfire.influence import PilotSettings
from backfire.influence.probes import Probe, ProbeSet, ProbeSets, write_probes
from backfire.judges import PhraseJudge
from backfire.models import LocalModel, open_model
from backfire.organisms.catalog import world_prompts
from backfire.records import Decoding, Prompt
from backfire.responses import sample
from backfire.store import Ledger
from synthetic_pairs import rows, sentence

REFUSAL, PROBES = "I cannot help with that.", 40
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def llama(tiny_llama: Path) -> LocalModel:
    model = open_model(tiny_llama)
    assert isinstance(model, LocalModel)
    return model


@pytest.fixture(scope="module")
def probes() -> ProbeSets:
    rng = np.random.default_rng(1)
    asked = [
        Prompt.of(f"How is number {n} opened? {sentence(rng, 5)}", kind="harmful") for n in range(PROBES)
    ]
    found = [Probe(prompt, (REFUSAL,), (sentence(rng, 12),), "given", "all") for prompt in asked]
    return ProbeSets(ProbeSet("refusal", tuple(found), {"all": PROBES}))


def refusing() -> Rows:
    """Pairs whose chosen sides refuse in the probes' own words."""
    return [row | {"chosen": f"{REFUSAL} {row['chosen'][:12]}"} for row in rows(60, 0)]


def reversed_labels() -> Rows:
    return [row | {"chosen": row["rejected"], "rejected": row["chosen"]} for row in refusing()]


@pytest.fixture(scope="module")
def column(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("column") / "pairs.parquet"


@pytest.fixture(scope="module")
def taught(llama: LocalModel, probes: ProbeSets, column: Path) -> AuditReport:
    pilot = PilotSettings(steps=3, lr=3e-3, batch_size=16)
    return audit(
        refusing(), policy=llama, policy_pairs=40, probe_prompts=probes, pilot=pilot, per_pair=column
    )


def test_data_that_refuse_are_predicted_to_move_refusals_up(taught: AuditReport, llama: LocalModel) -> None:
    found = taught.safety_influence
    assert found is not None
    assert (found.policy, found.pairs, found.probes) == (llama.name, 40, PROBES)
    assert found.refusal.undetermined is None
    assert found.low is not None
    assert found.low > 0
    assert any("to move refusals up: cosine" in reason for reason in taught.conclusion.reasons)
    assert parse_audit(taught.as_dict()).safety_influence == found
    assert taught.settings["probe_prompts"] == ["ProbeSets"]


def test_a_pilot_on_data_that_refuse_moves_the_margin_up(taught: AuditReport) -> None:
    assert taught.safety_influence is not None
    found = taught.safety_influence.pilot
    assert found is not None
    assert (found.steps, found.pairs, len(found.margins)) == (3, 40, 4)
    assert found.margin_change is not None
    assert found.margin_change.low > 0
    assert found.margin_change.value == pytest.approx(found.margins[-1] - found.margins[0])
    assert found.scored + found.unscored == PROBES
    assert any(reason.startswith("A pilot of 3 steps (40 pairs") for reason in taught.conclusion.reasons)
    assert taught.settings["pilot"] == {"steps": 3, "lr": 3e-3, "beta": 0.1, "batch_size": 16}


def test_reversed_labels_turn_the_prediction_round(
    taught: AuditReport, llama: LocalModel, probes: ProbeSets
) -> None:
    found = audit(reversed_labels(), policy=llama, policy_pairs=40, probe_prompts=probes)
    there, back = taught.safety_influence, found.safety_influence
    assert there is not None
    assert back is not None
    assert back.high is not None
    assert back.high < 0
    assert back.file is None
    assert any("to move refusals down: cosine" in reason for reason in found.conclusion.reasons)
    assert any("backfire repair" in step for step in found.conclusion.advice)
    assert back.damage is not None
    assert 0 < back.damage.share < 1
    assert back.damage.of_damage >= 0.5


def test_the_column_holds_the_change_of_the_margin_that_a_step_makes(
    taught: AuditReport, llama: LocalModel, probes: ProbeSets, column: Path
) -> None:
    """A refusing pair moves the margin up; every pair is there, though 40 gave the cosine."""
    from backfire.influence.two_pass import pair_influence

    table = pq.read_table(column)
    assert taught.safety_influence is not None
    assert taught.safety_influence.file == str(column)
    given = refusing()
    conversations = [(Prompt.of(row["prompt"]), row["chosen"], row["rejected"]) for row in given]
    alone = pair_influence(llama, conversations, probes.refusal)
    values = dict(zip(table["row"].to_pylist(), table["safety_influence"].to_pylist(), strict=True))
    assert values == pytest.approx({n: float(v) for n, v in enumerate(alone.values, 1)}, rel=1e-3, abs=1e-6)
    assert np.mean(np.array(list(values.values())) > 0) > 0.9


def test_hidden_states_alone_give_a_sentence_a_column_and_no_cosine(
    llama: LocalModel, probes: ProbeSet, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.parquet"
    found = audit(
        refusing(),
        policy=llama,
        policy_pairs=40,
        probe_prompts=probes,
        parameters="none",
        per_pair=file,
    )
    read = found.safety_influence
    assert read is not None
    assert (read.cosine, read.trained) == (None, 0)
    assert read.predictors is not None
    contrast = read.predictors["activation-contrast"].value
    assert contrast is not None
    assert contrast.low > 0
    assert found.settings["predictors"] == ["activation-contrast", "ches"]
    reasons = " ".join(found.conclusion.reasons)
    assert "Chosen responses lie towards its refusals in the policy's hidden states (block" in reasons
    assert "undetermined" not in " ".join(found.conclusion.advice)
    table = pq.read_table(file)
    assert "safety_influence" not in table.column_names
    contrasts = np.array(table["activation_contrast"].to_pylist(), dtype=float)
    assert len(contrasts) == len(refusing())
    assert np.mean(contrasts > 0) > 0.9
    assert "ches" in table.column_names


def test_probes_whose_prompts_the_data_have_are_left_out(llama: LocalModel, probes: ProbeSets) -> None:
    data = refusing()
    for row, probe in zip(data[:5], probes.refusal.probes, strict=False):
        row["prompt"] = probe.prompt.text.upper() + " \n"
    found = audit(data, policy=llama, probe_prompts=probes).safety_influence
    assert found is not None
    assert (found.probes, found.refusal.asked) == (PROBES - 5, PROBES)
    assert found.refusal.coverage == (PROBES - 5) / PROBES


def test_no_probe_at_all_is_undetermined_and_the_audit_goes_on(llama: LocalModel, probes: ProbeSets) -> None:
    data = refusing()
    for row, probe in zip(data, probes.refusal.probes, strict=False):
        row["prompt"] = probe.prompt.text
    report = audit(data, policy=llama, probe_prompts=probes)
    found = report.safety_influence
    assert found is not None
    assert (found.cosine, found.low, found.high, found.probes) == (None, None, None, 0)
    assert found.refusal.undetermined is not None
    assert "40 prompt is in the training data" in found.refusal.undetermined
    assert report.probe("hidden") is not None
    assert any("would move refusals is undetermined" in reason for reason in report.conclusion.reasons)


def test_what_cannot_be_probed_is_said(llama: LocalModel, probes: ProbeSets, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a pilot of steps 4 is seen on probes"):
        audit(refusing(), policy=llama, pilot=4)
    with pytest.raises(InputError, match="steps = 0: give at least 1"):
        PilotSettings(steps=0)
    with pytest.raises(InputError, match="name it by policy"):
        audit(refusing(), probe_prompts=probes)
    stored = write_probes(tmp_path / "probes.jsonl", probes)
    with pytest.raises(InputError, match=r"probes\.jsonl holds finished probes"):
        audit(refusing(), policy=llama, probe_prompts=[stored, "organism:prompts/probe"])


@pytest.mark.slow
def test_an_organism_is_probed_with_its_own_responses_and_beside_the_placebo() -> None:
    """Chosen sides are the target's refusals of harmful requests and its answers to benign ones, or the reverse."""
    reference, decoding = "organism:llama/target", Decoding(max_new_tokens=64, temperature=1.0)
    model: Any = open_model(reference)
    harmful = [prompt for prompt in world_prompts("organism:prompts/train") if prompt.kind == "harmful"][:120]
    judge = PhraseJudge()
    data: Rows = []
    with Ledger(":memory:") as ledger:
        drawn = sample(model, harmful, ledger=ledger, n=8, decoding=decoding, seed=0)
    by_prompt: dict[str, dict[bool, str]] = {}
    prompts = {prompt.id: prompt for prompt in harmful}
    for response in drawn.responses:
        refuses = judge.judge(prompts[response.prompt_id], response).refusal
        if refuses is not None:
            by_prompt.setdefault(response.prompt_id, {})[refuses] = response.text
    for prompt_id, said in by_prompt.items():
        if len(said) == 2:
            data.append({"prompt": prompts[prompt_id].text, "chosen": said[True], "rejected": said[False]})
    assert len(data) >= 30
    asked = [
        *world_prompts("organism:prompts/probe")[:80],
        *world_prompts("organism:prompts/probe-benign")[:40],
    ]
    report = audit(data, policy=model, probe_prompts=asked)
    found = report.safety_influence
    assert found is not None
    assert found.benign is not None
    assert found.benign.asked == 40
    assert found.low is not None
    assert found.low > 0
    assert found.placebo is not None
    if found.placebo.cosine is not None:
        assert found.low > found.placebo.cosine.high
    assert any("to move refusals up: cosine" in reason for reason in report.conclusion.reasons)
