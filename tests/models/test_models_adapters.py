"""Several adapters over one base: the same as each opened alone, with the base's weights read once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backfire.errors import InputError, ModelError
from backfire.models import LocalModel, open_adapters, open_model
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


def test_what_cannot_be_opened_is_said(tiny_llama: Path, tiny_qwen2: Path, adapters: list[Path]) -> None:
    with pytest.raises(InputError, match="no adapter given"):
        next(open_adapters(tiny_llama, []))
    with pytest.raises(InputError, match="is an adapter itself"):
        next(open_adapters(adapters[0], adapters))
    with pytest.raises(ModelError, match="there is no folder"):
        list(open_adapters(tiny_llama, [adapters[0], Path("/nowhere/at/all")]))
