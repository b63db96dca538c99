"""Pairs (or responses) that a watch measures again and again: their token rows, and what the model makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

NOT_LEARNED = -100
"""The label of a token that has no part in the loss."""


@dataclass
class Examples:
    """Token rows with where the response starts."""

    chosen: Sequence[Row]
    """Of SFT: the conversations. Of KTO: the desirable ones."""
    rejected: Sequence[Row] = ()
    """Of KTO: the undesirable ones."""
    paired: bool = True
    """Whether chosen and rejected responses stand in pairs, which KTO's do not."""
    first: np.ndarray | None = field(default=None)
    """log p(chosen) - log p(rejected) at the first measurement, in nats: [examples]."""


def examples_of_training(dataset: Any, most: int, seed: int) -> dict[str, Examples]:
    """At most `most` of the examples that a trainer of TRL holds as token rows, as `training`; none where it holds others.

    DPO has `prompt_ids`, `chosen_ids` and `rejected_ids`, a reward model the last two as whole conversations, KTO `prompt_ids`,
    `completion_ids` and `label`, ORPO and CPO `chosen_input_ids` with `chosen_labels` and the same of rejected, and SFT
    `input_ids` with `labels`, several conversations in a row (`seq_lengths`) where it packs.
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
    if {"prompt_ids", "completion_ids", "label"} <= columns:
        desirable, undesirable = (
            [
                (row["prompt_ids"] + row["completion_ids"], len(row["prompt_ids"]))
                for row in rows
                if row["label"] is side
            ]
            for side in (True, False)
        )
        return {"training": Examples(desirable, undesirable, paired=False)}
    if {"chosen_input_ids", "chosen_labels", "rejected_input_ids", "rejected_labels"} <= columns:
        sides = [
            [_learned(row[f"{s}_input_ids"], row[f"{s}_labels"]) for s in ("chosen", "rejected")]
            for row in rows
        ]
        whole = [(one, other) for one, other in sides if one is not None and other is not None]
        return (
            {"training": Examples([one for one, _ in whole], [other for _, other in whole])} if whole else {}
        )
    if "input_ids" in columns:
        parts = (part for row in rows for part in _conversations(row))
        learned = [done for ids, labels in parts if (done := _learned(ids, labels)) is not None]
        return {"training": Examples(learned[:most])} if learned else {}
    return {}


def trained_prompts(
    dataset: Any, how: Renders, prompts: Sequence[Prompt], *, plain: bool = False
) -> set[str]:
    """The ids of those prompts that a trainer's data set trains on, after whatever response.

    They are told by their token rows, or where a trainer holds texts, as GRPO and RLOO do, by these. None where it holds
    neither, and where rows come in a stream.
    """
    columns = set(getattr(dataset, "column_names", None) or ())
    if not hasattr(dataset, "__len__"):
        return set()
    if column := next((name for name in ("prompt_ids", "prompt_input_ids") if name in columns), None):
        ids_of = _rows_of(how, prompts, plain)
        there = {
            row for part in _parts(dataset, [column]) for row in map(tuple, part[column]) if row in ids_of
        }
    elif "input_ids" in columns:
        ids_of = _rows_of(how, prompts, plain)
        there = _begun_with(dataset, ids_of)
    elif "prompt" in columns:
        texts: dict[Any, set[str]] = {}
        for prompt in prompts:
            for key in {
                _turns(prompt.as_messages()),
                prompt.messages[-1].content if len(prompt.messages) == 1 else None,
            }:
                texts.setdefault(key, set()).add(prompt.id)
        texts.pop(None, None)
        asked = (_turns(one) for part in _parts(dataset, ["prompt"]) for one in part["prompt"])
        return {name for key in asked for name in texts.get(key, ())}
    else:
        return set()
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


def measured(model: LocalModel | RewardModel, examples: Examples) -> WatchedPairs | None:
    """What the model makes of the examples, beside the margins of the first call, which the examples keep."""
    rows = [*examples.chosen, *examples.rejected]
    if not rows:
        return None
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
    values = {
        f"logps_{side}": float(part.mean())
        for side, part in (("chosen", logps[:count]), ("rejected", logps[count:]))
        if len(part)
    }
    if not examples.paired or not examples.rejected:
        return WatchedPairs(examples=len(rows), **values)
    margin = logps[:count] - logps[count:]
    if examples.first is None:
        examples.first = margin
        return WatchedPairs(examples=count, **values)
    risen = margin - examples.first
    return WatchedPairs(
        examples=count,
        **values,
        margin_change=float(risen.mean()),
        reward_accuracy=WatchedShare.of(rate_of(bool(one > 0) for one in risen)),
    )


def _learned(ids: Sequence[int], labels: Sequence[int]) -> Row | None:
    """A conversation to the end of its first response, and where that starts; None where nothing is learned."""
    start = next((k for k, label in enumerate(labels) if k and label != NOT_LEARNED), None)
    if start is None:
        return None
    end = next((k for k in range(start, len(labels)) if labels[k] == NOT_LEARNED), len(labels))
    return list(ids[:end]), start


def _conversations(row: Mapping[str, Any]) -> Iterator[tuple[list[int], list[int]]]:
    """Token ids and labels of each conversation of a row; a packed row has several."""
    ids, labels = row["input_ids"], row.get("labels") or row["input_ids"]
    start = 0
    for length in row.get("seq_lengths") or [len(ids)]:
        yield ids[start : start + length], labels[start : start + length]
        start += length


def _rows_of(how: Renders, prompts: Sequence[Prompt], plain: bool) -> dict[tuple[int, ...], set[str]]:
    """The ids of the prompts by the token row of each."""
    asked = [p for p in prompts if not plain or [turn.role for turn in p.messages] == ["user"]]
    rows = how.encode([text.text for text in how.prompt_texts(asked)])
    ids_of: dict[tuple[int, ...], set[str]] = {}
    for prompt, row in zip(asked, rows, strict=True):
        ids_of.setdefault(tuple(row), set()).add(prompt.id)
    return ids_of


def _begun_with(dataset: Any, rows: Mapping[tuple[int, ...], set[str]]) -> set[tuple[int, ...]]:
    """Those of the rows that a conversation of the data set begins with, and goes on to learn from."""
    columns = [name for name in ("input_ids", "labels", "seq_lengths") if name in dataset.column_names]
    lengths = sorted({len(row) for row in rows})
    there: set[tuple[int, ...]] = set()
    for part in _parts(dataset, columns):
        for values in zip(*(part[name] for name in columns), strict=True):
            for ids, labels in _conversations(dict(zip(columns, values, strict=True))):
                for length in lengths:
                    start = tuple(ids[:length])
                    if start in rows and any(label != NOT_LEARNED for label in labels[length:]):
                        there.add(start)
    return there


def _parts(dataset: Any, columns: list[str]) -> Iterator[Mapping[str, Any]]:
    chosen = dataset.select_columns(columns) if hasattr(dataset, "select_columns") else dataset
    for start in range(0, len(chosen), AT_ONCE):
        yield chosen[start : start + AT_ONCE]


def _turns(prompt: Any) -> Any:
    """A prompt of TRL, a text or turns, as what can be compared."""
    if isinstance(prompt, str):
        return prompt
    return tuple((turn.get("role"), turn.get("content")) for turn in prompt)
