"""What is trained on: token rows, made by the one rendering of `models`, with what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backfire.errors import InputError, TemplateError, setting
from backfire.models.losses import LEFT_OUT
from backfire.models.rendered import RenderedPairs
from backfire.models.rendering import render, render_pairs
from backfire.preferences import Preferences, no_pairs, pairs_of
from backfire.training.held_out import (
    UNKNOWN,
    About,
    HeldOutPair,
    held_out_pairs,
    prompt_groups,
    question_of,
)
from backfire.training.log import Examples

if TYPE_CHECKING:
    import pyarrow as pa

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
    held_out: list[tuple[list[int], list[int]]] | None = None
    """Of a reward model: both sides of the pairs that are held out."""


def prepare_pairs(data: Preferences, tokens: Tokens) -> Prepared:
    """TRL's `prompt_ids`, `chosen_ids`, `rejected_ids` of every pair of a data set, a block at a time.

    Raises:
        InputError: no row gives a pair, or every prompt fills max_length.
        TemplateError: the chat template refuses a pair, or loses a turn of one; or it loses the tools or tool calls of
            every pair. Where it does so of some, these are left out and counted.
    """
    from datasets import Dataset

    read = _read(data, tokens)
    trained = read.pairs.trained
    return Prepared(Dataset(read.pairs.ids.filter(trained).combine_chunks()), _counts(read, trained))


def prepare_reward_pairs(
    data: Preferences, tokens: Tokens, held_out: float, seed: int
) -> tuple[Prepared, list[HeldOutPair]]:
    """TRL's `chosen_ids` and `rejected_ids` of the pairs that a reward model is trained on, and the pairs that are held out.

    held_out: the share of the pairs; all pairs of a prompt stay together.

    Raises as `prepare_pairs` does, and InputError where no pair can be held out or none is left to train on.
    """
    from datasets import Dataset

    read = _read(data, tokens, whole=True)
    groups = prompt_groups(read.questions)
    held = held_out_pairs(groups, read.questions, held_out, seed)
    trained = read.pairs.trained & ~held
    if not trained.any():
        raise InputError(
            f"none of the {len(held)} pairs is left to train on beside the {int(held.sum())} that are held out: lower "
            f"{setting('held_out')} {held_out:g}, or give more pairs"
        )
    counts = _counts(read, trained, held).model_copy(update={"held_out": int(held.sum())})
    pairs_held_out = [
        HeldOutPair(
            *_whole(read.pairs, place), read.about[place], int(groups[place]), _unscorable(read, place)
        )
        for place in np.flatnonzero(held).tolist()
    ]
    scorable = [(pair.chosen_ids, pair.rejected_ids) for pair in pairs_held_out if not pair.reason]
    return Prepared(Dataset(_whole_rows(read.pairs, trained)), counts, scorable), pairs_held_out


@dataclass(frozen=True)
class _Read:
    """The pairs of a data set as token rows, with what is known of each."""

    data: Preferences
    tokens: Tokens
    pairs: RenderedPairs
    rows: np.ndarray
    """The row of each pair, from 1."""
    questions: list[str]
    about: list[About]


def _read(data: Preferences, tokens: Tokens, *, whole: bool = False) -> _Read:
    """Every pair of a data set, rendered a block at a time; `whole` as in `render`, and then what is known of each pair, too."""
    parts, numbers = [], []
    questions: list[str] = []
    about: list[About] = []
    for block in data.blocks():
        bodies = pairs_of(block)
        parts.append(
            render_pairs(tokens.how, bodies, max_length=tokens.max_length, strict=False, whole=whole)
        )
        numbers.append(block.column("row").to_numpy())
        if whole:
            questions += [question_of(body.prompt) for body in bodies]
            columns = (
                block.column(name).to_pylist() for name in ("kind", "chosen_source", "rejected_source")
            )
            about += [
                About(kind or UNKNOWN, f"{one} over {other}" if one and other else UNKNOWN)
                for kind, one, other in zip(*columns, strict=True)
            ]
    if not parts:
        raise InputError(no_pairs(data))
    pairs = RenderedPairs.joined(parts)
    rows = np.concatenate(numbers)
    _check_faults({int(rows[place]): fault for place, fault in pairs.faults.items()}, len(pairs), tokens)
    if not pairs.trained.any():
        _nothing_left(tokens.max_length, pairs.faults.values(), tokens)
    return _Read(data, tokens, pairs, rows, questions, about)


def _counts(read: _Read, trained: np.ndarray, held: np.ndarray | None = None) -> Examples:
    """What was read, and what became of it; of truncation and ends, for those that are trained on. Pairs that are held out
    are neither trained on nor dropped."""
    data, tokens, pairs, rows = read.data, read.tokens, read.pairs, read.rows
    happened = {name: int((mask & trained).sum()) for name, mask in pairs.happened().items()}
    meant = np.ones(len(pairs), dtype=np.bool_) if held is None else ~held
    dropped = [("prompt_fills_max_length", rows[pairs.fills & meant].tolist())]
    dropped += _without_tools(
        {int(rows[k]): fault for k, fault in pairs.faults.items() if meant[k] and not pairs.fills[k]}
    )
    lengths = pairs.tokens()[trained]
    return Examples(
        given=data.rows,
        left_out={kind: len(some) for kind, some in data.defects.items()},
        examples=len(pairs),
        trained=int(trained.sum()),
        **_dropped(dropped),
        truncated={side: happened[f"{side}_cut"] for side in ("chosen", "rejected")},
        max_length=tokens.max_length,
        boundary_merged=happened["boundary_merged"],
        happened={name: n for name, n in happened.items() if n and name not in TOLD_APART},
        tokens=int(2 * lengths[:, 0].sum() + lengths[:, 1:].sum()),
        longest=int((lengths[:, :1] + lengths[:, 1:] + pairs.lost[trained]).max()),
        form=data.format,
        plain=not tokens.template,
        template=tokens.template,
    )


def _whole(pairs: RenderedPairs, place: int) -> tuple[list[int], list[int]]:
    """Prompt and chosen, prompt and rejected."""
    row = pairs.row(place)
    return row.prompt_ids + row.chosen_ids, row.prompt_ids + row.rejected_ids


def _unscorable(read: _Read, place: int) -> str:
    if read.pairs.fills[place]:
        return "prompt fills max_length"
    fault = read.pairs.faults.get(place)
    return fault.kind if fault is not None and fault.stops else ""


def _whole_rows(pairs: RenderedPairs, trained: np.ndarray) -> pa.Table:
    """Whole conversations of the pairs that are trained on, a batch at a time."""
    import pyarrow as pa

    parts = []
    for batch in pairs.ids.filter(trained).combine_chunks().to_batches(max_chunksize=1024):
        prompts, *sides = (column.to_pylist() for column in batch.columns)
        rows = [[p + side for p, side in zip(prompts, ids, strict=True)] for ids in sides]
        arrays = [pa.array(column, pa.list_(pa.int32())) for column in rows]
        parts.append(pa.RecordBatch.from_arrays(arrays, ["chosen_ids", "rejected_ids"]))
    return pa.Table.from_batches(parts).combine_chunks()


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
