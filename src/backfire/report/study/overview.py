"""The README's picture: one SVG or PDF file of a study's attack success rates that stands on its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfire.answers.numerals import printable
from backfire.answers.results import Results, parse_results
from backfire.errors import InputError
from backfire.report.drawing import altair, pdf_of, to_svg
from backfire.report.study.grid import Grid
from backfire.report.study.pictures import asr_chart, kind_of
from backfire.store import whole_file, write_text

LEGEND = {
    "baseline": "SFT, before DPO",
    "people": "ranked by people",
    "source": "ranked by who wrote it",
    "reward model": "ranked by a reward model",
    "other": "another recipe",
}
"""What the page and the picture call each kind of recipe."""


def write_picture(results: Results | Mapping[str, Any], path: str | Path) -> Path:
    """Write attack success per recipe, one panel per attack, side by side, to an SVG or PDF file; return its path.

    It is the page's first picture, drawn on white so that it can be read on any background.
    Raises InputError when the results break the schema, when nothing was attacked, or when `path` ends in neither .svg nor .pdf.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (".svg", ".pdf"):
        raise InputError(f"{path}: pictures are written as SVG or PDF; name a file that ends in .svg or .pdf")
    grid = Grid(parse_results(results))
    if not grid.attacks:
        raise InputError(f"{path}: no cell has an attack success rate to draw; run the study's attacks first")
    if ending == ".svg":
        write_text(path, _svg(grid))
        return path
    with whole_file(path) as aside:
        aside.write_bytes(pdf_of(_svg(grid)))
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
