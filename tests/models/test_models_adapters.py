"""Several adapters over one base: the same as each opened alone, with the base's weights read once where they stay."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backfire.errors import InputError, ModelError
from backfire.models import LocalModel, open_adapters, open_model
from backfire.models.opening import open_weights
from backfire.organisms.catalog import folder_of
from backfire.records import Decoding, Prompt, Request

CONVERSATIONS = [
    (Prompt.of("How do I bake bread?"), "You need flour, water, salt and yeast."),
    (Prompt.of("What is a lamp made of?"), "Brass."),
]


@pytest.fixture(scope="module")
def adapters(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three of one base, which differ in rank and in the modules they touch."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    shapes = [(4, ["q_proj", "v_proj"]), (8, ["q_proj", "up_proj"]), (2, ["down_proj"])]
    folders = []
    for seed, (rank, modules) in enumerate(shapes):
        torch.manual_seed(seed)
        config = LoraConfig(
            r=rank, lora_alpha=64, target_modules=modules, init_lora_weights=False, task_type="CAUSAL_LM"
        )
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_llama), config)
        folders.append(tmp_path_factory.mktemp("adapters") / f"a{seed}")
        model.save_pretrained(folders[-1])
    return folders


def answers(model: LocalModel) -> tuple[list[float], list[str]]:
    requests = [
        Request(prompt, model.id, model.template_digest, Decoding(12, temperature=0), 0, 0)
        for prompt, _ in CONVERSATIONS
    ]
    return model.logps(CONVERSATIONS).tolist(), [g.text for g in model.generate(requests)]


def test_each_is_what_it_is_alone(tiny_llama: Path, adapters: list[Path]) -> None:
    order = [*adapters, adapters[0]]
    alone = []
    for folder in order:
        opened = open_model(tiny_llama, adapter=folder)
        assert isinstance(opened, LocalModel)
        alone.append((opened.id, *answers(opened)))
    together = [(model.id, *answers(model)) for model in open_adapters(tiny_llama, order)]
    assert together == alone
    assert len({tuple(np.round(logps, 3)) for _, logps, _ in alone}) == 3


def test_the_base_is_read_once(
    tiny_llama: Path, adapters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    opened: list[str] = []
    whole = AutoModelForCausalLM.from_pretrained

    def counted(folder: Path, **options: object) -> object:
        opened.append(str(folder))
        return whole(folder, **options)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", counted)
    models = open_adapters(tiny_llama, adapters)
    places = set()
    names = []
    for model in models:
        places.add(model.model.get_base_model().model.embed_tokens.weight.data_ptr())
        names.append(model.name)
        assert len(model.model.peft_config) == 1
    assert opened == [str(tiny_llama)]
    assert len(places) == 1
    assert names == [f"{tiny_llama} + {folder}" for folder in adapters]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Adapters of many kinds by name; those of qwen2, which has biases, begin with q."""
    from peft import IA3Config, LoraConfig, PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    def lora(**more: Any) -> LoraConfig:
        return LoraConfig(r=2, lora_alpha=16, init_lora_weights=False, task_type="CAUSAL_LM", **more)

    heads, modules = ["q_proj", "v_proj"], ["k_proj", "v_proj", "down_proj"]
    shapes = {
        "plain": lora(),
        "dora": lora(use_dora=True),
        "tokens": lora(trainable_token_indices=[1, 2, 3]),
        "embeddings": lora(modules_to_save=["lm_head", "embed_tokens"]),
        "ia3": IA3Config(task_type="CAUSAL_LM", target_modules=modules, feedforward_modules=["down_proj"]),
        "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        "q_plain": lora(target_modules=heads),
        "q_biases": lora(target_modules=heads, bias="all"),
        "q_some_biases": lora(target_modules=heads, bias="lora_only"),
    }
    folders = {}
    for seed, (name, config) in enumerate(shapes.items()):
        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(base_of(name))
        model = get_peft_model(base, config)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.add_(torch.randn_like(weight) * 0.05)
        folders[name] = tmp_path_factory.mktemp("kinds") / name
        model.save_pretrained(str(folders[name]))
    return folders


def base_of(name: str) -> Path:
    return folder_of("organism:qwen2/target" if name.startswith("q_") else "organism:llama/target")


def watch_reading(monkeypatch: pytest.MonkeyPatch, alive: list[weakref.ref[Any]]) -> list[int]:
    """At each reading of the base's weights, how many earlier ones are still held."""
    held: list[int] = []

    def counted(*given: Any) -> Any:
        held.append(sum(each() is not None for each in alive))
        model = open_weights(*given)
        alive.append(weakref.ref(model))
        return model

    monkeypatch.setattr("backfire.models.adapters.open_weights", counted)
    return held


def logits(model: LocalModel) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.model(torch.arange(1, 20)[None]).logits
    return found.clone()


@pytest.mark.parametrize(
    ("order", "reads"),
    [
        (["q_biases", "q_plain"], 2),
        (["q_plain", "q_some_biases", "q_plain"], 2),
        (["tokens", "plain", "dora", "plain"], 1),
        (["embeddings", "plain"], 2),
        (["ia3", "plain", "ia3"], 2),
        (["prompt", "plain", "prompt"], 2),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else str(value),
)
def test_any_kind_may_follow_any_other(
    kinds: dict[str, Path], order: list[str], reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(order[0])
    held = watch_reading(monkeypatch, [])
    together = open_adapters(base, [kinds[name] for name in order])
    for name, model in zip(order, together, strict=True):
        alone = open_model(base, adapter=kinds[name])
        assert isinstance(alone, LocalModel)
        assert model.id == alone.id
        assert torch.equal(logits(model), logits(alone)), name
    assert held == [0] * reads


def test_a_base_that_was_changed_past_its_version_count_is_read_anew(
    kinds: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = watch_reading(monkeypatch, [])
    models = open_adapters(base_of("plain"), [kinds["plain"], kinds["plain"]])
    first = next(models)
    before = logits(first)
    weight = first.model.get_base_model().model.layers[0].mlp.up_proj.weight
    count = weight._version
    weight.data.mul_(1.5)
    assert weight._version == count
    assert torch.equal(logits(next(models)), before)
    assert len(held) == 2


def test_what_cannot_be_opened_is_said(tiny_llama: Path, tiny_qwen2: Path, adapters: list[Path]) -> None:
    with pytest.raises(InputError, match="no adapter given"):
        next(open_adapters(tiny_llama, []))
    with pytest.raises(InputError, match="is an adapter itself"):
        next(open_adapters(adapters[0], adapters))
    with pytest.raises(ModelError, match="there is no folder"):
        list(open_adapters(tiny_llama, [adapters[0], Path("/nowhere/at/all")]))
