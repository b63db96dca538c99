"""Where a data set's pairs come from: topics of the prompts by source, decision and predicted push; parts of the audit's schema."""

from __future__ import annotations

from typing import Literal

from backfire.answers.estimates import Count, Part, Share, Unit

SideDecides = Literal["refuses", "complies", "undecided"]


class TopicCell(Part):
    """Pairs of one topic whose chosen response one source wrote, and whose two sides make the same two decisions."""

    source: str | None = None
    """Who wrote the chosen responses; left out where it is not recorded."""
    chosen: SideDecides
    """What the chosen responses do."""
    rejected: SideDecides
    """What the rejected responses do."""
    pairs: Count
    of: Count
    """Pairs of the topic whose chosen response this source wrote, whatever they decide."""
    push: float | None = None
    """The sum of `measure` over its pairs: below 0 is away from refusing. Left out where no pair was read."""
    away: Unit | None = None
    """Its part of the push away from refusing: of the summed values below 0 of all pairs that were read."""
    rows: tuple[int, ...] = ()
    """The first 20 row numbers: those that push most away from refusing, or the first in the data where nothing was measured."""
    example: str | None = None
    """The prompt of the first of these rows whose text was kept, cut to 200 characters."""


class Topic(Part):
    """Prompts that share words, or that lie close together."""

    number: Count
    """From 1, the largest first; 0 holds the prompts that belong to no topic."""
    terms: tuple[str, ...] = ()
    """The words that tell its prompts from all others."""
    named: Unit | None = None
    """The share of its prompts that hold at least one of these words."""
    pairs: Count
    harmful: Share | None = None
    """Of the pairs whose prompt's kind is stated, those that are harmful."""
    chosen_complies: Share
    """Of the chosen responses on which the judge gave a decision."""
    rejected_complies: Share
    push: float | None = None
    """As in the cells."""
    away: Unit | None = None
    cells: tuple[TopicCell, ...] = ()


class Topics(Part):
    """The prompts by topic."""

    by: str
    """`words`, or the name of the embedder."""
    prompts: Count
    """Different prompts that the topics were found on."""
    measure: str | None = None
    """What the push is the sum of: the column of the per-pair file."""
    read: Count = 0
    """Pairs of which it is known."""
    topics: tuple[Topic, ...] = ()
    reason: str | None = None
    """Why no topics were found."""
