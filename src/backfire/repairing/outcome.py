"""What a repair leaves: every given pair is either in the new data set or counted as left out, with a reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from backfire.pairs import Pair

Change = Literal[
    "kept",
    "response rewritten",
    "response cut",
    "response trimmed",
    "re-paired",
    "labels switched",
    "added",
]


@dataclass(frozen=True)
class RepairedPair:
    """One pair of the new data set."""

    pair: Pair
    change: Change
    """What happened to it."""
    why: str
    place: int | None
    """The given pair that it is or replaces, counted from 0; None where it was added."""


@dataclass(frozen=True)
class Outcome:
    """The new pairs in the order of the given ones, added ones last, and the given pairs that are not among them."""

    pairs: tuple[RepairedPair, ...]
    left_out: Mapping[str, tuple[int, ...]]
    """Places of given pairs by reason."""
    others: Mapping[int, int] = field(default_factory=dict)
    """Of pairs that were left out for another pair's sake, the place of that one."""

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs were kept, changed, added and left out."""
        counted: dict[str, int] = dict(sorted(Counter(m.change for m in self.pairs).items()))
        return {**counted, "left out": sum(map(len, self.left_out.values()))}

    def account_for(self, given: int) -> None:
        """Raise ValueError unless each of the given pairs is in the outcome once, or left out once."""
        places = [m.place for m in self.pairs if m.place is not None]
        places += [place for some in self.left_out.values() for place in some]
        if sorted(places) != list(range(given)):
            raise ValueError(f"of {given} given pairs {len(places)} are accounted for")


def outcome_of(repaired_pairs: Iterable[RepairedPair], left_out: Iterable[tuple[str, int]]) -> Outcome:
    """An outcome in its order, from pairs and (reason, place) in any."""
    ordered = sorted(repaired_pairs, key=lambda m: (m.place is None, m.place or 0))
    reasons: defaultdict[str, list[int]] = defaultdict(list)
    for reason, place in left_out:
        reasons[reason].append(place)
    return Outcome(tuple(ordered), {reason: tuple(sorted(some)) for reason, some in sorted(reasons.items())})
