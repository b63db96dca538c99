"""The pilot: a few steps of DPO, with the probe margin measured along the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backfire.errors import InputError
from backfire.influence.answering import greedy_answers
from backfire.influence.margins import (
    Contrast,
    Encoded,
    encode,
    logps_of,
    margins,
    pair_batches,
    probe_contrasts,
    recomputed,
    side_logps,
)
from backfire.influence.parameters import trained
from backfire.models.settings import DPO_RATE, MAX_LENGTH, LoRASettings, rate_of
from backfire.records import PairBody

if TYPE_CHECKING:
    from backfire.influence.probes import ProbeSet
    from backfire.judges.judge import Judge
    from backfire.models import LocalModel

ANSWER_TOKENS = 64
"""The most tokens of an answer to a probe prompt."""
DISPLACED = 64
"""Pairs that are read again after the last step, to see whether chosen responses became likelier."""
PASSED = 8
"""Copies of the trained parameters that a pilot has room for: gradients, Adam's moments, what they were before."""


class Tokens(NamedTuple):
    """Tokens that a pilot sends through the model."""

    trained: int = 0
    """Forward and backward, in the steps."""
    read: int = 0
    """Forward only: the pairs for their start, and the probes."""
    generated: int = 0
    """In the answers to the probe prompts."""


@dataclass(frozen=True)
class Pilot:
    """What a few steps did to the probes. The policy itself is left as it was."""

    margins: tuple[float, ...]
    """Mean probe margin before the first step and after each that was measured: [steps + 1] by default, in nats."""
    changes: tuple[float, ...] = ()
    """Each probe's own change of margin over the whole pilot: [probes], in nats; NaN where nothing fits the context."""
    refused: tuple[tuple[bool | None, bool | None], ...] = ()
    """Whether each probe prompt is refused before and after, answered greedily: [prompts]; None is unscored. Empty without
    a judge."""
    lr: float = DPO_RATE
    """The learning rate that the steps were taken at."""
    trained: str = ""
    """What was trained, in words."""
    tokens: Tokens = field(default_factory=Tokens)
    """What went through the model."""
    moved: tuple[tuple[float, float], ...] = ()
    """Of the first DISPLACED pairs that steps were taken on: how far log p(chosen) and log p(rejected) moved, in nats."""

    @property
    def margin_change(self) -> float:
        return self.margins[-1] - self.margins[0]

    @property
    def refusal_change(self) -> float | None:
        """Of the share refused, over the prompts that were scored both times; None without such."""
        both = [(a, b) for a, b in self.refused if a is not None and b is not None]
        return sum(b - a for a, b in both) / len(both) if both else None


