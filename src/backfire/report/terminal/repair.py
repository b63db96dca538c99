"""A repaired data set: what became of every pair, and the audit before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from backfire.report.terminal.parts import DIGITS, Part, counted, row_numbers, table

if TYPE_CHECKING:
    from backfire.repairing import Prediction, Repaired


def repair_parts(repaired: Repaired, method: str) -> Iterator[Part]:
    """What was written and left out; then the numbers that the repair was meant to move."""
    from backfire.repairing import faults_left

    yield f"{method}: {repaired.pairs} pairs in {repaired.folder} ({counted(repaired.changed)})"
    read, written = repaired.input, repaired.output
    yield f"  read: {read.rows} rows, digest {read.digest[:DIGITS]}; written: digest {written.digest[:DIGITS]}"
    for why, rows in repaired.left_out.items():
        yield f"  left out: {len(rows)} ({row_numbers(rows)}): {why}"
    if repaired.without_pair:
        yield f"  rows that gave no pair: {counted(repaired.without_pair)}"
    if repaired.choice is not None and repaired.choice.prediction is not None:
        target, share = repaired.choice.target, repaired.choice.prediction.share
        yield f"the smallest change predicted to lie above {target:g}: {share:.0%} of the pairs"
    if repaired.after is not None and (left := faults_left(repaired.after)):
        pairs = {effect.name: effect.pairs.hits for effect in left if effect.pairs is not None}
        yield (
            f"this method leaves faults of single pairs in ({counted(pairs)}): `{left[0].fix}` takes them out"
        )
    yield from _before_and_after(repaired)


def _before_and_after(repaired: Repaired) -> Iterator[Part]:
    from backfire.repairing import side_by_side

    before, after = repaired.before, repaired.after
    lines = [] if before is None or after is None else side_by_side(before, after)
    if repaired.influence is not None:
        first, second = map(_predicted, repaired.influence)
        lines.append(("mean influence, nats a unit step", first, second))
    if lines:
        shown = table("", "before", "after")
        for line in lines:
            shown.add_row(*line)
        yield shown


def _predicted(prediction: Prediction) -> str:
    return f"{prediction.mean:.4g} [{prediction.low:.4g} to {prediction.high:.4g}]"
