"""What an audit concludes: its level, its effects in order, lengths, and the known sets beside it; parts of its schema."""

from __future__ import annotations

import re
from typing import Literal

from backfire.answers.estimates import Accuracy, Count, Estimate, Part, Share, Unit

Level = Literal["unknown", "none found", "some", "strong"]
"""How much of the label can be told without understanding the request. It is no level of danger."""

FIRST = " First: "
"""In a verdict, between the level with its reason and the first thing to do."""


COMMAND = re.compile(r":? ?`(backfire [^`]+)`[.;]?")


def split_step(step: str) -> tuple[str, str | None]:
    """A step of the advice without its command, and the command, where there is one: it stands in backticks."""
    command = COMMAND.search(step)
    return (step, None) if command is None else (step[: command.start()], command[1])


def changes_data(step: str) -> bool:
    """Whether the command of a step writes another data set."""
    command = split_step(step)[1]
    return command is not None and command.startswith(("backfire repair ", "backfire convert "))


class Input(Part):
    """What was read: an answer holds of these pairs alone."""

    digest: str
    """SHA-256 of all usable pairs with what is known of them, in their order: the same whatever form and packing they came
    in."""
    rows: Count


class SideLengths(Part):
    """How long the two sides are, and how much of the label length alone tells."""

    unit: Literal["words", "tokens"]
    chosen: float
    """The median of chosen responses."""
    rejected: float
    longer: Share
    """Pairs whose chosen response is longer, of those whose lengths differ; pairs of equal length are unscored."""
    effect: Estimate | None = None
    """Mean difference chosen - rejected over its standard deviation across pairs (Cohen's d_z); left out where all pairs differ
    alike, or nearly so, and there is no standard deviation to measure by."""
    pairwise: Accuracy | None = None
    """How often length alone says which response was chosen; whether longer or shorter is fixed by the other folds."""


class Effect(Part):
    """One thing that was found, with the pairs that it touches and the command that removes it."""

    name: str
    """The finding's stable name, such as `length` or `cue:bold marks`."""
    what: str
    """One sentence with the numbers."""
    pairs: Share | None = None
    size: Unit
    """What effects are ordered by: the share of pairs that it touches; of what tells the label, the bits that it gives of it."""
    low: Unit
    high: Unit
    rows: tuple[int, ...] = ()
    """The first 1,000; of pairs that are made of two rows (KTO) both rows."""
    fix: str | None = None
    """The command that removes it."""
    condition: str | None = None
    """Its name among the conditions of `--fail-on`."""


class ReferencePoint(Part):
    """What the same probe gave on a known set: a yardstick instead of 50%."""

    name: str
    probe: str
    auroc: Unit
    low: Unit
    high: Unit
    pairwise: Unit | None = None
    """Pairwise accuracy, where it was measured."""
    pairwise_low: Unit | None = None
    pairwise_high: Unit | None = None
    pairs: Count
    origin: str


class Conclusion(Part):
    level: Level
    verdict: str = ""
    """One or two sentences: the level, what it stands on, and what to do first."""
    effects: tuple[Effect, ...] = ()
    """Everything that was found, the largest first."""
    reasons: tuple[str, ...]
    advice: tuple[str, ...]
    """What to do next."""
