"""`report`: a study's page and table from its results.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from backfire.cli.command import Command, OutputFile
from backfire.cli.terminal import counted, say, show, warn
from backfire.settings import Argument, Metavar

if TYPE_CHECKING:
    from backfire.answers import Results


class Report(Command):
    """Write the page of a run anew, and print its table."""

    results: Annotated[Path, Argument(), Metavar("RUN")]
    """A run folder, or its results.json."""
    picture: Annotated[OutputFile | None, Metavar("FILE.svg")] = None
    """The file into which attack success per recipe is also drawn."""

    def run(self) -> None:
        from backfire.answers import read_results
        from backfire.report import write_picture
        from backfire.study import outdated, rewrite_page

        results = read_results(self.results)
        folder = self.results if self.results.is_dir() else self.results.parent
        page = rewrite_page(self.results)
        if why := outdated(folder):
            warn(f"{why}: run the study again")
        show_results(results)
        if self.picture is not None:
            say(f"picture: {write_picture(results, self.picture)}")
        say(f"page: {page}")


def show_results(results: Results) -> None:
    """The table of recipes, the cells that are missing from it, and what was left out, with the reasons."""
    from backfire.report import results_table, worlds_table

    show(results_table(results))
    over_worlds = worlds_table(results)
    if over_worlds is not None:
        show(over_worlds)
    missing = results.stages.get("cells_missing")
    if isinstance(missing, dict):
        for cell, why in missing.items():
            warn(f"not in the table: {cell}: {why}")
    parts = results.stages.get("parts_missing")
    if isinstance(parts, dict):
        for cell, why in parts.items():
            warn(f"not measured: {cell}: {why}")
    left_out = results.stages.get("left_out")
    if isinstance(left_out, dict):
        for what, reasons in left_out.items():
            warn(f"left out: {what}: {counted(reasons) if isinstance(reasons, dict) else reasons}")
