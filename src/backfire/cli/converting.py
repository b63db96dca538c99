"""`convert`: preference data of any form, written in the one form that trainers take."""

from __future__ import annotations

from typing import Annotated

from backfire.cli.command import Command, OutputFile
from backfire.cli.exits import keeping
from backfire.cli.terminal import present
from backfire.preferences.settings import ConvertSettings
from backfire.settings import Argument, DatasetReference


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
        from backfire.report import converted_parts

        with keeping("nothing was written; run the same command again"):
            done = convert(self.dataset, self.out, self.settings)
        present(converted_parts(done))
