"""Pairs (or responses) that a watch measures again and again: their token rows, and what the model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from backfire.models.forward_pass import Reader
from backfire.models.local import LocalModel
from backfire.models.rendering import AT_ONCE, Renders, Row, render_pairs
from backfire.records import PairBody, Prompt
from backfire.statistics import rate_of
from backfire.training.watch_points import WatchedPairs, WatchedShare

if TYPE_CHECKING:
    from backfire.models import RewardModel


@dataclass
class Examples:
    """Token rows with where the response starts."""

    chosen: Sequence[Row]
    """Of SFT: the conversations."""
    rejected: Sequence[Row] = ()
    first: np.ndarray | None = field(default=None)
    """log p(chosen) - log p(rejected) at the first measurement, in nats: [examples]."""


def examples_of_training(dataset: Any, most: int, seed: int) -> dict[str, Examples]:
    """At most `most` of the examples that a trainer of TRL holds as token rows, as `training`; none where it holds others.

    DPO has `prompt_ids`, `chosen_ids` and `rejected_ids`, a reward model the last two as whole conversations, SFT `input_ids`
    with `labels`.
    """
    columns = set(getattr(dataset, "column_names", None) or ())
    if not columns or not hasattr(dataset, "__len__"):
        return {}
    picked = np.random.default_rng(seed).permutation(len(dataset))[:most]
    rows = [dataset[int(k)] for k in np.sort(picked)]
    if {"chosen_ids", "rejected_ids"} <= columns:
        chosen, rejected = (
            [(row.get("prompt_ids", []) + row[side], len(row.get("prompt_ids", []))) for row in rows]
            for side in ("chosen_ids", "rejected_ids")
        )
        return {"training": Examples(chosen, rejected)}
    if {"input_ids", "labels"} <= columns:
        starts = [next((k for k, label in enumerate(row["labels"]) if label != -100), None) for row in rows]
        learned = [(row["input_ids"], start) for row, start in zip(rows, starts, strict=True) if start]
        return {"training": Examples(learned)} if learned else {}
    return {}


def trained_prompts(
    dataset: Any, how: Renders, prompts: Sequence[Prompt], *, plain: bool = False
) -> set[str]:
    """The ids of those prompts that a trainer's data set of token rows trains on, after whatever response; none where it holds
    no token rows."""
    columns = set(getattr(dataset, "column_names", None) or ())
    paired, learned = "prompt_ids" in columns, {"input_ids", "labels"} <= columns
    if not (paired or learned) or not hasattr(dataset, "__len__"):
        return set()
    asked = [p for p in prompts if not plain or [turn.role for turn in p.messages] == ["user"]]
    rows = how.encode([text.text for text in how.prompt_texts(asked)])
    ids_of: dict[tuple[int, ...], set[str]] = {}
    for prompt, row in zip(asked, rows, strict=True):
        ids_of.setdefault(tuple(row), set()).add(prompt.id)
    there: set[tuple[int, ...]] = set()
    for start in range(0, len(dataset), AT_ONCE):
        part = dataset[start : start + AT_ONCE]
        if paired:
            starts = part["prompt_ids"]
        else:
            starts = [
                ids[: labels.count(-100)]
                for ids, labels in zip(part["input_ids"], part["labels"], strict=True)
            ]
        there |= ids_of.keys() & set(map(tuple, starts))
    return {name for row in there for name in ids_of[row]}


def rendered_examples(
    how: Renders, pairs: Sequence[PairBody], max_length: int | None, *, whole: bool = False
) -> Examples:
    """The rows of pairs that are not trained on; those of which nothing is left, or that the template loses, are left out."""
    rendered = render_pairs(how, pairs, max_length=max_length, strict=False, whole=whole)
    usable = rendered.trained.tolist()
    chosen, rejected = (
        [row for row, use in zip(rendered.rows(side), usable, strict=True) if use]
        for side in ("chosen", "rejected")
    )
    return Examples(chosen, rejected)


def measured(
    model: LocalModel | RewardModel, examples: Examples, first: np.ndarray | None
) -> WatchedPairs | None:
    """What the model makes of the examples; `first` are the margins to compare with, which the first call keeps."""
    if not examples.chosen:
        return None
    rows = [*examples.chosen, *examples.rejected]
    count = len(examples.chosen)
    if not isinstance(model, LocalModel):
        scores = np.array(model.score_rows([{"input_ids": ids} for ids, _ in rows]))
        chosen, rejected = scores[:count], scores[count:]
        higher = [bool(a > b) if np.isfinite(a - b) else None for a, b in zip(chosen, rejected, strict=True)]
        return WatchedPairs(
            examples=count,
            score_chosen=float(np.nanmean(chosen)),
            score_rejected=float(np.nanmean(rejected)),
            reward_accuracy=WatchedShare.of(rate_of(higher)),
        )
    logps = Reader(model.model, model.name, model.filler).read(rows, scored=True).logps
    if not examples.rejected:
        return WatchedPairs(examples=count, logps_chosen=float(logps.mean()))
    margin = logps[:count] - logps[count:]
    values = {"logps_chosen": float(logps[:count].mean()), "logps_rejected": float(logps[count:].mean())}
    if first is None:
        examples.first = margin
        return WatchedPairs(examples=count, **values)
    risen = margin - first
    return WatchedPairs(
        examples=count,
        **values,
        margin_change=float(risen.mean()),
        reward_accuracy=WatchedShare.of(rate_of(bool(one > 0) for one in risen)),
    )
