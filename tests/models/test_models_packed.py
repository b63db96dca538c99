"""Texts packed into one row give the log-probabilities and gradients that a plain loop gives, one text at a time."""

from __future__ import annotations

from typing import Any

import pytest

from backfire.models.logps import layers_recomputed, logps_after
from backfire.models.packed import (
    Text,
    layout_of,
    packed_attention,
    packs,
    packs_of,
    response_text,
    run_packed,
    spans,
)
from checkpoints import configuration_of, tokenizer_of

PAIRS = [
    (list(range(5, 25)), [list(range(30, 60)), list(range(40, 45))]),
    ([3], [list(range(50, 70)), [7]]),
    (list(range(100, 104)), [list(range(200, 212))]),
]
WEIGHTS = [0.3, -0.7, 0.5, 1.0, -0.2]
FAMILIES = [("llama", {}), ("mistral", {"sliding_window": 8}), ("mistral", {}), ("qwen2", {})]


def model_of(family: str, **more: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(configuration_of(family, tokenizer_of(family), **more)).train()


def by_loop(model: Any) -> list[Any]:
    """Summed log-probability of each response, by a forward pass of its own."""
    import torch

    sums = []
    for prompt, responses in PAIRS:
        for response in responses:
            ids = torch.tensor([prompt + response])
            logps = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])
            sums.append(logps[len(prompt) - 1 :].sum())
    return sums


def by_pack(model: Any) -> list[Any]:
    import torch

    texts = [response_text(*pair) for pair in PAIRS]
    passed = run_packed(model, texts)
    where = [span for every in spans(layout_of(texts)) for span in every]
    targets = torch.tensor([token for _, responses in PAIRS for ids in responses for token in ids])
    logps, likeliest = logps_after(model, passed, [(0, *span) for span in where], targets, greedy=True)
    assert likeliest is not None
    assert likeliest.shape == targets.shape
    return [part.sum() for part in logps.split([end - begin for begin, end in where])]


@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("frozen_head", [False, True])
@pytest.mark.parametrize(("family", "more"), FAMILIES)
def test_log_probabilities_and_gradients_are_those_of_a_loop(
    family: str, more: dict[str, Any], frozen_head: bool, recomputed: bool
) -> None:
    model = model_of(family, **more)
    model.lm_head.weight.requires_grad_(not frozen_head)
    expected = by_loop(model)
    sum(w * s for w, s in zip(WEIGHTS, expected, strict=True)).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    assert packs(model)
    with packed_attention(model):
        if recomputed:
            with layers_recomputed(model):
                sums = by_pack(model)
                sum(w * s for w, s in zip(WEIGHTS, sums, strict=True)).backward()
        else:
            sums = by_pack(model)
            sum(w * s for w, s in zip(WEIGHTS, sums, strict=True)).backward()
    assert [float(s) for s in sums] == pytest.approx([float(s) for s in expected], abs=1e-4)
    assert gradients.keys() == {name for name, p in model.named_parameters() if p.grad is not None}
    for name, p in model.named_parameters():
        if p.grad is not None:
            assert float((p.grad - gradients[name]).abs().max()) <= 1e-5 * float(gradients[name].abs().max())


@pytest.mark.parametrize(("family", "more"), FAMILIES)
def test_what_is_not_packed_is_computed_as_ever(family: str, more: dict[str, Any]) -> None:
    import torch

    model = model_of(family, **more)
    ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12, 13, 14], [0, 0, 0, 8, 9, 10, 11, 12, 13, 14]])
    mask = (ids != 0).long()
    with torch.no_grad():
        expected = model(ids, attention_mask=mask).logits
        with packed_attention(model):
            there = model(ids, attention_mask=mask).logits
    assert bool((expected == there)[mask.bool()].all())
    assert model.config._attn_implementation == "sdpa"


def test_a_model_of_other_attention_is_not_packed() -> None:
    from transformers import AutoModelForCausalLM, BloomConfig

    model = model_of("llama")
    model.set_attn_implementation("eager")
    assert not packs(model)
    small = BloomConfig(vocab_size=64, hidden_size=16, n_layer=1, n_head=2)
    assert not packs(AutoModelForCausalLM.from_config(small))


def test_a_wrong_packing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were positions not those of the text by itself, the look at one text would say so."""
    from backfire.models import packed

    right = packed.run
    monkeypatch.setattr(
        packed,
        "run",
        lambda *given, position_ids=None, **more: (
            right(*given, **more)
            if position_ids is None
            else right(*given, position_ids=position_ids * 0, **more)
        ),
    )
    assert not packs(model_of("llama"))


def test_rows_are_filled_in_order() -> None:
    texts = [Text([1] * 3, [[2] * 2]), Text([], [[1] * 4]), Text([], [[1] * 9]), Text([], [[1]])]
    assert list(packs_of(texts, 9)) == [[0, 1], [2], [3]]
    assert list(packs_of(texts, 1)) == [[0], [1], [2], [3]]
    assert list(packs_of(texts, 100, 3)) == [[0, 1, 2], [3]]


@pytest.mark.parametrize("kind", ["prompt", "lora", "dropout"])
def test_an_adapter_is_looked_at_together_with_its_model(kind: str) -> None:
    """One that puts tokens of its own before a text is not packed; dropout does not hide that one of LoRA is."""
    from peft import LoraConfig, PromptTuningConfig, get_peft_model

    model = model_of("llama")
    assert packs(model)
    config = (
        PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
        if kind == "prompt"
        else LoraConfig(
            r=2,
            init_lora_weights=False,
            task_type="CAUSAL_LM",
            lora_dropout=0.5 if kind == "dropout" else 0.0,
        )
    )
    adapted = get_peft_model(model, config)
    adapted.train()
    assert packs(adapted) == (kind != "prompt")
    assert adapted.training
