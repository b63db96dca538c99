"""Each pair's influence from two forward passes: the margins at parameters a small step either way along a direction.

The influence of pair i on the probe margin M is the inner product of its own margin's gradient with M's direction v,
<grad m_i, v> = lim [m_i(theta + eps v) - m_i(theta - eps v)] / (2 eps): no gradient of a single pair is formed. It is TracIn's
(Pruthi et al. 2020, eq. 1) and LESS's (Xia et al. 2024) term at the first step of DPO, whose loss has the gradient
-beta/2 grad m_i while policy and reference model are the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backfire.influence.gradients import direction
from backfire.influence.margins import (
    Contrast,
    Encoded,
    Progress,
    add_gradients,
    encode,
    margins,
    probe_contrasts,
)
from backfire.influence.parameters import Trained, trained
from backfire.influence.tangent import applies, tangent
from backfire.models.settings import MAX_LENGTH
from backfire.records import PairBody

if TYPE_CHECKING:
    from backfire.influence.probes import ProbeSet
    from backfire.models import LocalModel

CHUNK = 8192
"""Pairs that are encoded at a time."""
CHECKED = 64
"""Pairs on which two step lengths are compared."""
STEPS = (0.5, 1.0, 2.0, 4.0, 8.0, 0.25, 0.125, 0.0625, 0.03125)
"""Step lengths that are tried, as the change of the mean probe margin that each is expected to make, in nats; each has its
half, or its double, before it, so that two passes are enough for it. Rounding in 16 bits needs the longer ones."""
TOLERANCE = 0.05
"""Two step lengths agree where their values differ by less than this part of them (root mean squares)."""


@dataclass(frozen=True, eq=False)
class PairInfluence:
    """What each pair does to the probe margin."""

    values: NDArray[np.float64]
    """Nats per unit step along v: [pairs]. Above 0 the pair moves towards the probes' wanted side; NaN: nothing fits."""
    epsilon: float | None
    """Length of the step, in units of the parameters; None where the derivative was taken itself."""
    disagreement: float
    """Root mean square difference to half the step, over the root mean square of the values."""

    @property
    def agrees(self) -> bool:
        """Whether two step lengths gave the same values."""
        return self.disagreement <= TOLERANCE


