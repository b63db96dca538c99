"""`repair`: a better preference data set made of a given one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from backfire.cli.command import Command, OutputFolder
from backfire.cli.exits import keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import DIGITS, counted, row_numbers, say, show, table
from backfire.repairing.settings import RepairCall
from backfire.settings import Argument, DatasetReference

if TYPE_CHECKING:
    from backfire.repairing import Prediction, Repaired


class RepairDataset(RepairCall, Command):
    """Make a better preference data set of a given one, with what was changed and why.

    Writes a folder of pairs that TRL reads, with columns repair, repair_change, repair_why and row beside the further
    columns of the given rows, and repair.json, which lists what was left out. Prints the audit before and after.
    """

    dataset: Annotated[DatasetReference, Argument()]
    """A folder of pairs, or what `backfire audit` reads."""
    out: OutputFolder
    """The folder in which the new pairs are written, in place of pairs that stand there. Where pairs are only left out
    (clean, filter, balance by length), it may be a .jsonl, .json or .parquet file, which gets the rows that stay as they
    are."""

    def run(self) -> None:
        from backfire.repairing import Restyle, repair

        failure = "nothing was written; run the same command again"
        if isinstance(self.how, Restyle) and self.how.ledger is not None:
            failure += f": what was sampled is in {self.how.ledger}"
        with keeping(failure), progress(f"repairing {self.dataset}") as advance:
            repaired = repair(self.dataset, self.how, out=self.out, settings=self.settings, progress=advance)
        _show(repaired, self.how.method)


def _show(repaired: Repaired, method: str) -> None:
    from backfire.repairing import faults_left, side_by_side

    say(f"{method}: {repaired.pairs} pairs in {repaired.folder} ({counted(repaired.changed)})")
    read, written = repaired.input, repaired.output
    say(f"  read: {read.rows} rows, digest {read.digest[:DIGITS]}; written: digest {written.digest[:DIGITS]}")
    for why, rows in repaired.left_out.items():
        say(f"  left out: {len(rows)} ({row_numbers(rows)}): {why}")
    if repaired.without_pair:
        say(f"  rows that gave no pair: {counted(repaired.without_pair)}")
    lines = (
        []
        if repaired.before is None or repaired.after is None
        else side_by_side(repaired.before, repaired.after)
    )
    if repaired.influence is not None:
        first, second = map(_predicted, repaired.influence)
        lines.append(("mean influence, nats a unit step", first, second))
    if repaired.choice is not None and repaired.choice.prediction is not None:
        target, share = repaired.choice.target, repaired.choice.prediction.share
        say(f"the smallest change predicted to lie above {target:g}: {share:.0%} of the pairs")
    if repaired.after is not None and (left := faults_left(repaired.after)):
        pairs = {effect.name: effect.pairs.hits for effect in left if effect.pairs is not None}
        say(
            f"this method leaves faults of single pairs in ({counted(pairs)}): `{left[0].fix}` takes them out"
        )
    if lines:
        shown = table("", "before", "after")
        for line in lines:
            shown.add_row(*line)
        show(shown)


def _predicted(prediction: Prediction) -> str:
    return f"{prediction.mean:.4g} [{prediction.low:.4g} to {prediction.high:.4g}]"
