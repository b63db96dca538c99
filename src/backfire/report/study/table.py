"""The table of recipes for a terminal: the page's numbers, fewer columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from backfire.answers.numerals import printable
from backfire.answers.results import Results, parse_results
from backfire.report.study.columns import Column, Entry, columns
from backfire.report.study.grid import Grid, Standing

STYLES: dict[Standing, str] = {"below": "green", "above": "red", "same": "", "unknown": ""}


def results_table(results: Results | Mapping[str, Any]) -> Table:
    """One row per cell, grouped by family, target, world and seed; single tasks and other probes stay on the page.

    So do the training columns where safety influence takes their place.
    Attack success and over-refusal below SFT's (their 95% intervals do not meet) are green, above it red.
    Raises InputError when the results break the schema.
    """
    checked = parse_results(results)
    grid = Grid(checked)
    left_out = {*grid.tasks, *grid.probes} - {grid.pictured_probe}
    others = [column for column in columns(grid) if column.heading != "Paper"]
    if grid.has_influence:
        left_out |= {"final loss", "reward accuracy"}
    shown = [column for column in others if column.name not in left_out]
    table = Table(
        title=Text(printable(checked.name)),
        caption="95% intervals below the rates; green and red: the interval lies wholly below or above SFT’s",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    table.add_column("recipe", overflow="fold")
    for column in shown:
        table.add_column(Text(_heading(column)), justify="right", overflow="fold")
    for group in grid.groups:
        if len(grid.groups) > 1:
            table.add_section()
            table.add_row(Text(printable(group.label), style="bold"))
        for cell in group.cells:
            entries = [_text(column, column.entry(group, cell)) for column in shown]
            table.add_row(Text(printable(cell.recipe)), *entries)
    return table


def _heading(column: Column) -> str:
    short = {
        "Attack success rate": "ASR ",
        "Over-refusal": "over- refusal ",
        "General tasks": "general ",
        "Separability": "separ. ",
        "Safety influence": "infl. ",
        "Pilot": "pilot ",
        "Training": "",
    }[column.heading]
    name = column.name.replace("accuracy", "acc.")
    return printable(f"{short}{name}".replace(" ", "\n") + f"\n{column.unit}").rstrip()


def _text(column: Column, entry: Entry) -> Text:
    text = Text(entry.text, style=STYLES[entry.standing])
    for line in () if column.heading == "Separability" else entry.small:
        text.append(f"\n{line}", style="dim")
    return text
