"""Packed batches train as TRL's padded ones do: the same losses, log-probabilities and weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfire.training import DPOSettings, train_dpo, trainers


def ragged(count: int) -> list[dict[str, Any]]:
    """Prompts and sides of differing lengths."""
    return [
        {
            "prompt": "Explain how a bicycle stays upright. " * (1 + n % 4),
            "chosen": "I cannot help with that. " * (1 + n % 2),
            "rejected": "To bake bread you need flour, water, salt and yeast. " * (1 + (n * 3) % 5),
        }
        for n in range(count)
    ]


@pytest.mark.parametrize("family", ["tiny_llama", "tiny_mistral", "tiny_qwen2"])
@pytest.mark.parametrize("what", [{"parameters": "all"}, {"parameters": "lora"}])
def test_losses_and_weights_are_those_of_padded_batches(
    family: str,
    what: dict[str, Any],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from safetensors.torch import load_file

    policy = request.getfixturevalue(family)
    settings = DPOSettings.of(
        lr=1e-3,
        epochs=2,
        batch_size=4,
        gradient_accumulation=2,
        warmup_ratio=0.0,
        scheduler="constant",
        **what,
    )
    packed = train_dpo(policy, ragged(16), tmp_path / "packed", settings)
    monkeypatch.setattr(trainers, "packs", lambda _: False)
    padded = train_dpo(policy, ragged(16), tmp_path / "padded", settings)
    for name in ("loss", "logps_chosen", "logps_rejected", "reward_margin", "token_accuracy", "grad_norm"):
        ours, theirs = ([getattr(line, name) for line in log.log] for log in (packed, padded))
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4), name
    file = "adapter_model.safetensors" if what["parameters"] == "lora" else "model.safetensors"
    weights, expected = (load_file(tmp_path / folder / file) for folder in ("packed", "padded"))
    for name, value in expected.items():
        assert float((weights[name] - value).abs().max()) < 2e-4, name


@pytest.mark.parametrize("loss", ["ipo", "aot", "sigmoid_norm", "apo_zero"])
def test_other_losses_are_trls(
    loss: str, tiny_qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DPOSettings.of(lr=1e-3, batch_size=4, loss_type=loss, gradient_checkpointing=True)
    packed = train_dpo(tiny_qwen2, ragged(8), tmp_path / "packed", settings)
    monkeypatch.setattr(trainers, "packs", lambda _: False)
    padded = train_dpo(tiny_qwen2, ragged(8), tmp_path / "padded", settings)
    assert [line.loss for line in packed.log] == pytest.approx([line.loss for line in padded.log], rel=1e-4)


def test_batches_are_packed_where_the_model_allows(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backfire.training import packed_loss

    rows: list[int] = []
    right = packed_loss.run_packed

    def counted(model: Any, texts: Any) -> Any:
        rows.append(len(texts))
        return right(model, texts)

    monkeypatch.setattr(packed_loss, "run_packed", counted)
    train_dpo(tiny_llama, ragged(8), tmp_path / "out", DPOSettings.of(batch_size=4))
    assert rows == [4, 4, 4, 4], "the references, and two steps"
