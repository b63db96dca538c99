"""`report`: a study's page and table from its results.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backfire.cli.terminal import counted, say, show, warn

if TYPE_CHECKING:
    from backfire.answers import Results


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or its results.json.")],
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture", metavar="FILE.svg", help="Also draw attack success per recipe into FILE.svg."
        ),
    ] = None,
) -> None:
    """Write the page of a run anew, and print its table."""
    from backfire.answers import read_results
    from backfire.report import write_picture
    from backfire.study import outdated, rewrite_page

    results = read_results(run)
    folder = run if run.is_dir() else run.parent
    page = rewrite_page(run)
    if why := outdated(folder):
        warn(f"{why}: run the study again")
    show_results(results)
    if picture is not None:
        say(f"picture: {write_picture(results, picture)}")
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
