"""Inner products of shards' gradients: all that is ever stored of them.

A shard is a part of the data or of the probes. Only the sums of its margins' gradients are formed, never a single
pair's. The sums of one block of parameters are held at a time, in main memory, as many bytes of them as
`models.memory.kept_room` allows; more blocks mean more passes over the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from backfire.errors import InputError
from backfire.influence.kept import KeptGradients
from backfire.influence.margins import Encoded, Progress, add_gradients
from backfire.influence.parameters import Trained
from backfire.influence.tangent import Tangent, applies, tangent
from backfire.models.memory import kept_room

if TYPE_CHECKING:
    from backfire.models import LocalModel

COLUMNS = 2**18
"""Parameters that are widened to float64 at a time."""
MOST_PASSES = 64
"""Over the data; where gradients need more to fit, other parameters have to be chosen."""
EPSILON = 1e-8
"""Adam's own."""

Block = Sequence[tuple[str, Any, int, int]]
"""Parts of parameters: name, tensor, first and last number of it, flattened."""


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
    direction: tuple[list[Any], float] | None
    """Of the shards `toward`: a vector of length 1 in the trained parameters, and the length that it had for a mean."""
    values: list[NDArray[np.float64]] | None
    """Of each data shard, its contrasts' derivatives along that direction; None where one pass does not give them."""


def gradient_products(
    model: LocalModel,
    shards: Sequence[Encoded],
    of_data: NDArray[np.bool_],
    trained: Trained,
    *,
    toward: NDArray[np.bool_] | None = None,
    precondition: Literal["adam"] | None = None,
    batch_size: int = 32,
    stored: KeptGradients | None = None,
    progress: Progress | None = None,
) -> Products:
    """Inner products of every two shards' gradients, summed in float64.

    `of_data` marks the data's shards, `toward` those whose summed gradient is the direction that single pairs are read
    along: of LoRA in the same pass (`tangent`). With `precondition` "adam" these stand for Adam's step instead of the
    gradient: each is divided by the root of its parameter's second moment, estimated as the mean square of the shards'
    gradients, and the probes stay plain, as in LESS (Xia et al. 2024, section 3.1). `stored` has or gets the probes' sums.
    Raises InputError where gradients fit in so small parts only that it would take more than MOST_PASSES.
    """
    import torch

    blocks = _blocks(trained, len(shards), kept_room(model.model))
    gram = np.zeros((len(shards), len(shards)))
    signs = np.zeros(len(shards))
    wanted = np.zeros(len(shards), dtype=bool) if toward is None else toward
    contrasts = sum(int(shards[k].usable.sum()) for k in np.flatnonzero(wanted).tolist())
    parts: list[Any] = []
    values: dict[int, NDArray[np.float64]] = {}
    done, total = 0, len(blocks) * len(shards)
    for block in blocks:
        for _, p in trained.named:
            p.requires_grad_(any(p is q for _, q, _, _ in block))
        width = sum(end - start for _, _, start, end in block)
        sums = torch.zeros((len(shards), width), dtype=block[0][1].dtype)
        for k in np.flatnonzero(~of_data).tolist():
            sums[k] = _summed(model, shards[k], trained.how, block, batch_size, stored)
            done += 1
            if progress is not None:
                progress(done, total)
        parts.append(sums[np.flatnonzero(wanted)].sum(0))
        steps = None
        if toward is not None and len(blocks) == 1 and applies(trained):
            steps = _unit(model, parts, trained, contrasts)[0]
        with nullcontext() if steps is None else tangent(model, trained, steps) as along:
            for k in np.flatnonzero(of_data).tolist():
                sums[k] = _summed(model, shards[k], trained.how, block, batch_size, None, along, values, k)
                done += 1
                if progress is not None:
                    progress(done, total)
        _accumulate(sums, of_data, precondition, gram, signs)
    for _, p in trained.named:
        p.grad = None
        p.requires_grad_(True)
    counts = np.array([int(shard.usable.sum()) for shard in shards], dtype=np.int64)
    unit = None if toward is None else _unit(model, parts, trained, contrasts)
    each = [values[k] for k in np.flatnonzero(of_data).tolist()] if values else None
    return Products(gram, signs, counts, trained.count, unit, each)


