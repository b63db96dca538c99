"""References, ids by content, adapters, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from backfire.errors import InputError, ModelError, TemplateError
from backfire.models import EndpointModel, open_embedder, open_model, open_reward_model
from backfire.models.opening import reference_digest
from backfire.records import Decoding, Prompt, Request
from checkpoints import MISTRAL_TEMPLATE, save_reward

CONVERSATIONS = [(Prompt.of("How do I bake bread?"), "You need flour, water, salt and yeast.")]


def copy(folder, to):
    return shutil.copytree(folder, to)


def test_importing_the_room_does_not_import_torch():
    code = "import sys, backfire.models, backfire.responses; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_id_is_of_contents_not_of_the_path(tiny_llama, tmp_path):
    first = open_model(tiny_llama)
    moved = copy(tiny_llama, tmp_path / "elsewhere")
    settings = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps(settings | {"_name_or_path": "/somewhere/else"}))
    (moved / "README.md").write_text("a card")
    (moved / "training.json").write_text("{}")
    (moved / "checkpoint-5").mkdir()
    second = open_model(moved)
    assert (second.id, second.template_digest) == (first.id, first.template_digest)
    assert second.name == str(moved)


def test_the_id_changes_with_weights_template_and_tokenizer(tiny_llama, tmp_path):
    ids = {open_model(tiny_llama).id}
    folder = copy(tiny_llama, tmp_path / "weights")
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"][0, 0] += 1e-3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    ids.add(open_model(folder).id)
    folder = copy(tiny_llama, tmp_path / "template")
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").write_text("{# the same, with a note #}" + template)
    ids.add(open_model(folder).id)
    folder = copy(tiny_llama, tmp_path / "tokenizer")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 99}))
    ids.add(open_model(folder).id)
    assert len(ids) == 4


def test_a_template_file_replaces_the_template_and_enters_the_id(tiny_llama, tmp_path):
    bare = copy(tiny_llama, tmp_path / "base")
    template = (bare / "chat_template.jinja").read_text()
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(TemplateError, match=r"base: this tokenizer has no chat template.*chat_template"):
        open_model(bare)
    (tmp_path / "llama3.jinja").write_text(template)
    (tmp_path / "mistral.jinja").write_text(MISTRAL_TEMPLATE)
    llama = open_model(bare, chat_template=tmp_path / "llama3.jinja")
    mistral = open_model(bare, chat_template=tmp_path / "mistral.jinja")
    assert (llama.system_role, mistral.system_role) == ("kept", "refused")
    assert llama.id != mistral.id
    assert llama.template_digest == open_model(tiny_llama).template_digest
    with pytest.raises(TemplateError, match=r"none\.jinja"):
        open_model(bare, chat_template=tmp_path / "none.jinja")


@pytest.fixture(scope="module")
def adapter(tiny_llama, tmp_path_factory):
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("peft") / "adapter"
    torch.manual_seed(3)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_llama),
        LoraConfig(r=4, lora_alpha=64, init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    model.save_pretrained(folder)
    return folder


def test_an_adapter_opens_by_its_folder_and_by_option(tiny_llama, adapter, tmp_path):
    base, own, named = open_model(tiny_llama), open_model(adapter), open_model(tiny_llama, adapter=adapter)
    assert own.id == named.id != base.id
    assert len({reference_digest(r) for r in (adapter, tiny_llama)}) == 2
    assert own.logps(CONVERSATIONS) == named.logps(CONVERSATIONS)
    assert abs(own.logps(CONVERSATIONS) - base.logps(CONVERSATIONS))[0] > 0.01
    assert own.hidden_states(CONVERSATIONS).shape == (1, 3, 32)
    request = Request(CONVERSATIONS[0][0], own.id, own.template_digest, Decoding(12, temperature=0), 0, 0)
    merged = AutoModelForCausalLM.from_pretrained(adapter)
    ids = torch.tensor(own.template.prompt_ids([request.prompt]))
    expected = merged.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    (answer,) = own.generate([request])
    assert own.tokenizer.decode(expected[0, ids.shape[1] :], skip_special_tokens=True) == answer.text
    moved = copy(adapter, tmp_path / "moved")
    settings = json.loads((moved / "adapter_config.json").read_text())
    (moved / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": "./gone"}))
    with pytest.raises(ModelError, match=r"adapts \./gone, which does not open.*with adapter"):
        open_model(moved)
    assert open_model(tiny_llama, adapter=moved).id == own.id


def test_an_adapter_of_another_shape_does_not_open(tiny_qwen2, adapter):
    folder = copy(adapter, adapter.parent / "misfit")
    weights = {k: v.repeat(2, 1) for k, v in load_file(folder / "adapter_model.safetensors").items()}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="does not fit"):
        open_model(tiny_qwen2, adapter=folder)


def test_pickles_are_not_opened(tiny_llama, tmp_path):
    folder = copy(tiny_llama, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pytorch_model\.bin: pickle files can run code.*save_pretrained"):
        open_model(folder)


def test_missing_weights_raise(tiny_llama, tmp_path):
    with pytest.raises(ModelError, match=r"lacks weights of LlamaForCausalLM.*lm_head\.weight"):
        open_model(save_reward(tmp_path / "classifier"))
    folder = copy(tiny_llama, tmp_path / "holed")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj"):
        open_model(folder)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("./no-such-folder", "there is no folder"),
        ("/no/such/folder", "there is no folder"),
        ("nobody/no-such-model", "neither a folder here nor a model"),
        ("what is this?", "neither a folder here nor a model"),
        ("", "is blank"),
        ("openai:", "openai:MODEL@http"),
    ],
)
def test_a_reference_that_names_nothing(reference, message):
    with pytest.raises(ModelError, match=message):
        open_model(reference)


def test_folders_that_are_no_checkpoints(tiny_llama, tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        open_model(tmp_path)
    with pytest.raises(ModelError, match="is a file"):
        open_model(tiny_llama / "config.json")
    folder = copy(tiny_llama, tmp_path / "broken")
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="is not JSON"):
        open_model(folder)
    with pytest.raises(InputError, match="dtype 'int3'"):
        open_model(tiny_llama, dtype="int3")


@pytest.mark.parametrize("device", ["nodev", "meta", "cuda:4096"])
@pytest.mark.parametrize("opening", [open_model, open_reward_model, open_embedder])
def test_a_device_that_cannot_be_used_is_named_before_anything_is_read(opening, device, tmp_path):
    with pytest.raises(InputError, match=f"device '{device}' cannot be used here.*cpu, cuda or auto"):
        opening(tmp_path, device=device)


def test_endpoint_references():
    model = open_model("openai:some/model@http://127.0.0.1:8000/v1/")
    assert isinstance(model, EndpointModel)
    assert (model.model, model.base_url) == ("some/model", "http://127.0.0.1:8000/v1")
    assert model.id != open_model("openai:some/model@http://127.0.0.1:8001/v1").id
    assert open_model("openai:gpt-4o").base_url == "https://api.openai.com/v1"
    with pytest.raises(InputError, match="carries credentials"):
        open_model("openai:m@http://me:secret@127.0.0.1/v1")
    with pytest.raises(InputError, match="leave out chat_template"):
        open_model("openai:gpt-4o", chat_template="x.jinja")


def test_a_position_bound_model_with_learned_positions_opens(tmp_path):
    """GPT-2: no BOS habit, bos equals eos, absolute positions, no `num_key_value_heads`."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from checkpoints import tokenizer_of

    tokenizer = tokenizer_of("qwen2")
    folder = tmp_path / "gpt2"
    torch.manual_seed(0)
    GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=128,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model = open_model(folder)
    alone = [model.logps([c])[0] for c in [*CONVERSATIONS, (Prompt.of("Hi"), "Yes")]]
    np.testing.assert_allclose(model.logps([*CONVERSATIONS, (Prompt.of("Hi"), "Yes")]), alone, rtol=1e-5)
    decoding = Decoding(10, temperature=0)
    together = [Request(p, model.id, "", decoding, 0, 0) for p in (CONVERSATIONS[0][0], Prompt.of("Hi"))]
    assert model.generate(together) == [model.generate([r])[0] for r in together]
