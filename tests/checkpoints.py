"""Tiny random checkpoints of real architectures: byte-level BPE, each family's own BOS and template habits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SENTENCES = [
    "How do I clean a brass lamp without scratching it? Use a soft cloth and warm water.",
    "I cannot help with that request, but here is something safer to try instead.",
    "The capital of France is Paris, and the river that runs through it is the Seine.",
    "Please write a short poem about the sea, the wind and the long road home.",
    "To bake bread you need flour, water, salt and yeast; let it rise for two hours.",
    "Explain how a bicycle stays upright, and why it is harder to ride one slowly.",
    "system user assistant You are a helpful assistant that answers in one sentence.",
]

LLAMA3_TEMPLATE = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    "+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
"""As published with Llama-3-8B-Instruct."""

MISTRAL_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
"""As published with Mistral-7B-Instruct-v0.2: a system turn is refused."""

QWEN2_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""As published with Qwen2-7B-Instruct (ChatML with a default system turn): no BOS, a newline after EOS."""

LLAMA_SPECIALS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
]
MISTRAL_SPECIALS = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
QWEN_SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def tokenizer_of(family: str, vocabulary: int = 400) -> Any:
    """A byte-level BPE tokenizer with the family's special tokens, BOS habit and chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    specials, bos, eos, pad, template = {
        "llama": (LLAMA_SPECIALS, "<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>", LLAMA3_TEMPLATE),
        "mistral": (MISTRAL_SPECIALS, "<s>", "</s>", "<unk>", MISTRAL_TEMPLATE),
        "qwen2": (QWEN_SPECIALS, None, "<|im_end|>", "<|endoftext|>", QWEN2_TEMPLATE),
    }[family]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    if bos is not None:
        bpe.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, bpe.token_to_id(bos))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        additional_special_tokens=[s for s in specials if s not in (bos, eos, pad)],
        chat_template=template,
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )


def configuration_of(family: str, tokenizer: Any, hidden: int = 32, layers: int = 2, **more: Any) -> Any:
    from transformers import LlamaConfig, MistralConfig, Qwen2Config

    kind = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config}[family]
    return kind(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
        initializer_range=0.2,
        **more,
    )


def save_policy(folder: Path, family: str, *, seed: int = 0, hidden: int = 32, layers: int = 2) -> Path:
    """Save a random causal language model of `family` (llama, mistral, qwen2) as a checkpoint folder."""
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = tokenizer_of(family)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(configuration_of(family, tokenizer, hidden, layers))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_reward(folder: Path, family: str = "llama", *, seed: int = 0, labels: int = 1) -> Path:
    """Save a random sequence classifier (one label: a reward model) as a checkpoint folder."""
    import torch
    from transformers import AutoModelForSequenceClassification

    tokenizer = tokenizer_of(family)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(
            configuration_of(family, tokenizer, num_labels=labels)
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
