"""Means over worlds for a terminal: the world is the unit, its families and seeds are one cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from backfire.answers.numerals import decimal, interval, percent, printable, signed
from backfire.answers.results import BASELINE, Results, parse_results
from backfire.report.study.grid import Grid, Mean, standing_of_change
from backfire.report.study.paper import agreement
from backfire.report.study.table import STYLES


def worlds_table(results: Results | Mapping[str, Any]) -> Table | None:
    """One row per recipe: ASR, its change from SFT within each world, general score and separability, each a mean over
    worlds with a 95% t-interval where there are at least three. None for a study of one world.
    """
    checked = parse_results(results)
    grid = Grid(checked)
    if len(grid.worlds) < 2:
        return None
    probe = grid.pictured_probe
    table = Table(
        title=Text(f"{printable(checked.name)}: means over {len(grid.worlds)} worlds"),
        caption=_caption(grid),
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=0,
    )
    table.add_column("recipe", overflow="fold")
    for attack in grid.attacks:
        for heading in (f"ASR\n{printable(attack)}\n%", "change\nfrom SFT\npoints"):
            table.add_column(heading, justify="right", overflow="fold")
    table.add_column("general\nmean\n%", justify="right")
    if probe is not None:
        table.add_column(f"separ.\n{printable(probe)}\nAUROC", justify="right")
    for recipe in grid.recipes:
        row: list[Text | str] = [Text(printable(recipe))]
        for attack in grid.attacks:
            rate, change = grid.mean_asr(recipe, attack), grid.mean_change(recipe, attack)
            row.append(_text(rate, percent))
            row.append(
                "" if recipe == BASELINE else _text(change, signed, STYLES[standing_of_change(change)])
            )
        row.append(percent(grid.mean_general(recipe).value))
        if probe is not None:
            row.append(decimal(grid.mean_auroc(recipe, probe).value))
        table.add_row(*row)
    return table


def _text(mean: Mean, shown: Any, style: str = "") -> Text:
    text = Text(shown(mean.value), style=style)
    bounds = interval(shown(mean.low), shown(mean.high))
    return text.append(f"\n{bounds}", style="dim") if bounds else text


def _caption(grid: Grid) -> str:
    lines = [
        "95% t-intervals over worlds; green and red: the change from SFT leaves out zero (not corrected for"
    ]
    lines.append(f"the {len(grid.recipes) - 1} recipes and {len(grid.attacks)} attacks compared)")
    for row in agreement(grid):
        if row.rho is not None:
            lines.append(f"{row.attack}: Spearman's rho with the paper's order {row.rho:.2f}, n = {row.n}")
    return "\n".join(lines)