def pair_influence(
    model: LocalModel,
    conversations: Sequence[PairBody],
    probes: ProbeSet,
    *,
    parameters: str = "auto",
    seed: int = 0,
    plain: bool = False,
    max_length: int | None = MAX_LENGTH,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> PairInfluence:
    """The influence of each (prompt, chosen, rejected) on the mean margin of the probes.

    Two forward passes over the pairs, CHUNK of them at a time, in batches of like length (of LoRA a forward and a backward
    pass, which gives the derivative itself: `tangent`), and a backward pass over the probes. `parameters` and `seed`: see
    `parameters.trained`. Warns where no step length was found that agrees with its half, as under 16-bit rounding.
    """
    with trained(model, parameters, seed=seed, shards=1) as chosen:
        steps, length = direction(model, encode(model, probe_contrasts(probes)), chosen)
        return along(
            model,
            conversations,
            chosen,
            steps,
            length,
            plain=plain,
            max_length=max_length,
            batch_size=batch_size,
            progress=progress,
        )


def along(
    model: LocalModel,
    conversations: Sequence[PairBody],
    chosen: Trained,
    steps: Sequence[Any],
    length: float,
    *,
    plain: bool = False,
    max_length: int | None = MAX_LENGTH,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> PairInfluence:
    """`pair_influence` along a known direction of length 1; `length` is the probe gradient's own."""
    how: dict[str, Any] = {"plain": plain, "max_length": max_length}
    if applies(chosen):
        return _derivatives(model, conversations, chosen, steps, how, progress)
    first = encode(model, [Contrast(p, (c,), (r,)) for p, c, r in _spread(conversations)], **how)
    epsilon, disagreement = _step(model, first, chosen, steps, length, batch_size)
    if disagreement > TOLERANCE:
        warnings.warn(
            f"the influence of single pairs is uncertain: under {model.name}, no two step lengths agreed to "
            f"{TOLERANCE:.0%} (best {disagreement:.0%}); open it with dtype float32",
            stacklevel=3,
        )
    values = []
    for start in range(0, len(conversations), CHUNK):
        some = conversations[start : start + CHUNK]
        part = encode(model, [Contrast(p, (c,), (r,)) for p, c, r in some], **how)
        values.append(_differences(model, part, chosen, steps, epsilon, batch_size))
        if progress is not None:
            progress(min(start + CHUNK, len(conversations)), len(conversations))
    return PairInfluence(np.concatenate(values) if values else np.zeros(0), epsilon, disagreement)


def _derivatives(
    model: LocalModel,
    conversations: Sequence[PairBody],
    chosen: Trained,
    steps: Sequence[Any],
    how: dict[str, Any],
    progress: Progress | None,
) -> PairInfluence:
    """The derivatives themselves, of LoRA's B."""
    values = []
    for _, p in chosen.named:
        p.requires_grad_(False)
    try:
        with tangent(model, chosen, steps) as line:
            for start in range(0, len(conversations), CHUNK):
                some = conversations[start : start + CHUNK]
                part = encode(model, [Contrast(p, (c,), (r,)) for p, c, r in some], **how)
                each = add_gradients(model, part, along=line)
                assert each is not None
                values.append(each)
                if progress is not None:
                    progress(min(start + CHUNK, len(conversations)), len(conversations))
    finally:
        for _, p in chosen.named:
            p.requires_grad_(True)
    return PairInfluence(np.concatenate(values) if values else np.zeros(0), None, 0.0)


def _spread(conversations: Sequence[PairBody]) -> list[PairBody]:
    every = max(1, len(conversations) // CHECKED)
    return list(conversations[::every][:CHECKED])


def _step(
    model: LocalModel, pairs: Encoded, chosen: Trained, steps: Sequence[Any], length: float, batch_size: int
) -> tuple[float, float]:
    """The first step length that agrees with its half, else the one that comes nearest."""
    sizes: list[tuple[float, float]] = []
    known: dict[float, NDArray[np.float64]] = {}

    def at(change: float) -> NDArray[np.float64]:
        if change not in known:
            known[change] = _differences(model, pairs, chosen, steps, change / length, batch_size)
        return known[change]

    for change in STEPS:
        epsilon = change / length
        whole, half = at(change), at(change / 2)
        usable = np.isfinite(whole)
        size = float(np.sqrt(np.mean(half[usable] ** 2))) if usable.any() else 0.0
        gap = float(np.sqrt(np.mean((whole - half)[usable] ** 2))) if usable.any() else 0.0
        apart = gap / size if size else float(gap > 0)
        sizes.append((epsilon, apart))
        if apart <= TOLERANCE:
            break
    return min(sizes, key=lambda one: one[1])


def _differences(
    model: LocalModel, pairs: Encoded, chosen: Trained, steps: Sequence[Any], epsilon: float, batch_size: int
) -> NDArray[np.float64]:
    with moved(chosen, steps, epsilon):
        up = margins(model, pairs, batch_size=batch_size)
    with moved(chosen, steps, -epsilon):
        down = margins(model, pairs, batch_size=batch_size)
    return (up - down) / (2 * epsilon)


@contextmanager
def moved(chosen: Trained, steps: Sequence[Any], epsilon: float) -> Iterator[None]:
    """The parameters moved by epsilon times the direction; afterwards they are what they were, bit for bit."""
    import torch

    values = [p.detach().to("cpu", copy=True) for _, p in chosen.named]
    try:
        with torch.no_grad():
            for (_, p), step in zip(chosen.named, steps, strict=True):
                p.add_(step.to(p.device), alpha=epsilon)
        yield
    finally:
        with torch.no_grad():
            for (_, p), before in zip(chosen.named, values, strict=True):
                p.copy_(before)
