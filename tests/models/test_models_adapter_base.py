"""An adapter says which weights it was trained on, and is not put on others of the same shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from backfire.errors import ModelError
from backfire.models import open_adapters, open_model
from backfire.models.adapter_base import FILE, weights_digest, write_base


def adapter_of(base: Path, folder: Path) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    weights = weights_digest(model)
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    get_peft_model(model, config).save_pretrained(folder)
    write_base(folder, policy="the-base", weights=weights)
    return folder


def saved(
    base: Path, folder: Path, *, changed: float = 0.0, dtype: str = "float32", shard: str = "50GB"
) -> Path:
    """The base, saved otherwise; `changed` is added to its last weight matrix."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        model.model.layers[-1].mlp.down_proj.weight += changed
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shard)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def test_another_base_of_the_same_shape_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    adapter = adapter_of(tiny_llama, tmp_path / "adapter")
    other = saved(tiny_llama, tmp_path / "other", changed=0.01)
    with pytest.raises(ModelError, match=r"was trained on the-base, whose weights are not those of .*other"):
        open_model(other, adapter=adapter)
    with pytest.raises(ModelError, match="was trained on the-base"):
        list(open_adapters(other, [adapter]))
    (adapter / FILE).unlink()
    open_model(other, adapter=adapter)


def test_the_same_base_opens_however_it_is_saved(tiny_llama: Path, tmp_path: Path) -> None:
    adapter = adapter_of(tiny_llama, tmp_path / "adapter")
    for n, how in enumerate([{"shard": "20KB"}, {"dtype": "bfloat16"}, {"dtype": "float16"}]):
        open_model(saved(tiny_llama, tmp_path / str(n), **how), adapter=adapter)
    opened = [model.name for model in open_adapters(tiny_llama, [adapter, adapter])]
    assert len(opened) == 2


def test_a_file_that_says_nothing_is_an_error(tiny_llama: Path, tmp_path: Path) -> None:
    adapter = adapter_of(tiny_llama, tmp_path / "adapter")
    (adapter / FILE).write_text(json.dumps({"policy": 3}))
    with pytest.raises(ModelError, match="does not say what the adapter was trained on"):
        open_model(tiny_llama, adapter=adapter)
