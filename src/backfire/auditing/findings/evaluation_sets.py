"""Prompts that are items of named evaluation sets, found by keys: no item's text is shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from backfire.answers.confounds import EvaluationSet
from backfire.auditing.audited_pairs import AuditedPairs, Keys
from backfire.auditing.findings.generation_traces import first_rows
from backfire.auditing.probes.uncertainty import share

Flags = NDArray[np.bool_]


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


@cache
def hashed_sets() -> tuple[HashedSet, ...]:
    """What `scripts/hash_evaluation_sets.py` wrote into evaluation_sets.npz."""
    with (
        as_file(files("backfire.auditing.findings") / "evaluation_sets.npz") as path,
        np.load(path) as stored,
    ):
        described = json.loads(str(stored["described"]))
        return tuple(
            HashedSet(name, about["items"], about["origin"], about["how_much"], stored[name])
            for name, about in described.items()
        )


def evaluation_sets(audited: AuditedPairs) -> tuple[tuple[EvaluationSet, ...], tuple[str, ...]]:
    """The sets that occur, the most pairs first, and all that were looked for, with how much of each is known.

    A pair counts when its whole prompt or its last user turn is an item, up to letter case and white space, its last
    mark, and the wrappers of Alpaca and of question and answer. An item that is worded anew is not found.
    """
    return sets_of(audited, item_flags(audited))


def item_flags(audited: AuditedPairs) -> dict[str, Flags]:
    """Which pairs have an item of each set that occurs, [pairs]."""
    flags = {
        hashed.name: np.isin(audited.last_turn_keys, hashed.keys) | np.isin(audited.prompt_keys, hashed.keys)
        for hashed in hashed_sets()
    }
    return {name: hits for name, hits in flags.items() if hits.any()}


def sets_of(
    audited: AuditedPairs, flags: Mapping[str, Flags]
) -> tuple[tuple[EvaluationSet, ...], tuple[str, ...]]:
    """The sets that occur, counted, with their first rows, and all that were looked for."""
    sets = []
    for hashed in hashed_sets():
        if hashed.name in flags:
            hits = flags[hashed.name]
            sets.append(
                EvaluationSet(
                    name=hashed.name,
                    items=hashed.items,
                    origin=f"{hashed.origin} ({hashed.how_much})",
                    pairs=share(int(hits.sum()), audited.pairs),
                    rows=first_rows(hits, audited.rows),
                )
            )
    sets.sort(key=lambda one: (-one.pairs.hits, one.name))
    return tuple(sets), tuple(f"{hashed.name} ({hashed.how_much})" for hashed in hashed_sets())