def run_pilot(
    model: LocalModel,
    conversations: Sequence[PairBody],
    probes: ProbeSet,
    *,
    steps: int = 8,
    lr: float | None = None,
    beta: float = 0.1,
    batch_size: int = 32,
    every: int = 1,
    seed: int = 0,
    parameters: str = "auto",
    lora: LoRASettings | None = None,
    most_probes: int | None = None,
    judge: Judge | None = None,
    max_new_tokens: int = ANSWER_TOKENS,
    plain: bool = False,
    max_length: int | None = MAX_LENGTH,
) -> Pilot:
    """Take `steps` steps of DPO (Rafailov et al. 2023, eq. 7) by Adam at a constant `lr` and measure the probe margin.

    lr: None is DPO's default of 1e-6, and ten times that where `parameters` is auto and an adapter is trained for want of
    memory: the rule of `train_dpo`.

    lora: the adapter that is trained, where `parameters` do not say all of them or a part; by default that of `train_dpo`.
    most_probes: probes whose margin is read, drawn by `seed`; by default all. The prompts of all probes are asked.

    conversations: (prompt, chosen, rejected), sampled without replacement in an order fixed by `seed`, so that the pilot
    costs steps * batch_size pairs however many there are. No warm-up: a pilot's steps count in full. The margin is measured
    after `every` so many steps and the last. With a judge, the probe prompts are answered greedily before and after.
    """
    import torch

    if steps < 1 or (lr is not None and lr <= 0) or beta <= 0 or batch_size < 1 or every < 1:
        raise InputError(
            f"steps {steps}, lr {lr}, beta {beta}, batch_size {batch_size}, every {every}: all must be positive"
        )
    if lora is not None and parameters == "auto":
        parameters = "lora"
    prompts = list({probe.prompt.id: probe.prompt for probe in probes.probes}.values())
    if most_probes is not None and len(probes.probes) > most_probes:
        sampled_probes = np.sort(np.random.default_rng(seed).permutation(len(probes.probes))[:most_probes])
        probes = replace(probes, probes=tuple(probes.probes[i] for i in sampled_probes))
    given = [Contrast(p, (c,), (r,)) for p, c, r in conversations]
    data = encode(model, given, plain=plain, max_length=max_length)
    probed = encode(model, probe_contrasts(probes))
    usable = np.flatnonzero(data.usable)
    if len(usable) == 0:
        raise InputError("no pair fits the policy's context: there is nothing to take a step on")
    order = np.random.default_rng(seed).permutation(usable)
    order = np.resize(order, steps * min(batch_size, len(usable)))
    before_steps = side_logps(model, data.subset(np.unique(order)))
    reference = before_steps[:, 0] - before_steps[:, 1]
    place = {int(i): k for k, i in enumerate(np.unique(order))}
    read_again = np.unique(order[:DISPLACED])

    generated: list[int] = []

    def refusals() -> list[bool | None]:
        if judge is None:
            return []
        answers = greedy_answers(model, prompts, judge, max_new_tokens)
        generated.append(sum(answer.tokens or 0 for answer in answers))
        return [answer.refused for answer in answers]

    with trained(model, parameters, seed=seed, shards=PASSED, adapter=lora or LoRASettings()) as chosen:
        adapted_by_auto = parameters == "auto" and chosen.adapter
        rate = rate_of(lr, DPO_RATE, adapter_by_auto=adapted_by_auto)
        first_values = [p.detach().to("cpu", copy=True) for _, p in chosen.named]
        before = refusals()
        first = last = margins(model, probed)
        path = [float(np.nanmean(first))]
        optimizer = torch.optim.AdamW([p for _, p in chosen.named], lr=rate, weight_decay=0.0)
        try:
            for step, batch in enumerate(np.split(order, steps), start=1):
                pairs = data.subset(batch)
                start = reference[[place[int(i)] for i in batch]]
                _gradients_of_loss(model, pairs, start, beta)
                torch.nn.utils.clip_grad_norm_([p for _, p in chosen.named], 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if step % every == 0 or step == steps:
                    last = margins(model, probed)
                    path.append(float(np.nanmean(last)))
            after = refusals()
            moved = (
                side_logps(model, data.subset(read_again)) - before_steps[[place[int(i)] for i in read_again]]
            )
        finally:
            with torch.no_grad():
                for (_, p), value in zip(chosen.named, first_values, strict=True):
                    p.copy_(value)
    return Pilot(
        tuple(path),
        tuple((last - first).tolist()),
        tuple(zip(before, after, strict=True)),
        rate,
        chosen.how,
        Tokens(
            trained=sum(_tokens(data.subset(batch)) for batch in np.split(order, steps)),
            read=_tokens(data.subset(np.unique(order)))
            + len(path) * _tokens(probed)
            + _tokens(data.subset(read_again)),
            generated=sum(generated),
        ),
        tuple((chosen_moved, rejected_moved) for chosen_moved, rejected_moved in moved.tolist()),
    )


def _tokens(encoded: Encoded) -> int:
    return sum(len(ids) for ids, _ in encoded.rows)


def _gradients_of_loss(model: LocalModel, pairs: Encoded, reference: np.ndarray, beta: float) -> None:
    """DPO's loss is -log sigmoid(beta (m - m_ref)), the mean over the pairs; both sides of a pair are read together."""
    import torch

    for batch in pair_batches(model, pairs):
        inside = np.flatnonzero(np.isin(pairs.items, batch))
        rows = [pairs.rows[i] for i in inside]
        with recomputed(model, rows):
            logps = logps_of(model, rows)
            places = torch.tensor(np.searchsorted(batch, pairs.items[inside]), device=logps.device)
            weighted = logps * logps.new_tensor(pairs.weights[inside])
            now = torch.zeros(len(batch), dtype=logps.dtype, device=logps.device).index_add(
                0, places, weighted
            )
            moved = beta * (now - now.new_tensor(reference[batch]))
            torch.autograd.backward(-torch.nn.functional.logsigmoid(moved).sum() / pairs.count)
