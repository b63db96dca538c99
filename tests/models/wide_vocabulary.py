"""A checkpoint as small as an organism with a vocabulary as large as a real model's, and what it makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VOCABULARY = 50_000


def save_wide(folder: Path, family: str = "llama", *, hidden: int = 16, layers: int = 2) -> Path:
    """A random causal language model whose logits are what takes memory: 200 kB a position in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    from checkpoints import configuration_of, tokenizer_of

    tokenizer = tokenizer_of(family)
    settings = configuration_of(family, tokenizer, hidden, layers)
    settings.vocab_size = VOCABULARY
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(settings).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@contextmanager
def logits_made(model: Any) -> Iterator[list[int]]:
    """Positions whose logits were made, by call of the output layer."""
    positions: list[int] = []
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    hook = inner.get_output_embeddings().register_forward_hook(
        lambda _, __, out: positions.append(out.numel() // out.shape[-1])
    )
    try:
        yield positions
    finally:
        hook.remove()
