"""`ledger merge`: the ledgers of several machines as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from backfire.cli.command import Command, Written
from backfire.cli.exits import keeping
from backfire.cli.progress import progress
from backfire.cli.terminal import present
from backfire.settings import Argument, FileReference, Metavar


class Merge(Command):
    """Put what several ledgers hold into one, each prompt, response, score and verdict once.

    A ledger has one machine that writes to it, so several machines write one each. Rows are compared by their ids and
    contents: merging again adds nothing, and an interrupted command goes on where it was. The parts stay as they are.
    """

    parts: Annotated[tuple[FileReference, ...], Argument(), Metavar("PARTS"), Field(min_length=1)]
    """The ledgers to merge."""
    into: Annotated[Path, Written(), Metavar("LEDGER")]
    """The ledger that everything is put into. It is created where it is not there."""
    conflicts: Literal["error", "first"] = "error"
    """What is done where a part answers the same request by another response than LEDGER, or scores or judges it otherwise: error
    stores nothing of that part; first keeps what LEDGER has, and says how many rows are left in the part."""

    def run(self) -> None:
        from backfire.report import merged_parts
        from backfire.store import merge_ledgers

        on_interruption = f"what is merged is in {self.into}; run the same command again to go on"
        with keeping(on_interruption), progress(f"merging into {self.into}") as advance:
            merged = merge_ledgers(self.parts, self.into, conflicts=self.conflicts, progress=advance)
        present(merged_parts(merged))
