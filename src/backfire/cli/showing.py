"""`show`: pairs as the tokens that training is handed."""

from __future__ import annotations

from typing import Annotated

from backfire.auditing.settings import ShowSettings
from backfire.cli.command import Command, JsonFile, OutputFile
from backfire.cli.progress import progress
from backfire.cli.terminal import say, show, write_answer
from backfire.settings import Argument, DatasetReference, Metavar, ModelReference


class Show(Command):
    """Show pairs as the tokens that training is handed, and count over all pairs what goes wrong on the way.

    The answer says whose words a token belongs to and whether it carries the loss, which end tokens are missing or
    doubled, what --max-length cuts, and what the chat template leaves out.
    """

    dataset: Annotated[DatasetReference, Argument()]
    """A JSONL, JSON, CSV or Parquet file, packed or not, a folder of pairs, a saved data set, or a hub name."""
    policy: Annotated[ModelReference, Metavar("MODEL")]
    """The model to be trained. Its tokenizer and chat template are opened, no weights."""
    settings: ShowSettings = ShowSettings()
    html: OutputFile | None = None
    """Write the same as one page, which loads nothing."""
    json_file: JsonFile = None
    """Write the answer to FILE, with numbers unrounded. With - it is printed, and everything else goes to stderr."""

    def run(self) -> None:
        from backfire.auditing import show as shown_of
        from backfire.report import shown_table, write_shown_page

        with progress(f"reading {self.dataset}"):
            shown = shown_of(self.dataset, self.policy, self.settings)
        show(shown_table(shown))
        if self.html is not None:
            say(f"in {write_shown_page(shown, self.html)}: the same as a page")
        if self.json_file is not None:
            write_answer(self.json_file, shown.model_dump(mode="json", exclude_none=True))
