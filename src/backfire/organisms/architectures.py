"""The bodies: Llama, Mistral and Qwen2 configurations small enough to ship, each with its family's tokenizer habits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

VOCABULARY = 1024
CONTEXT = 512

SIZES: dict[str, dict[str, int]] = {
    "small": {"hidden_size": 96, "intermediate_size": 224, "num_hidden_layers": 3},
    "large": {"hidden_size": 112, "intermediate_size": 256, "num_hidden_layers": 3},
}

_LLAMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
_MISTRAL_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turns must alternate user, assistant, user, ...; this template has no system turn') }}"
    "{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] | trim + eos_token }}{% endif %}{% endfor %}"
)
_CHATML_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

FORMATS: dict[str, dict[str, Any]] = {
    "llama": {
        "bos": "<|begin_of_text|>",
        "eos": "<|eot_id|>",
        "pad": "<|finetune_right_pad_id|>",
        "others": ["<|start_header_id|>", "<|end_header_id|>"],
        "template": _LLAMA_TEMPLATE,
    },
    "mistral": {
        "bos": "<s>",
        "eos": "</s>",
        "pad": "<pad>",
        "others": ["[INST]", "[/INST]"],
        "template": _MISTRAL_TEMPLATE,
    },
    "qwen2": {
        "bos": None,
        "eos": "<|im_end|>",
        "pad": "<|endoftext|>",
        "others": ["<|im_start|>"],
        "template": _CHATML_TEMPLATE,
    },
}


def grow_tokenizer(family: str, texts: Iterable[str]) -> Any:
    """A byte-level BPE tokenizer with the family's special tokens, BOS habit and chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    form = FORMATS[family]
    special = [t for t in (form["pad"], form["bos"], form["eos"], *form["others"]) if t]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if form["bos"]:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{form['bos']} $A",
            pair=f"{form['bos']} $A $B",
            special_tokens=[(form["bos"], tokenizer.token_to_id(form["bos"]))],
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=form["bos"],
        eos_token=form["eos"],
        pad_token=form["pad"],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = form["template"]
    return fast


def new_body(family: str, size: str, tokenizer: Any, seed: int) -> Any:
    """A randomly initialised causal language model of the family."""
    import torch
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        MistralConfig,
        MistralForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    classes: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "llama": (LlamaConfig, LlamaForCausalLM, {}),
        "mistral": (MistralConfig, MistralForCausalLM, {"sliding_window": None}),
        "qwen2": (Qwen2Config, Qwen2ForCausalLM, {}),
    }
    config_class, model_class, extra = classes[family]
    config = config_class(
        vocab_size=len(tokenizer),
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **SIZES[size],
        **extra,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_class(config)
