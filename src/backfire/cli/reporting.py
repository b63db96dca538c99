"""`report`: a study's page, tables and figures from its results.json."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import field_validator

from backfire.cli.command import Command, OutputFile, ResumedFolder
from backfire.cli.terminal import present, say, warn
from backfire.settings import Argument, Metavar

TABLES = (".csv", ".parquet", ".md", ".tex")
PICTURES = (".svg", ".pdf")


class Report(Command):
    """Write the page of a run anew, and print its table.

    `backfire report compare A B` compares two runs.
    """

    results: Annotated[Path, Argument(), Metavar("RUN")]
    """A run folder, or its results.json."""
    table: Annotated[OutputFile | None, Metavar("FILE")] = None
    """Write the table to FILE as well, as its name ends: .csv or .parquet with one row a cell and every number unrounded; .md or
    .tex (LaTeX) as the page shows it."""
    picture: Annotated[OutputFile | None, Metavar("FILE")] = None
    """Draw attack success per recipe into FILE, which ends in .svg or .pdf."""
    figures: Annotated[ResumedFolder | None, Metavar("FOLDER")] = None
    """Write every figure of the page into FOLDER, each as SVG and as PDF."""

    @field_validator("table")
    @classmethod
    def _known_table(cls, path: Path | None) -> Path | None:
        return _ends_in(path, TABLES)

    @field_validator("picture")
    @classmethod
    def _known_picture(cls, path: Path | None) -> Path | None:
        return _ends_in(path, PICTURES)

    def run(self) -> None:
        from backfire.answers import read_results
        from backfire.report import results_parts, write_figures, write_picture, write_results_table
        from backfire.study import outdated, rewrite_page

        results = read_results(self.results)
        folder = self.results if self.results.is_dir() else self.results.parent
        page = rewrite_page(self.results)
        if why := outdated(folder):
            warn(f"{why}: run the study again")
        present(results_parts(results))
        if self.table is not None:
            say(f"table: {write_results_table(results, self.table)}")
        if self.picture is not None:
            say(f"picture: {write_picture(results, self.picture)}")
        if self.figures is not None:
            written = write_figures(results, self.figures)
            say(f"figures: {len(written)} files in {self.figures}")
        say(f"page: {page}")


def _ends_in(path: Path | None, endings: tuple[str, ...]) -> Path | None:
    if path is not None and path.suffix.lower() not in endings:
        raise ValueError(f"the file's name has to end in {', '.join(endings)}")
    return path
