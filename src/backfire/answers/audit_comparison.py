"""What has changed between two audits; a part of the audit's schema."""

from __future__ import annotations

from typing import Literal

from backfire.answers.estimates import Count, Estimate, Part, Unit

Direction = Literal["worse", "better", "no clear change"]


class Change(Part):
    """One number of both audits."""

    name: str
    """The finding's stable name, and what of it is meant, such as `debris: ChatML marks, chosen`."""
    unit: Literal["share", "AUROC", "accuracy", "cosine"]
    before: Estimate
    after: Estimate
    change: Estimate
    """after - before; the two data sets are taken for independent samples."""
    p: Unit
    """Two-sided, of no change; Fisher's exact test of shares, else by the interval. Corrected by Holm for all that is compared."""
    direction: Direction
    new: bool = False
    """It did not occur in the earlier audit, and occurs in this one."""


class AuditComparison(Part):
    """This audit beside an earlier one: by shares and estimates, and not by counts."""

    dataset: str
    """What the earlier audit was of."""
    digest: str | None = None
    """Of the pairs of the earlier audit, where it says so."""
    pairs: Count
    """Pairs that the earlier audit read."""
    same_pairs: bool
    """Both audits read the same pairs, so that nothing can have become worse."""
    changes: tuple[Change, ...] = ()
    """All that both audits measured: what is worse first, then what is better, each with the smallest p first."""
    not_compared: tuple[str, ...] = ()
    """What only one of the two audits measured."""

    def of(self, direction: Direction) -> tuple[Change, ...]:
        """The changes in this direction."""
        return tuple(change for change in self.changes if change.direction == direction)
