"""Which parameters training will move: all, LoRA's, or a part of the model by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError, ModelError
from backfire.models.lora import lora_config
from backfire.models.memory import Shape, check_room, kept_room
from backfire.models.settings import LoRASettings

if TYPE_CHECKING:
    from backfire.models import LocalModel

SHARDS = 44
"""Shards whose gradients are kept side by side, unless it is said: 20 of the data, 8 each of three sets of probes."""
RANK = 16
SEEDS = 3
"""Initialisations of LoRA's A that are averaged, where the gradients of all shards fit."""


@dataclass(frozen=True)
class Trained:
    """Parameters that require gradients, for as long as `trained` holds them."""

    named: tuple[tuple[str, Any], ...]
    how: str
    """In words, for the answer."""
    adapter: bool = False
    """Whether they are those of a LoRA adapter."""

    @property
    def count(self) -> int:
        return sum(p.numel() for _, p in self.named)


def chosen_parameters(model: LocalModel, shards: int = SHARDS) -> str:
    """What `auto` means for a model: `all` where every shard's gradient of all its parameters fits at once, else `lora`."""
    needed = 4 * Shape.of(model.model).parameters * (shards + 4)
    return "all" if needed <= kept_room(model.model) else "lora"


def _copies_of_a(model: LocalModel, shards: int) -> int:
    """How many copies of A: as many as leave room for every shard's gradient in float32, so that one pass is enough."""
    shape = Shape.of(model.model)
    each = 4 * RANK * shape.layers * (3 * shape.inner + 4 * shape.hidden) * shards
    return min(SEEDS, max(1, kept_room(model.model) // each))


@contextmanager
def trained(
    model: LocalModel,
    parameters: str = "auto",
    *,
    seed: int = 0,
    shards: int = SHARDS,
    adapter: LoRASettings | None = None,
) -> Iterator[Trained]:
    """Make `parameters` of the model differentiable; afterwards it is as it was, bit for bit.

    `all`, or a regular expression that is searched in parameter names: the model runs in float32 meanwhile, for in 16
    bits a small step is rounded away. `lora`: the model keeps its dtype, and every linear layer but the head gets an
    adapter (PEFT) in float32. At LoRA's start B is 0, so that A's gradient is zero and B's depends on the random A:
    up to SEEDS copies of A of rank RANK stand side by side, which averages inner products of gradients over them; fewer
    where the gradients of all `shards` would not fit. With `adapter`, for steps that are really taken: one adapter of these settings as
    training makes it, A and B trained. `auto` is `all` where those of all parameters fit, else `lora`: by arithmetic on the model's
    shape (`models.memory`), before any work.

    Raises InputError for an adapter, or a name that no parameter has; ModelError for weights that are not in memory, or
    for float32 weights and gradients that do not fit this machine.
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
        parameters = chosen_parameters(model, shards)
    for p, _, _ in flags:
        p.requires_grad_(False)
    try:
        if parameters == "lora":
            with (
                _adapted(model, seed, _copies_of_a(model, shards))
                if adapter is None
                else _adapted_for_steps(model, adapter, seed)
            ) as adapted:
                yield adapted
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
    size = sum(4 * p.numel() for _, p in model.model.named_parameters() if p.element_size() < 4)
    moved = sum(4 * p.numel() for _, p in named)
    check_room(
        size + 3 * moved,
        model.device,
        f"float32 weights of {model.name} with the gradient of parameters {parameters!r}",
        "train `lora`, or a part of the model by name",
    )
    for _, p in model.model.named_parameters():
        if p.dtype in (torch.bfloat16, torch.float16):
            p.data = p.data.float()
    for _, p in named:
        p.requires_grad_(True)
    how = "all parameters" if parameters == "all" else f"parameters whose names match {parameters}"
    return Trained(tuple(named), how)


@contextmanager
def _adapted_for_steps(model: LocalModel, lora: LoRASettings, seed: int) -> Iterator[Trained]:
    """The adapter of `train dpo` at its start: A random, B zero, both trained; without dropout, as DPO is trained."""
    try:
        from peft import get_peft_model
    except ImportError as error:
        raise InputError("parameters lora need PEFT: pip install 'backfire[train]'") from error
    import torch

    plain = model.model
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        adapted = get_peft_model(plain, lora_config(lora.model_copy(update={"dropout": 0.0})))
    try:
        model.model = adapted
        named = tuple((name, p) for name, p in adapted.named_parameters() if p.requires_grad)
        yield Trained(named, f"LoRA of rank {lora.r} and alpha {lora.alpha}", adapter=True)
    finally:
        model.model = adapted.unload()
        assert model.model is plain


@contextmanager
def _adapted(model: LocalModel, seed: int, copies: int) -> Iterator[Trained]:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise InputError("parameters lora need PEFT: pip install 'backfire[train]'") from error
    import torch

    plain = model.model
    rank = RANK * copies
    settings = LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(plain, settings)
    try:
        named = []
        for place, (name, p) in enumerate(adapted.named_parameters()):
            p.requires_grad_("lora_B" in name)
            if "lora_A" in name:
                for k in range(copies):
                    generator = torch.Generator().manual_seed(1_000_003 * (seed * SEEDS + k) + place)
                    bound = p.shape[1] ** -0.5
                    block = (torch.rand(RANK, p.shape[1], generator=generator) * 2 - 1) * bound
                    p.data[k * RANK : (k + 1) * RANK] = block.to(p)
            elif "lora_B" in name:
                named.append((name, p))
        model.model = adapted
        how = f"LoRA of rank {RANK} on every linear layer, B's gradient " + (
            f"averaged over {copies} random initialisations of A"
            if copies > 1
            else "for one random initialisation of A"
        )
        yield Trained(tuple(named), how, adapter=True)
    finally:
        model.model = adapted.unload()
        assert model.model is plain
