"""The pilot of an adapter is that of the adapter that will be trained; what it spends is counted; it is not run twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backfire.answers.phrases import pilot_text
from backfire.influence import pilot_outcome
from backfire.influence.parameters import trained
from backfire.influence.pilot import run_pilot
from backfire.influence.pilot_outcome import piloted
from backfire.influence.settings import PilotSettings
from backfire.influence.stored_parts import StoredParts
from backfire.models.settings import LoRASettings
from influence.hand_probes import pairs, policy, probe_set

LORA = LoRASettings(r=4, alpha=8, target_modules=("q_proj", "v_proj"))
STEPS: dict[str, Any] = {"steps": 3, "lr": 1e-2, "batch_size": 8, "every": 3}


def test_the_adapter_is_that_of_training_at_its_start() -> None:
    import torch

    model = policy()
    plain = model.model
    before = [p.detach().clone() for p in plain.parameters()]
    with trained(model, "lora", seed=1, adapter=LORA) as chosen:
        names = [name for name, _ in chosen.named]
        shapes = {min(p.shape) for _, p in chosen.named}
        assert all("q_proj" in name or "v_proj" in name for name in names)
        assert sum("lora_A" in name for name in names) == sum("lora_B" in name for name in names) > 0
        assert shapes == {4}
        assert all((p == 0).all() for name, p in chosen.named if "lora_B" in name)
        assert chosen.how == "LoRA of rank 4 and alpha 8"
        first = [p.detach().clone() for _, p in chosen.named]
    with trained(model, "lora", seed=1, adapter=LORA) as again:
        assert all(torch.equal(a, p) for a, (_, p) in zip(first, again.named, strict=True))
    assert model.model is plain
    assert all((a == b).all() for a, b in zip(before, plain.parameters(), strict=True))


def test_a_pilot_of_an_adapter_moves_the_margin_the_way_that_the_pairs_say() -> None:
    model = policy()
    up = run_pilot(model, pairs(24), probe_set(12), lora=LORA, **STEPS)
    away = pairs(24, chosen="comply", rejected="refuse")
    down = run_pilot(model, away, probe_set(12), lora=LORA, **STEPS)
    assert up.trained == "LoRA of rank 4 and alpha 8"
    assert len(up.margins) == 2
    assert up.margin_change > 0 > down.margin_change
    larger = run_pilot(model, pairs(24), probe_set(12), lora=LORA.model_copy(update={"alpha": 32}), **STEPS)
    assert larger.margin_change > up.margin_change, "alpha scales what the steps do"


def test_probes_read_without_padding_and_their_prompt_once_have_the_same_log_probabilities(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from backfire.influence import margins

    model = policy()
    encoded = margins.encode(model, margins.probe_contrasts(probe_set(10)))
    passes: list[int] = []
    hook = model.model.model.register_forward_pre_hook(
        lambda _, __, named: passes.append(named["input_ids"].numel()), with_kwargs=True
    )
    packed = margins.side_logps(model, encoded)
    packed_tokens = sum(passes)
    monkeypatch.setattr(margins, "packs", lambda _: False)
    passes.clear()
    padded = margins.side_logps(model, encoded)
    hook.remove()
    np.testing.assert_allclose(packed, padded, rtol=1e-4, atol=1e-3)
    assert packed_tokens < 0.8 * sum(passes)


def test_what_a_pilot_spends_is_counted() -> None:
    few = run_pilot(policy(), pairs(24), probe_set(12), lora=LORA, most_probes=5, **STEPS)
    whole = run_pilot(policy(), pairs(24), probe_set(12), lora=LORA, **STEPS)
    assert (len(few.changes), len(whole.changes)) == (5, 12)
    assert few.tokens.trained == whole.tokens.trained > 0
    assert few.tokens.read < whole.tokens.read
    assert few.tokens.generated == 0
    assert np.isfinite(few.changes).all()


def test_the_same_pilot_is_not_run_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    real = pilot_outcome.run_pilot

    def spy(*given: Any, **options: Any) -> Any:
        runs.append(1)
        return real(*given, **options)

    monkeypatch.setattr(pilot_outcome, "run_pilot", spy)
    stored = StoredParts(tmp_path)

    def outcome(count: int, steps: int = 1) -> Any:
        settings = PilotSettings(steps=steps, lr=1e-3, batch_size=4)
        return piloted(policy(), pairs(count), probe_set(4), settings, "all", None, 0, stored=stored)

    first = outcome(8)
    assert outcome(8) == first
    assert len(runs) == 1
    assert first.seconds is not None
    assert first.tokens_trained > 0
    assert first.tokens_generated > 0
    outcome(8, steps=2)
    outcome(9)
    assert len(runs) == 3


def test_probes_of_a_large_model_are_read_before_and_after_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pilot_outcome.reading_of_probes(policy(), 8) == {"every": 1}
    monkeypatch.setattr(pilot_outcome, "LARGE", 1)
    assert pilot_outcome.reading_of_probes(policy(), 8) == {"every": 8, "most_probes": 64}


def test_all_prompts_are_asked_where_the_margin_of_some_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval of refusals, by which one decides, depends on how many prompts are asked."""
    monkeypatch.setattr(pilot_outcome, "LARGE", 1)
    monkeypatch.setattr(pilot_outcome, "MOST_PROBES", 5)
    settings = PilotSettings(steps=1, lr=1e-3, batch_size=4)
    outcome = piloted(policy(), pairs(8), probe_set(12), settings, "all", None, 0)
    assert outcome.margin_probes == 5
    assert outcome.scored + outcome.unscored == 12
    assert "the margin of 5 of them by" in pilot_text(outcome)
