"""A GGUF file opens as the checkpoint that it was made from does, or says why it does not."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from backfire.errors import ModelError, TemplateError
from backfire.models import LocalModel, memory, open_embedder, open_model, open_reward_model, open_tokens
from backfire.models.opening import reference_digest
from backfire.records import Decoding, Prompt, Request
from checkpoints import configuration_of, tokenizer_of

pytest.importorskip("gguf")
from gguf_files import save_gguf

PROMPT = Prompt.of("How do I clean a brass lamp?")
CONVERSATIONS = [(PROMPT, "Use a soft cloth."), (Prompt.of("Hi"), "I cannot help with that.")]


@pytest.fixture(params=["tiny_llama", "tiny_mistral", "tiny_qwen2"])
def checkpoint(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


def opened(reference: Path | str, **how: Any) -> LocalModel:
    model = open_model(reference, **how)
    assert isinstance(model, LocalModel)
    return model


def test_a_file_opens_as_its_checkpoint_does(checkpoint: Path, tmp_path: Path) -> None:
    file = save_gguf(checkpoint, tmp_path / "tiny.gguf")
    theirs, ours = opened(checkpoint), opened(file)
    assert ours.name == str(file)
    assert ours.model.dtype == torch.float32
    assert ours.template.tokenizer.chat_template == theirs.template.tokenizer.chat_template
    ids = theirs.template.prompt_ids([PROMPT])
    assert ours.template.prompt_ids([PROMPT]) == ids
    with torch.inference_mode():
        tokens = torch.tensor(ids)
        assert torch.equal(ours.model(tokens).logits, theirs.model(tokens).logits)
    np.testing.assert_array_equal(ours.logps(CONVERSATIONS), theirs.logps(CONVERSATIONS))
    decoding = Decoding(12, temperature=0)
    answers = [m.generate([Request(PROMPT, m.id, m.template_digest, decoding, 0, 0)]) for m in (theirs, ours)]
    assert answers[0] == answers[1]
    assert memory.Shape.of(ours.model) == memory.Shape.of(theirs.model)


def test_no_token_lies_beyond_the_models_vocabulary(checkpoint: Path, tmp_path: Path) -> None:
    """transformers builds the tokenizer by a class that adds a token of its own."""
    file = save_gguf(checkpoint, tmp_path / "tiny.gguf")
    model = opened(file)
    ids = model.tokenizer("<|endoftext|><unk></s> and text")["input_ids"]
    assert max(ids) < model.model.config.vocab_size
    model.tokenizer.save_pretrained(tmp_path / "saved")
    model.model.save_pretrained(tmp_path / "saved")
    again = opened(tmp_path / "saved")
    assert again.tokenizer("<|endoftext|><unk></s> and text")["input_ids"] == ids
    np.testing.assert_array_equal(again.logps(CONVERSATIONS), model.logps(CONVERSATIONS))


def test_the_id_is_of_the_contents(tiny_llama: Path, tmp_path: Path) -> None:
    file = save_gguf(tiny_llama, tmp_path / "one.gguf")
    moved = tmp_path / "elsewhere" / "other.gguf"
    moved.parent.mkdir()
    moved.write_bytes(file.read_bytes())
    assert opened(moved).id == opened(file).id
    assert reference_digest(moved) == reference_digest(file)
    packed = save_gguf(tiny_llama, tmp_path / "packed.gguf", quantization="Q8_0")
    assert opened(packed).id != opened(file).id


def test_what_lies_beside_a_file_is_not_read(tiny_llama: Path, tiny_qwen2: Path, tmp_path: Path) -> None:
    file = save_gguf(tiny_llama, tmp_path / "tiny.gguf")
    alone = opened(file)
    for other in tiny_qwen2.iterdir():
        (tmp_path / other.name).write_bytes(other.read_bytes())
    beside = opened(file)
    assert (beside.id, beside.template_digest) == (alone.id, alone.template_digest)
    assert beside.template.prompt_ids([PROMPT]) == alone.template.prompt_ids([PROMPT])
    assert beside.model.config.model_type == "llama"


def test_packed_weights_are_unpacked(tiny_llama: Path, tmp_path: Path) -> None:
    file = save_gguf(tiny_llama, tmp_path / "tiny.gguf", quantization="Q8_0")
    model, wide = opened(file), opened(file, dtype="float32")
    assert (model.model.dtype, wide.model.dtype) == (torch.bfloat16, torch.float32)
    assert model.id == wide.id
    assert memory.Shape.of(model.model).bytes == 2 * memory.Shape.of(model.model).parameters
    assert not hasattr(model.model.config, "quantization_config")
    np.testing.assert_allclose(wide.logps(CONVERSATIONS), opened(tiny_llama).logps(CONVERSATIONS), rtol=0.05)


def test_weights_stored_in_16_bits_keep_them(tiny_llama: Path, tmp_path: Path) -> None:
    file = save_gguf(tiny_llama, tmp_path / "tiny.gguf", quantization="F16")
    assert opened(file).model.dtype == torch.float16


def test_tokens_open_without_the_weights(tiny_qwen2: Path, tmp_path: Path) -> None:
    file = save_gguf(tiny_qwen2, tmp_path / "tiny.gguf")
    theirs, ours = open_tokens(tiny_qwen2), open_tokens(file)
    assert ours.context == theirs.context
    assert ours.template_digest == theirs.template_digest
    pairs = [((PROMPT, "Use a soft cloth.", "No."))]
    assert list(ours.render(pairs).rows("chosen")) == list(theirs.render(pairs).rows("chosen"))


@pytest.mark.parametrize("how", ["all", "lora"])
def test_training_from_a_file_writes_a_checkpoint(tiny_llama: Path, tmp_path: Path, how: str) -> None:
    pytest.importorskip("trl")
    from backfire.training import train_dpo

    file = save_gguf(tiny_llama, tmp_path / "tiny.gguf")
    pairs = tmp_path / "pairs.jsonl"
    turn = {
        "prompt": "How do I clean a brass lamp?",
        "chosen": "Use a soft cloth.",
        "rejected": "I cannot help.",
    }
    pairs.write_text(
        "".join(json.dumps({**turn, "prompt": f"{turn['prompt']} {n}"}) + "\n" for n in range(4))
    )
    with warnings.catch_warnings():
        # PEFT would ask the hub for the configuration of a base that is no checkpoint folder.
        warnings.filterwarnings("error", message="Could not find a config file")
        train_dpo(file, pairs, tmp_path / "out", parameters=how, epochs=1, batch_size=2, lr=1e-3)
    names = {one.name for one in (tmp_path / "out").iterdir()}
    trained = opened(tmp_path / "out")
    if how == "lora":
        assert "adapter_model.safetensors" in names
        settings = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
        assert settings["base_model_name_or_path"] == str(file)
    else:
        assert {"model.safetensors", "config.json", "chat_template.jinja"} <= names
    assert not any(name.endswith(".gguf") for name in names)
    before = opened(file)
    assert (trained.logps(CONVERSATIONS) != before.logps(CONVERSATIONS)).all()
    assert trained.template.prompt_ids([PROMPT]) == before.template.prompt_ids([PROMPT])


def test_scaled_positions_of_llama_31(tmp_path: Path) -> None:
    scaling = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0}
    scaling |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    tokenizer = tokenizer_of("llama")
    configuration = configuration_of("llama", tokenizer, hidden=128, rope_parameters=scaling)
    torch.manual_seed(0)
    folder = tmp_path / "scaled"
    AutoModelForCausalLM.from_config(configuration).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    factors = []
    for place in range(16):
        turns = 8192 / (2 * math.pi * 5e5 ** (place / 16))
        smooth = min(1.0, max(0.0, (turns - 1) / 3))
        factors.append(1 / ((1 - smooth) / 8 + smooth))
    file = save_gguf(folder, tmp_path / "scaled.gguf", tensors={"rope_freqs.weight": factors})
    model = opened(file)
    assert model.model.config.rope_parameters == scaling
    np.testing.assert_allclose(model.logps(CONVERSATIONS), opened(folder).logps(CONVERSATIONS), rtol=1e-6)
    odd = save_gguf(folder, tmp_path / "odd.gguf", tensors={"rope_freqs.weight": [1.0] * 8 + [3.0] * 8})
    with pytest.raises(ModelError, match=r"scales its rotary positions as no Llama model does.*safetensors"):
        open_model(odd)


def test_errors_name_the_fix(tiny_llama: Path, tmp_path: Path) -> None:
    file = save_gguf(tiny_llama, tmp_path / "tiny.gguf")
    whole = file.read_bytes()

    def refused(name: str, match: str, contents: bytes | None = None, **written: Any) -> None:
        path = tmp_path / name
        if contents is None:
            save_gguf(tiny_llama, path, **written)
        else:
            path.write_bytes(contents)
        with pytest.raises(ModelError, match=match):
            open_model(path)

    refused("text.gguf", "is not a GGUF file.*download it again", b"a text that is no model")
    refused("empty.gguf", "is not a GGUF file", b"")
    refused("head.gguf", "breaks off within its head: download it again", whole[:700])
    refused("cut.gguf", "weights end at byte .*cut off; download it again", whole[:-5000])
    refused("new.gguf", "architecture 'rwkv9', .*llama, .*safetensors checkpoint", architecture="rwkv9")
    yarn = {"llama.rope.scaling.type": "yarn"}
    refused("yarn.gguf", r"scales its rotary positions \(yarn\).*safetensors", texts=yarn)
    more = {"blk.0.ffn_gate_exps.weight": np.zeros((4, 8))}
    refused("more.gguf", "holds .* weights, and transformers makes a LlamaForCausalLM of", tensors=more)
    with pytest.raises(ModelError, match=r"no file '.*none\.gguf'.*org/model/file\.gguf"):
        open_model(tmp_path / "none.gguf")
    with pytest.raises(ModelError, match="which holds a language model: name the checkpoint folder of a seq"):
        open_reward_model(file)
    with pytest.raises(
        ModelError, match="which holds a language model: name the checkpoint folder of a text"
    ):
        open_embedder(file)
    with pytest.raises(ModelError, match=r"no config\.json: name the GGUF file in it"):
        open_model(tmp_path)


def test_a_file_without_a_template_takes_one(tiny_llama: Path, tmp_path: Path) -> None:
    file = save_gguf(tiny_llama, tmp_path / "bare.gguf", template=False)
    with pytest.raises(
        TemplateError, match=r"bare\.gguf: this tokenizer has no chat template: give one with"
    ):
        open_model(file)
    model = opened(file, chat_template=tiny_llama / "chat_template.jinja")
    assert model.template_digest == opened(tiny_llama).template_digest


def test_without_the_package_the_error_says_what_to_install(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save_gguf(tiny_llama, tmp_path / "lacking.gguf")
    monkeypatch.setattr("backfire.models.gguf.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'backfire\[gguf\]'"):
        open_model(file)
