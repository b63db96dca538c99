"""Rows of a comparison: the difference of two policies or recipes, and what may be concluded from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backfire.answers.in_notebooks import InNotebooks

Outcome = Literal["harmful", "refusal", "score"]
"""What is counted: responses judged harmful, needless refusals, or hits by another tool's own score."""
Claim = Literal["these checkpoints", "these recipes", "unseen wrappers"]
RECIPES: Claim = "these recipes"
FEW = "not enough units"
"""How the reason of a row begins that has too few units for an interval or a p."""


@dataclass(frozen=True)
class Difference(InNotebooks):
    """The second policy's (or recipe's) rate minus the first's, and what may be concluded from it."""

    claim: Claim
    first: str
    second: str
    prompts: str
    """The set, or `all attacks`."""
    judge: str
    outcome: Outcome
    unit: str
    """What varies: `prompt`, a tag such as `noun`, `world`, `seed` or `wrapper`."""
    units: int
    n: int
    """Prompts scored on both sides; over all units."""
    unscored: int
    first_rate: float | None
    second_rate: float | None
    difference: float | None
    low: float | None
    high: float | None
    lowest: float | None
    """The least and the greatest difference, whatever the unscored were."""
    highest: float | None
    p: float | None
    mcnemar: float | None = None
    """Exact McNemar, of these checkpoints: equal to p where a unit is a prompt."""
    adjusted: float | None = None
    """p after Holm's correction over the rows of this claim."""
    reason: str | None = None
    """Why there is no interval or p."""


class Differences(list[Difference], InNotebooks):
    """The rows of a comparison, which a notebook shows as a table for each claim."""
