"""Prompts that are items of named evaluation sets, found by keys: no item's text is shipped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.answers.confounds import EvaluationSet, Hit
from backfire.auditing.audited_pairs import AuditedPairs, Ints, Keys
from backfire.auditing.faults.counting import MOST_ROWS, first_rows
from backfire.auditing.probes.uncertainty import share

LONGEST_SPAN = 300
"""Characters of a matched prompt that the answer quotes."""


@dataclass(frozen=True)
class HashedSet:
    """The prompts of an evaluation set as `texts.text_keys`, each in several spellings and wrappers."""

    name: str
    items: int
    """Items of four words or more; shorter ones would be found by chance."""
    origin: str
    how_much: str
    """Which part of the set this is."""
    keys: Keys
    """Ascending."""
    numbers: NDArray[np.uint16]
    """Of each key, its item's place in the set's file (`origin`), from 1."""


@cache
def hashed_sets() -> tuple[HashedSet, ...]:
    """What `scripts/hash_evaluation_sets.py` wrote into evaluation_sets.npz."""
    with (
        as_file(files("backfire.auditing.faults") / "evaluation_sets.npz") as path,
        np.load(path) as stored,
    ):
        described = json.loads(str(stored["described"]))
        return tuple(
            HashedSet(
                name,
                about["items"],
                about["origin"],
                about["how_much"],
                stored[name],
                stored[f"{name} items"],
            )
            for name, about in described.items()
        )


def evaluation_sets(audited: AuditedPairs) -> tuple[tuple[EvaluationSet, ...], tuple[str, ...]]:
    """The sets that occur, the most pairs first, and all that were looked for, with how much of each is known.

    A pair counts when its whole prompt or its last user turn is an item, up to letter case and white space, its last
    mark, and the wrappers of Alpaca and of question and answer. An item that is worded anew is not found.
    """
    return sets_of(audited, item_numbers(audited))


def item_numbers(audited: AuditedPairs) -> dict[str, Ints]:
    """For each set that occurs the number of the item that each pair's prompt is, 0 where it is none: [pairs]."""
    numbers_by_set = {}
    for hashed in hashed_sets():
        by_turn = _looked_up(audited.last_turn_keys, hashed)
        numbers = np.where(by_turn > 0, by_turn, _looked_up(audited.prompt_keys, hashed))
        if numbers.any():
            numbers_by_set[hashed.name] = numbers
    return numbers_by_set


def _looked_up(keys: Keys, hashed: HashedSet) -> Ints:
    at = np.minimum(np.searchsorted(hashed.keys, keys), len(hashed.keys) - 1)
    numbers: Ints = np.where(hashed.keys[at] == keys, hashed.numbers[at], 0)
    return numbers


def sets_of(
    audited: AuditedPairs,
    items: Mapping[str, Ints],
    blocks: Callable[[], Iterable[pa.RecordBatch]] | None = None,
) -> tuple[tuple[EvaluationSet, ...], tuple[str, ...]]:
    """The sets that occur, counted, with their first rows and what matched, and all that were looked for.

    items: `item_numbers`. blocks: reads the pairs' text anew, for pairs whose text was not kept; only done where an
    evaluation item was found.
    """
    listed = {name: _first(numbers > 0, audited.rows) for name, numbers in items.items()}
    every = np.unique(np.concatenate([np.zeros(0, np.int64), *listed.values()]))
    spans = _spans(audited, every, blocks) if len(every) else {}
    sets = []
    for hashed in hashed_sets():
        if hashed.name in items:
            hits = items[hashed.name] > 0
            sets.append(
                EvaluationSet(
                    name=hashed.name,
                    items=hashed.items,
                    origin=f"{hashed.origin} ({hashed.how_much})",
                    pairs=share(int(hits.sum()), audited.pairs),
                    rows=first_rows(hits, audited.rows),
                    hits=tuple(
                        Hit(row=int(audited.rows[i]), item=int(items[hashed.name][i]), span=spans[i])
                        for i in listed[hashed.name].tolist()
                        if i in spans
                    ),
                )
            )
    sets.sort(key=lambda one: (-one.pairs.hits, one.name))
    return tuple(sets), tuple(f"{hashed.name} ({hashed.how_much})" for hashed in hashed_sets())


def _first(hits: NDArray[np.bool_], rows: Ints) -> Ints:
    """Indices of the MOST_ROWS hits with the smallest row numbers."""
    places = np.flatnonzero(hits)
    return places[np.argsort(rows[places], kind="stable")][:MOST_ROWS]


def _spans(
    audited: AuditedPairs, places: Ints, blocks: Callable[[], Iterable[pa.RecordBatch]] | None
) -> dict[int, str]:
    """The part of each pair's prompt that is an item: its last user turn, or else all of it; by the pair's index."""
    turns = np.isin(audited.last_turn_keys[places], np.concatenate([one.keys for one in hashed_sets()]))
    by_turn = dict(zip(places.tolist(), turns.tolist(), strict=True))
    in_sample = np.isin(places, audited.sample)
    spans: dict[int, str] = {}

    def take(block: pa.RecordBatch | pa.Table, inside: Ints, indices: Ints) -> None:
        few = block.take(pa.array(inside))
        texts = zip(indices.tolist(), few["prompt"].to_pylist(), few["messages"].to_pylist(), strict=True)
        spans.update({i: _span(prompt, turns if by_turn[i] else None) for i, prompt, turns in texts})

    if in_sample.all() or blocks is None:
        take(audited.text, np.searchsorted(audited.sample, places[in_sample]), places[in_sample])
        return spans
    start = 0
    for block in blocks():
        inside = places[(places >= start) & (places < start + len(block))]
        if len(inside):
            take(block, inside - start, inside)
        start += len(block)
    return spans


def _span(prompt: str, messages: str | None) -> str:
    text = prompt
    if messages is not None:
        questions = [turn.get("content") for turn in json.loads(messages) if turn.get("role") == "user"]
        text = questions[-1] if questions and isinstance(questions[-1], str) else prompt
    return text if len(text) <= LONGEST_SPAN else f"{text[: LONGEST_SPAN - 1]}…"
