"""Phrases that the audit's conclusion, the terminal and the page share."""

from __future__ import annotations

from backfire.answers.as_trained import Happening
from backfire.answers.estimates import Estimate
from backfire.answers.influence import PilotOutcome
from backfire.answers.numerals import band, percent, shown_rows

MOST_ROWS = 5


def happening_text(found: Happening, of: int) -> str:
    """`12 of 60 pairs (20.0%; chosen 12, rejected 3; row 1, 7 and 10 more)`."""
    told = [f"{percent(found.pairs / of)}%"] if of else []
    if found.chosen is not None and found.pairs:
        told.append(f"chosen {found.chosen:,}, rejected {found.rejected:,}")
    if found.rows:
        told.append(f"row {shown_rows(found.rows, MOST_ROWS, found.pairs)}")
    return f"{found.pairs:,} of {of:,} pairs ({'; '.join(told)})"


def points(found: Estimate) -> str:
    """A change of a share in points: `−7 [−10 to −4]`."""
    return band(100 * found.value, 100 * found.low, 100 * found.high, 0)


def pilot_text(found: PilotOutcome) -> str:
    """What a pilot did to the probes, in one line, with the intervals over probe prompts."""
    parts = []
    if found.refusal_change is not None:
        before, after = (f"{percent(share)}%" for share in (found.refused_before, found.refused_after))
        moved = f"refusals of {found.scored:,} harmful requests from {before} to {after}"
        parts.append(f"{moved} ({points(found.refusal_change)} points)")
    if found.margin_change is not None:
        change = found.margin_change
        parts.append(f"their margin by {band(change.value, change.low, change.high, 2)} nats")
    steps = f"{found.steps:,} step{'s' if found.steps != 1 else ''}"
    unscored = f"; {found.unscored:,} requests unscored" if found.unscored else ""
    return (
        f"A pilot of {steps} ({found.pairs:,} pairs, learning rate {found.lr:g}) moved"
        f" {' and '.join(parts) or 'nothing that could be scored'}{unscored}"
    )
