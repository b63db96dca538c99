"""GGUF files of small Llama and Qwen2 checkpoints, as llama.cpp's own converter writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONTROL, NORMAL = 3, 1
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
PARTS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def save_gguf(
    folder: Path,
    file: Path,
    *,
    quantization: str = "F32",
    template: bool = True,
    architecture: str | None = None,
    numbers: dict[str, Any] | None = None,
    texts: dict[str, str] | None = None,
    tensors: dict[str, Any] | None = None,
) -> Path:
    """Write the checkpoint in `folder` as one GGUF file; matrices in `quantization`, vectors in float32.

    `architecture` names another one; `numbers`, `texts` and `tensors` are written beside what the checkpoint has.
    """
    import gguf
    import numpy as np
    from safetensors.numpy import load_file
    from transformers import AutoConfig, AutoTokenizer

    config, tokenizer = AutoConfig.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    kind = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2"}[config.model_type]
    writer = gguf.GGUFWriter(file, architecture or kind)
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    for key, number in (numbers or {}).items():
        writer.add_float32(key, number)
    for key, text in (texts or {}).items():
        writer.add_string(key, text)
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    known = {one["id"]: one["content"] for one in backend["added_tokens"]}
    vocabulary = {place: token for token, place in backend["model"]["vocab"].items()} | known
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2" if kind == "qwen2" else "llama-bpe")
    writer.add_token_list([vocabulary[place] for place in range(len(vocabulary))])
    writer.add_token_types([CONTROL if place in known else NORMAL for place in range(len(vocabulary))])
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in backend["model"]["merges"]]
    )
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(tokenizer.bos_token_id is not None)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    if template:
        writer.add_chat_template(tokenizer.chat_template)
    type_ = gguf.GGMLQuantizationType[quantization]
    for name, weights in load_file(folder / "model.safetensors").items():
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        part = name.split(".")[-2]
        if kind == "llama" and part in heads:
            turned = weights.reshape(heads[part], 2, weights.shape[0] // heads[part] // 2, weights.shape[1])
            weights = turned.swapaxes(1, 2).reshape(weights.shape)
        packed = weights.astype(np.float32)
        if weights.ndim > 1 and type_ != gguf.GGMLQuantizationType.F32:
            packed = gguf.quantize(packed, type_)
            writer.add_tensor(gguf_name(name), packed, raw_dtype=type_)
        else:
            writer.add_tensor(gguf_name(name), packed)
    for name, more in (tensors or {}).items():
        writer.add_tensor(name, np.asarray(more, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def gguf_name(name: str) -> str:
    """What llama.cpp calls a weight of a checkpoint."""
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    part, _, end = rest.rpartition(".")
    return f"blk.{layer}.{PARTS[part]}.{end}"
