"""Kinds of prompts and of pairs, and dividing a number among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import floor
from typing import TYPE_CHECKING, TypeVar

from backfire.judges import decide
from backfire.pairs import Pair
from backfire.records import Decided

if TYPE_CHECKING:
    from backfire.judges import Judge

Key = TypeVar("Key", bound=Hashable)
Decisions = tuple[Decided, Decided]
"""What chosen and rejected decide."""


def kind_of(pair: Pair) -> str:
    """harmful, benign or unknown."""
    return pair.prompt.kind or "unknown"


def decisions_of(judge: Judge, pairs: Sequence[Pair]) -> list[Decisions]:
    """The decisions of both sides of every pair."""
    return [(decide(judge, p.prompt, p.chosen).what, decide(judge, p.prompt, p.rejected).what) for p in pairs]


def places_by(keys: Iterable[Key]) -> dict[Key, list[int]]:
    """The places of each key."""
    places: defaultdict[Key, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    return dict(places)


def divide(total: int, sizes: Mapping[Key, int]) -> dict[Key, int]:
    """Divide `total` in proportion to the sizes, by largest remainders; never more than a size.

    Each share differs from its exact proportion by less than one, and they add up to `total`.
    """
    everything = sum(sizes.values())
    if not 0 <= total <= everything:
        raise ValueError(f"{total} of {everything} cannot be divided")
    if not everything:
        return dict.fromkeys(sizes, 0)
    exact = {key: total * size / everything for key, size in sizes.items()}
    parts = {key: floor(value) for key, value in exact.items()}
    order = sorted(exact, key=lambda key: (parts[key] - exact[key], str(key)))
    for key in order[: total - sum(parts.values())]:
        parts[key] += 1
    return parts
