"""Which parameters training will move: all, LoRA's, or a part of the model by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError, ModelError

if TYPE_CHECKING:
    from backfire.models import LocalModel

LARGE = 500_000_000
"""Parameters beyond which `auto` means LoRA."""
RANK = 16
SEEDS = 3
"""Initialisations of LoRA's A that are averaged."""


@dataclass(frozen=True)
class Trained:
    """Parameters that require gradients, for as long as `trained` holds them."""

    named: tuple[tuple[str, Any], ...]
    how: str
    """In words, for the answer."""

    @property
    def count(self) -> int:
        return sum(p.numel() for _, p in self.named)


@contextmanager
def trained(model: LocalModel, parameters: str = "auto", *, seed: int = 0) -> Iterator[Trained]:
    """Make `parameters` of the model differentiable; afterwards it is as it was, bit for bit.

    `all`, or a regular expression that is searched in parameter names: the model runs in float32 meanwhile, for in 16
    bits a small step is rounded away. `lora`: the model keeps its dtype, and every linear layer but the head gets an
    adapter (PEFT) in float32. At LoRA's start B is 0, so that A's gradient is zero and B's depends on the random A:
    SEEDS draws of A of rank RANK stand side by side, which averages inner products of gradients over them. `auto`
    is `all` up to half a billion parameters, `lora` beyond.

    Raises InputError for an adapter, or a name that no parameter has; ModelError for weights that are not in memory.
    """
    torch_model = model.model
    if hasattr(torch_model, "peft_config"):
        raise InputError(
            f"policy {model.name} is an adapter, and training would start from a whole model: merge it into its base "
            "first (PEFT: merge_and_unload, then save_pretrained)"
        )
    if any(p.device.type == "meta" for p in torch_model.parameters()):
        raise ModelError(
            f"{model.name} is partly offloaded: gradients need its weights in memory (device, not disk)"
        )
    flags = [(p, p.requires_grad, p.dtype) for p in torch_model.parameters()]
    if parameters == "auto":
        parameters = "all" if sum(p.numel() for p, _, _ in flags) <= LARGE else "lora"
    for p, _, _ in flags:
        p.requires_grad_(False)
    try:
        if parameters == "lora":
            with _adapted(model, seed) as found:
                yield found
        else:
            yield _own(model, parameters)
    finally:
        for p, flag, dtype in flags:
            p.grad = None
            p.data = p.data.to(dtype)
            p.requires_grad_(flag)


def _own(model: LocalModel, parameters: str) -> Trained:
    import torch

    if parameters == "all":
        named = list(model.model.named_parameters())
    else:
        try:
            named = [(n, p) for n, p in model.model.named_parameters() if re.search(parameters, n)]
        except re.error as error:
            raise InputError(f"parameters {parameters!r} is no regular expression: {error}") from error
    if not named:
        some = [name for name, _ in model.model.named_parameters()]
        raise InputError(
            f"parameters {parameters!r}: no parameter of {model.name} has such a name; use all, lora, or a regular "
            f"expression for names such as {', '.join(some[-3:])}"
        )
    for _, p in model.model.named_parameters():
        if p.dtype in (torch.bfloat16, torch.float16):
            p.data = p.data.float()
    for _, p in named:
        p.requires_grad_(True)
    how = "all parameters" if parameters == "all" else f"parameters whose names match {parameters}"
    return Trained(tuple(named), how)


@contextmanager
def _adapted(model: LocalModel, seed: int) -> Iterator[Trained]:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise InputError("parameters lora need PEFT: pip install 'backfire[train]'") from error
    import torch

    plain = model.model
    rank = RANK * SEEDS
    settings = LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(plain, settings)
    try:
        named = []
        for place, (name, p) in enumerate(adapted.named_parameters()):
            p.requires_grad_("lora_B" in name)
            if "lora_A" in name:
                for k in range(SEEDS):
                    draw = torch.Generator().manual_seed(1_000_003 * (seed * SEEDS + k) + place)
                    bound = p.shape[1] ** -0.5
                    block = (torch.rand(RANK, p.shape[1], generator=draw) * 2 - 1) * bound
                    p.data[k * RANK : (k + 1) * RANK] = block.to(p)
            elif "lora_B" in name:
                named.append((name, p))
        model.model = adapted
        how = f"LoRA of rank {RANK} on every linear layer, B's gradient averaged over {SEEDS} draws of A"
        yield Trained(tuple(named), how)
    finally:
        model.model = adapted.unload()
        assert model.model is plain