def direction(
    model: LocalModel,
    probes: Encoded,
    trained: Trained,
    *,
    batch_size: int = 32,
    stored: KeptGradients | None = None,
) -> tuple[list[Any], float]:
    """The gradient of the mean probe margin, of length 1, and the length that it had (nats per unit of parameters)."""
    whole = [(name, p, 0, p.numel()) for name, p in trained.named]
    flat = _summed(model, probes, trained.how, whole, batch_size, stored)
    for _, p in trained.named:
        p.grad = None
    return _unit(model, [flat], trained, int(probes.usable.sum()))


def _unit(
    model: LocalModel, parts: Sequence[Any], trained: Trained, contrasts: int
) -> tuple[list[Any], float]:
    """A summed gradient, given flat and in parts, as a mean one of length 1 in the parameters' shapes; and its length."""
    import torch

    flat = torch.cat(list(parts))
    vectors = [
        part.reshape(p.shape).to(p.device, p.dtype) / max(1, contrasts)
        for part, (_, p) in zip(
            torch.split(flat, [p.numel() for _, p in trained.named]), trained.named, strict=True
        )
    ]
    length = sum(float((v.double() ** 2).sum()) for v in vectors) ** 0.5
    if length == 0 or not np.isfinite(length):
        raise InputError(
            f"the probe margin has a gradient of length {length} under {model.name}: nothing moves it; "
            "take other parameters, or probes whose two sides differ"
        )
    return [v.div_(length) for v in vectors], length


def _summed(
    model: LocalModel,
    shard: Encoded,
    how: str,
    block: Block,
    batch_size: int,
    stored: KeptGradients | None,
    along: Tangent | None = None,
    values: dict[int, NDArray[np.float64]] | None = None,
    place: int = 0,
) -> Any:
    """The gradient of the sum of the shard's margins in this block: a flat tensor in main memory.

    With `along`, the contrasts' derivatives are put into `values` at `place`.
    """
    import torch

    def compute() -> Any:
        for _, p, _, _ in block:
            p.grad = None
        each = None
        if shard.rows:
            each = add_gradients(model, shard, batch_size=batch_size, along=along)
        if along is not None and values is not None:
            values[place] = np.full(shard.count, np.nan) if each is None else each
        return torch.cat([_gradient(p, start, end) for _, p, start, end in block])

    return compute() if stored is None else stored.sum_of(model, how, block, shard, compute)


def _gradient(p: Any, start: int, end: int) -> Any:
    import torch

    if p.grad is None:
        return torch.zeros(end - start, dtype=p.dtype)
    return p.grad.detach().reshape(-1)[start:end].cpu()


def _blocks(trained: Trained, shards: int, most_bytes: int) -> list[list[tuple[str, Any, int, int]]]:
    """Consecutive parts of the parameters whose shards' gradients fit the room."""
    most = max(1, most_bytes // (shards * max(p.element_size() for _, p in trained.named)))
    passes = -(-trained.count // most)
    if passes > MOST_PASSES:
        raise InputError(
            f"the gradients of {shards} shards in {trained.count:,} parameters fit memory in {passes} parts, each of which "
            "takes a pass over the data: train `lora`, or a part of the model by name"
        )
    blocks: list[list[tuple[str, Any, int, int]]] = [[]]
    left = most
    for name, p in trained.named:
        start = 0
        while start < p.numel():
            if not left:
                blocks.append([])
                left = most
            end = min(p.numel(), start + left)
            blocks[-1].append((name, p, start, end))
            left -= end - start
            start = end
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
