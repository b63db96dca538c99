"""DPO as a plain loop, straight from equation 7 of Rafailov et al. 2023: what TRL's trainer is held against."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

Encoded = list[tuple[list[int], int]]
"""Token ids of prompt and response, and where the response starts."""


def encode(tokenizer: Any, pairs: list[dict[str, Any]], side: str) -> Encoded:
    rows = []
    for pair in pairs:
        start = len(tokenizer.apply_chat_template(pair["prompt"], add_generation_prompt=True)["input_ids"])
        ids = tokenizer.apply_chat_template(pair["prompt"] + pair[side])["input_ids"]
        while ids[-1] != tokenizer.eos_token_id:  # what the template writes after the end of the turn
            ids.pop()
        rows.append((ids, start))
    return rows


def summed_logps(model: Any, rows: Encoded) -> Any:
    """Log-probabilities of the responses, summed over their tokens: [n]."""
    import torch

    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([row + [0] * (width - len(row)) for row, _ in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row, _ in rows])
    response = torch.tensor(
        [[0] * start + [1] * (len(row) - start) + [0] * (width - len(row)) for row, start in rows]
    )
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    each = logits.log_softmax(-1).gather(2, ids[:, 1:, None])[:, :, 0]
    return (each * response[:, 1:]).sum(1)


def train(
    folder: Path, pairs: list[dict[str, Any]], *, lr: float, beta: float, batch_size: int, epochs: int
) -> list[float]:
    """Losses of each step; batches in the given order, AdamW at a constant rate, gradients clipped to norm 1."""
    import torch
    from torch.nn.functional import logsigmoid
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    policy = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    reference = copy.deepcopy(policy)
    chosen, rejected = (encode(tokenizer, pairs, side) for side in ("chosen", "rejected"))
    optimizer = torch.optim.AdamW(policy.parameters(), lr=lr, weight_decay=0.0)
    starts = range(0, len(pairs), batch_size)
    cut = [(chosen[i : i + batch_size], rejected[i : i + batch_size]) for i in starts]
    with torch.no_grad():
        before = [(summed_logps(reference, c), summed_logps(reference, r)) for c, r in cut]
    losses = []
    for _ in range(epochs):
        for (c, r), (reference_c, reference_r) in zip(cut, before, strict=True):
            both = summed_logps(policy, c + r)
            log_ratios = both[: len(c)] - reference_c, both[len(c) :] - reference_r
            loss = -logsigmoid(beta * (log_ratios[0] - log_ratios[1])).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    return losses
