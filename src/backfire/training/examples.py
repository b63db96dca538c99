"""What is trained on: token rows, made by the one rendering of `models`, with what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backfire.errors import InputError, TemplateError
from backfire.models.losses import LEFT_OUT
from backfire.models.rendered import RenderedPairs
from backfire.models.rendering import render, render_pairs
from backfire.preferences import Preferences, no_pairs, pairs_of
from backfire.training.log import Examples

if TYPE_CHECKING:
    from backfire.models.losses import Fault
    from backfire.training.conversation_files import Conversations
    from backfire.training.policy import Tokens

ROWS_LISTED = 1_000
"""Rows of dropped examples that the log lists, of each reason."""
TOLD_APART = ("prompt_fills_max_length", "chosen_cut", "rejected_cut", "boundary_merged")
"""What happened to pairs and has a field of its own in Examples."""


@dataclass(frozen=True)
class Prepared:
    """Token rows as TRL takes them, in memory as Arrow, and the counts."""

    dataset: Any
    """A `datasets.Dataset`."""
    examples: Examples


def prepare_pairs(data: Preferences, tokens: Tokens) -> Prepared:
    """TRL's `prompt_ids`, `chosen_ids`, `rejected_ids` of every pair of a data set, a block at a time.

    Raises:
        InputError: no row gives a pair, or every prompt fills max_length.
        TemplateError: the chat template refuses a pair, or loses a turn of one; or it loses the tools or tool calls of
            every pair. Where it does so of some, these are left out and counted.
    """
    from datasets import Dataset

    limit = tokens.max_length
    parts, numbers = [], []
    for block in data.blocks():
        parts.append(render_pairs(tokens.how, pairs_of(block), max_length=limit, strict=False))
        numbers.append(block.column("row").to_numpy())
    if not parts:
        raise InputError(no_pairs(data))
    pairs = RenderedPairs.joined(parts)
    rows = np.concatenate(numbers)
    _check_faults({int(rows[place]): fault for place, fault in pairs.faults.items()}, len(pairs), tokens)
    trained = pairs.trained
    if not trained.any():
        _nothing_left(limit, pairs.faults.values(), tokens)
    happened = {name: int((mask & trained).sum()) for name, mask in pairs.happened().items()}
    dropped = [("prompt_fills_max_length", rows[pairs.fills].tolist())]
    dropped += _without_tools(
        {int(rows[k]): fault for k, fault in pairs.faults.items() if not pairs.fills[k]}
    )
    lengths = pairs.tokens()[trained]
    examples = Examples(
        given=data.rows,
        left_out={kind: len(some) for kind, some in data.defects.items()},
        examples=len(pairs),
        trained=int(trained.sum()),
        **_dropped(dropped),
        truncated={side: happened[f"{side}_cut"] for side in ("chosen", "rejected")},
        max_length=limit,
        boundary_merged=happened["boundary_merged"],
        happened={name: n for name, n in happened.items() if n and name not in TOLD_APART},
        tokens=int(2 * lengths[:, 0].sum() + lengths[:, 1:].sum()),
        longest=int((lengths[:, :1] + lengths[:, 1:] + pairs.lost[trained]).max()),
        form=data.format,
        plain=not tokens.template,
        template=tokens.template,
    )
    return Prepared(Dataset(pairs.ids.filter(trained).combine_chunks()), examples)


def prepare_conversations(data: Conversations, tokens: Tokens) -> Prepared:
    """TRL's `input_ids` and `labels` of every assistant turn, learned after all that stands before it.

    Raises as `prepare_pairs` does.
    """
    import pyarrow as pa
    from datasets import Dataset

    limit = tokens.max_length
    ids: list[pa.Array] = []
    labels: list[pa.Array] = []
    happened: Counter[str] = Counter()
    faults: dict[int, Fault] = {}
    dropped: dict[str, list[int]] = {}
    total = longest = 0
    rows: list[tuple[list[int], list[int]]] = []
    items = [(prompt, (completion,)) for prompt, completion in data.examples]
    rendered = render(tokens.how, items, max_length=limit, strict=False)
    for row, done in zip(data.rows, rendered, strict=True):
        reason = "prompt_fills_max_length" if done.fills else ""
        if done.fault is not None:
            faults.setdefault(row, done.fault)
            kind = done.fault.kind.replace(" ", "_")
            if done.fault.leaves_out:
                reason = reason or kind
            else:
                happened[kind] += 1
        if reason:
            dropped.setdefault(reason, []).append(row)
            continue
        whole = done.prompt + done.sides[0]
        rows.append((whole, [-100] * len(done.prompt) + done.sides[0]))
        longest = max(longest, len(whole) + done.lost[0])
        total += len(whole)
        counts = {
            "response_cut": done.lost[0] > 0,
            "boundary_merged": done.merged,
            "response_end_missing": done.end_missing[0],
            "response_end_doubled": done.end_doubled[0],
            "bos_missing": done.bos_missing,
            "bos_doubled": done.bos_doubled,
        }
        happened.update(name for name, there in counts.items() if there)
        if len(rows) == 1024:
            _move(rows, ids, labels)
    _move(rows, ids, labels)
    _check_faults(faults, len(data.examples), tokens)
    trained = sum(map(len, ids))
    if not trained:
        _nothing_left(limit, faults.values(), tokens)
    examples = Examples(
        given=data.given,
        left_out=dict(data.left_out),
        examples=len(data.examples),
        trained=trained,
        **_dropped(dropped.items()),
        truncated={"response": happened.pop("response_cut", 0)},
        max_length=limit,
        boundary_merged=happened.pop("boundary_merged", 0),
        happened=dict(happened),
        tokens=total,
        longest=longest,
        form=data.form,
        plain=not tokens.template,
        template=tokens.template,
    )
    table = pa.table({"input_ids": pa.concat_arrays(ids), "labels": pa.concat_arrays(labels)})
    return Prepared(Dataset(table), examples)


def _move(rows: list[tuple[list[int], list[int]]], ids: list[Any], labels: list[Any]) -> None:
    """Rows into Arrow, which takes a tenth of the memory."""
    import pyarrow as pa

    for k, column in enumerate((ids, labels)):
        column.append(pa.array([row[k] for row in rows], pa.list_(pa.int32())))
    rows.clear()


def _check_faults(faults: dict[int, Fault], count: int, tokens: Tokens) -> None:
    """Raise TemplateError where the template refuses or loses what would be trained on; `faults` by row.

    Examples whose tools or tool calls it loses are left out instead.
    """
    stopping = {row: fault for row, fault in faults.items() if fault.stops and not fault.leaves_out}
    if not stopping:
        return
    row, fault = min(stopping.items())
    many = f" ({len(stopping)} of {count} examples, the first in row {row})"
    raise TemplateError(f"policy {tokens.reference}: {fault.message}{many}")


def _without_tools(faults: dict[int, Fault]) -> list[tuple[str, list[int]]]:
    """Rows of pairs whose tools or tool calls the template loses, by name."""
    return [
        (kind.replace(" ", "_"), sorted(row for row, fault in faults.items() if fault.kind == kind))
        for kind in LEFT_OUT
    ]


def _dropped(rows: Iterable[tuple[str, list[int]]]) -> dict[str, Any]:
    """Fields of Examples: what was left out, and where."""
    there = {reason: some for reason, some in rows if some}
    return {
        "dropped": {reason: len(some) for reason, some in there.items()},
        "dropped_rows": {reason: tuple(some[:ROWS_LISTED]) for reason, some in there.items()},
    }


def _nothing_left(limit: int | None, faults: Iterable[Fault], tokens: Tokens) -> None:
    lost = next((fault for fault in faults if fault.leaves_out), None)
    if lost is not None:
        raise TemplateError(f"policy {tokens.reference}: no example is left to train on: {lost.message}")
    raise InputError(
        f"every prompt alone fills max_length {limit}, so that nothing of the responses is left: raise max_length, within "
        "the model's context"
    )
