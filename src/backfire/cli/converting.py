"""`convert`: preference data of any form, written in the one form that trainers take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from backfire.answers.numerals import count_of
from backfire.cli.command import Command, OutputFile
from backfire.cli.exits import keeping
from backfire.cli.terminal import DIGITS, row_numbers, say
from backfire.preferences.settings import ConvertSettings
from backfire.settings import Argument, DatasetReference

if TYPE_CHECKING:
    from backfire.preferences import Converted


class Convert(Command):
    """Write preference data of any form as conversational prompt, chosen and rejected, which TRL takes as they are.

    Every other column is kept, with the number of the row. Rows that give no pair are counted by reason. Exit code 2,
    and no file, where no row gives a pair.
    """

    dataset: Annotated[DatasetReference, Argument()]
    """A JSONL, JSON, CSV or Parquet file, packed or not, a folder of pairs, a saved data set, or a hub name."""
    out: OutputFile
    """The file to write: a .jsonl or .json file, also with .gz, or a .parquet file."""
    settings: ConvertSettings = ConvertSettings()

    def run(self) -> None:
        from backfire.preferences import convert

        with keeping("nothing was written; run the same command again"):
            done = convert(self.dataset, self.out, self.settings)
        say_converted(done)


def say_converted(done: Converted) -> None:
    """What was read, how many pairs it gave, and what was left out."""
    say(f"read as: {done.format}")
    for note in done.notes:
        say(note)
    say(f"{count_of(done.pairs, 'pair')} from {count_of(done.rows, 'row')}, digest {done.digest[:DIGITS]}")
    for kind, rows in done.left_out.items():
        say(f"  rows left out: {len(rows)} {kind} ({row_numbers(rows)})")
    if done.further:
        say(f"  further columns kept: {', '.join(done.further)}")
    for name, new in done.renamed.items():
        say(f"  the column {name} is called {new}, since trainers would take it for part of the pair")
    if done.by_side:
        names = ", ".join(done.by_side)
        say(
            f"  further columns that differ between the two rows of a pair, kept for each side as chosen_NAME and rejected_NAME: {names}"
        )
    each = "plain text" if done.plain else "a list of turns"
    say(f"in {done.path}: prompt, chosen and rejected, each {each}")
