"""The maintainer's plain training loop, by which organisms are grown (users' training is the `training` room)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

IGNORED = -100


def language_model_loss(model: Any, batch: Any) -> Any:
    """Mean cross-entropy over the target tokens of a batch {input_ids, attention_mask, labels} [b, t]."""
    return model(**batch).loss


def preference_loss(model: Any, batch: Any) -> Any:
    """Bradley-Terry loss of a reward model; rows come as chosen, rejected, chosen, ... [2b, t]."""
    import torch

    scores = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
    return -torch.nn.functional.logsigmoid(scores[0::2] - scores[1::2]).mean()


def pack(tokenizer: Any, documents: Sequence[str], length: int) -> Any:
    """Concatenate documents, each closed by EOS, and cut them into rows of `length` tokens."""
    import torch

    start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    stream: list[int] = []
    for ids in tokenizer(list(documents), add_special_tokens=False)["input_ids"]:
        stream += [*start, *ids, tokenizer.eos_token_id]
    rows = len(stream) // length
    return torch.tensor(stream[: rows * length]).view(rows, length)


def pad(rows: Sequence[tuple[list[int], list[int]]], pad_id: int) -> dict[str, Any]:
    """Right-pad (input_ids, labels) rows to one batch."""
    import torch

    width = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), width), pad_id)
    labels = torch.full((len(rows), width), IGNORED)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, (row, targets) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        labels[i, : len(targets)] = torch.tensor(targets)
        mask[i, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def chat_rows(tokenizer: Any, conversations: Sequence[tuple[Any, str]]) -> list[tuple[list[int], list[int]]]:
    """Tokenise (prompt, response) through the chat template; only the response and its EOS are targets."""
    rows = []
    for prompt, response in conversations:
        before = tokenizer.apply_chat_template(
            prompt.as_messages(), add_generation_prompt=True, return_dict=False
        )
        turns = [*prompt.as_messages(), {"role": "assistant", "content": response}]
        whole = tokenizer.apply_chat_template(turns, return_dict=False)
        rows.append((whole, [IGNORED] * len(before) + whole[len(before) :]))
    return rows


def train(
    model: Any,
    batch_of: Callable[[np.ndarray[Any, Any]], dict[str, Any]],
    examples: int,
    *,
    steps: int,
    batch: int,
    lr: float,
    seed: int,
    loss_of: Callable[[Any, Any], Any] = language_model_loss,
) -> float:
    """AdamW, one-cycle learning rate, reshuffled epochs; returns the mean loss of the last tenth."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps, pct_start=0.1)
    rng = np.random.default_rng(seed)
    order = np.empty(0, dtype=np.int64)
    losses: list[float] = []
    model.train()
    for _ in range(steps):
        if len(order) < batch:
            order = np.concatenate([order, rng.permutation(examples)])
        chosen, order = order[:batch], order[batch:]
        loss = loss_of(model, batch_of(chosen))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
    model.eval()
    return float(np.mean(losses[-max(1, steps // 10) :]))
