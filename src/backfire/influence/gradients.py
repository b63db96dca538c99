"""Inner products of shards' gradients: all that is ever kept of them.

A shard is a part of the data or of the probes. Only the sums of its margins' gradients are formed, never a single
pair's. The sums of one block of parameters are held at a time, in main memory, and at most as many bytes of them as
the model itself has (or a gigabyte); more blocks mean more passes over the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from backfire.errors import InputError
from backfire.influence.kept import KeptGradients
from backfire.influence.margins import Encoded, Progress, add_gradients
from backfire.influence.parameters import Trained

if TYPE_CHECKING:
    from backfire.models import LocalModel

GIGABYTE = 2**30
COLUMNS = 2**18
"""Parameters that are widened to float64 at a time."""
EPSILON = 1e-8
"""Adam's own."""


@dataclass(frozen=True, eq=False)
class Products:
    """Inner products of the shards' summed gradients."""

    gram: NDArray[np.float64]
    """[shards, shards]."""
    signs: NDArray[np.float64]
    """With the sign of the whole data set's gradient, as Adam's first step has it: [shards]."""
    counts: NDArray[np.int64]
    """Contrasts of each shard: [shards]."""
    parameters: int


def gradient_products(
    model: LocalModel,
    shards: Sequence[Encoded],
    of_data: NDArray[np.bool_],
    trained: Trained,
    *,
    precondition: Literal["adam"] | None = None,
    batch_size: int = 32,
    kept: KeptGradients | None = None,
    progress: Progress | None = None,
) -> Products:
    """Inner products of every two shards' gradients, summed in float64.

    `of_data` marks the data's shards. With `precondition` "adam" these stand for Adam's step instead of the gradient:
    each is divided by the root of its parameter's second moment, estimated as the mean square of the shards' gradients,
    and the probes stay plain, as in LESS (Xia et al. 2024, section 3.1). `kept` has or gets the probes' sums. Raises
    InputError where one tensor alone needs too much memory.
    """
    import torch

    blocks = _blocks(trained, len(shards), _room(model))
    gram = np.zeros((len(shards), len(shards)))
    signs = np.zeros(len(shards))
    done, total = 0, len(blocks) * len(shards)
    for block in blocks:
        for _, p in trained.named:
            p.requires_grad_(any(p is q for _, q in block))
        width = sum(p.numel() for _, p in block)
        sums = torch.zeros((len(shards), width), dtype=block[0][1].dtype)
        for k, shard in enumerate(shards):
            where = None if of_data[k] else kept
            sums[k] = _summed(model, shard, trained.how, block, batch_size, where)
            done += 1
            if progress is not None:
                progress(done, total)
        _accumulate(sums, of_data, precondition, gram, signs)
    for _, p in trained.named:
        p.grad = None
        p.requires_grad_(True)
    counts = np.array([int(shard.usable.sum()) for shard in shards], dtype=np.int64)
    return Products(gram, signs, counts, trained.count)


def direction(
    model: LocalModel,
    probes: Encoded,
    trained: Trained,
    *,
    batch_size: int = 32,
    kept: KeptGradients | None = None,
) -> tuple[list[Any], float]:
    """The gradient of the mean probe margin, of length 1, and the length that it had (nats per unit of parameters)."""
    flat = _summed(model, probes, trained.how, trained.named, batch_size, kept)
    count = max(1, int(probes.usable.sum()))
    parts = flat.split([p.numel() for _, p in trained.named])
    found = [
        part.reshape(p.shape).to(p.device, p.dtype) / count
        for part, (_, p) in zip(parts, trained.named, strict=True)
    ]
    length = sum(float((v.double() ** 2).sum()) for v in found) ** 0.5
    for _, p in trained.named:
        p.grad = None
    if length == 0 or not np.isfinite(length):
        raise InputError(
            f"the probe margin has a gradient of length {length} under {model.name}: nothing moves it; "
            "take other parameters, or probes whose two sides differ"
        )
    return [v / length for v in found], length


def _summed(
    model: LocalModel,
    shard: Encoded,
    how: str,
    parameters: Sequence[tuple[str, Any]],
    batch_size: int,
    kept: KeptGradients | None,
) -> Any:
    """The gradient of the sum of the shard's margins in these parameters: a flat tensor in main memory."""
    import torch

    def compute() -> Any:
        for _, p in parameters:
            p.grad = None
        if shard.rows:
            add_gradients(model, shard, batch_size=batch_size)
        return torch.cat([_gradient(p) for _, p in parameters])

    return compute() if kept is None else kept.sum_of(model, how, parameters, shard, compute)


def _gradient(p: Any) -> Any:
    import torch

    found = torch.zeros_like(p) if p.grad is None else p.grad.detach()
    return found.reshape(-1).cpu()


def _room(model: LocalModel) -> int:
    return max(GIGABYTE, sum(int(p.numel() * p.element_size()) for p in model.model.parameters()))


def _blocks(trained: Trained, shards: int, room: int) -> list[list[tuple[str, Any]]]:
    """Consecutive parameters whose shards' gradients fit the room."""
    blocks: list[list[tuple[str, Any]]] = []
    used = room + 1
    for name, p in trained.named:
        needed = p.numel() * p.element_size() * shards
        if needed > room:
            raise InputError(
                f"{shards} shards of {name} alone take {needed / GIGABYTE:.1f} GiB, more than the model: "
                "train `lora`, or a part of the model by name"
            )
        if used + needed > room:
            blocks.append([])
            used = 0
        blocks[-1].append((name, p))
        used += needed
    return blocks


def _accumulate(
    sums: Any,
    of_data: NDArray[np.bool_],
    precondition: str | None,
    gram: NDArray[np.float64],
    signs: NDArray[np.float64],
) -> None:
    for start in range(0, sums.shape[1], COLUMNS):
        part = sums[:, start : start + COLUMNS].double().numpy()
        signs += part @ np.sign(part[of_data].sum(axis=0))
        if precondition == "adam":
            part[of_data] /= np.sqrt((part[of_data] ** 2).mean(axis=0)) + EPSILON
        gram += part @ part.T
