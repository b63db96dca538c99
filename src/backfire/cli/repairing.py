"""`repair`: a better preference data set made of a given one."""

from __future__ import annotations

from typing import Annotated

from backfire.cli.command import Command, OutputFolder
from backfire.cli.exits import keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import present
from backfire.repairing.settings import RepairCall
from backfire.settings import Argument, DatasetReference


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
        from backfire.report import repair_parts

        failure = "nothing was written; run the same command again"
        if isinstance(self.how, Restyle) and self.how.ledger is not None:
            failure += f": what was sampled is in {self.how.ledger}"
        with keeping(failure), progress(f"repairing {self.dataset}") as advance:
            repaired = repair(self.dataset, self.how, out=self.out, settings=self.settings, progress=advance)
        present(repair_parts(repaired, self.how.method))
