"""The pairs of a data set that a person should look at first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SideDecides = Literal["refuses", "complies", "undecided"]


@dataclass(frozen=True)
class WorstSide:
    """One of the two responses."""

    text: str
    decides: SideDecides
    source: str | None


@dataclass(frozen=True)
class WorstPair:
    """A pair, and why it is shown."""

    row: int
    key: str
    """`answers.decisions.pair_key`."""
    prompt: str
    kind: str
    """harmful, benign or unknown."""
    chosen: WorstSide
    rejected: WorstSide
    reasons: tuple[str, ...]
    """Such as `contradictions`, or what is predicted of it."""


@dataclass(frozen=True)
class WorstPairs:
    """The pairs to look at first, the worst one first."""

    dataset: str
    digest: str
    of: int
    """Pairs that were audited."""
    order: str
    """What they are ordered by, in words."""
    pairs: tuple[WorstPair, ...]
