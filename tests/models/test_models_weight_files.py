"""What is opened is what the model's id covers: no pickle behind a decoy, no weights outside of the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from backfire.errors import ModelError
from backfire.models import open_model
from backfire.models.opening import reference_digest


def adapter_of(base: Path, folder: Path) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    return folder


def test_an_adapters_pickle_behind_a_decoy_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    import torch

    adapter = adapter_of(tiny_llama, tmp_path / "adapter")
    weights = adapter / "adapter_model.safetensors"
    torch.save(load_file(weights), adapter / "adapter_model.bin")
    open_model(tiny_llama, adapter=adapter)  # the pickle beside is not looked at
    weights.rename(adapter / "other.safetensors")
    with pytest.raises(
        ModelError, match=r"adapter without adapter_model.safetensors, beside other.safetensors"
    ):
        open_model(tiny_llama, adapter=adapter)


@pytest.mark.parametrize(
    "outside", ["../weights.safetensors", "{}/weights.safetensors", "sub/weights.safetensors"]
)
def test_an_index_that_points_outside_is_refused(tiny_llama: Path, tmp_path: Path, outside: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    (folder / "sub").mkdir()
    for place in (tmp_path, folder / "sub"):
        shutil.copy(folder / "model.safetensors", place / "weights.safetensors")
    names = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, outside.format(tmp_path))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="names weights outside of its folder"):
        open_model(folder)
    with pytest.raises(ModelError, match="names weights outside of its folder"):
        reference_digest(str(folder))


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 3}', "[" * 100_000, "\x00"])
def test_an_index_that_says_nothing_is_an_error(tiny_llama: Path, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder)
    (folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ModelError, match="does not say where the weights lie"):
        open_model(folder)


def test_a_sound_index_opens(tiny_llama: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(tiny_llama).save_pretrained(tmp_path, max_shard_size="20KB")
    AutoTokenizer.from_pretrained(tiny_llama).save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors.index.json").is_file()
    open_model(tmp_path)
