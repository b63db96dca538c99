"""`report`: a study's page and table from its results.json."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from backfire.cli.command import Command, OutputFile
from backfire.cli.terminal import present, say, warn
from backfire.settings import Argument, Metavar


class Report(Command):
    """Write the page of a run anew, and print its table."""

    results: Annotated[Path, Argument(), Metavar("RUN")]
    """A run folder, or its results.json."""
    picture: Annotated[OutputFile | None, Metavar("FILE.svg")] = None
    """The file into which attack success per recipe is also drawn."""

    def run(self) -> None:
        from backfire.answers import read_results
        from backfire.report import results_parts, write_picture
        from backfire.study import outdated, rewrite_page

        results = read_results(self.results)
        folder = self.results if self.results.is_dir() else self.results.parent
        page = rewrite_page(self.results)
        if why := outdated(folder):
            warn(f"{why}: run the study again")
        present(results_parts(results))
        if self.picture is not None:
            say(f"picture: {write_picture(results, self.picture)}")
        say(f"page: {page}")
