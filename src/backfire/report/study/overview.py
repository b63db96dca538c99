"""The README's picture: one SVG file of a study's attack success rates that stands on its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfire.answers.numerals import printable
from backfire.answers.results import Results, parse_results
from backfire.errors import InputError
from backfire.report.drawing import altair, to_svg
from backfire.report.study.grid import Grid
from backfire.report.study.pictures import asr_chart, kind_of
from backfire.store import write_text

LEGEND = {
    "baseline": "SFT, before DPO",
    "people": "ranked by people",
    "source": "ranked by who wrote it",
    "reward model": "ranked by a reward model",
    "other": "another recipe",
}
"""What the page and the picture call each kind of recipe."""


def write_picture(results: Results | Mapping[str, Any], path: str | Path) -> Path:
    """Write attack success per recipe, one panel per attack, side by side, to an SVG file; return its path.

    It is the page's first picture, drawn on white so that it can be read on any background.
    Raises InputError when the results break the schema, when nothing was attacked, or when `path` is no .svg file.
    """
    path = Path(path)
    if path.suffix.lower() != ".svg":
        raise InputError(f"{path}: pictures are written as SVG; name a file that ends in .svg")
    grid = Grid(parse_results(results))
    if not grid.attacks:
        raise InputError(f"{path}: no cell has an attack success rate to draw; run the study's attacks first")
    write_text(path, _svg(grid))
    return path


def _svg(grid: Grid) -> str:
    alt = altair()
    kinds = sorted({kind_of(recipe) for recipe in grid.recipes}, key=list(LEGEND).index)
    legend = alt.Legend(
        orient="bottom",
        direction="horizontal",
        title=None,
        values=kinds,
        labelLimit=240,
        labelExpr=f"({json.dumps(LEGEND)})[datum.label]",
    )
    panels = [
        asr_chart(grid, attack, legend=legend, named=place == 0).properties(title=printable(attack))
        for place, attack in enumerate(grid.attacks)
    ]
    return to_svg(alt.hconcat(*panels, spacing=24), background="#ffffff")
