"""The page: one self-contained HTML file, without scripts and without a single network request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from backfire.answers.attack import Example
from backfire.answers.numerals import UNDEFINED, cut, decimal, interval, percent, signed
from backfire.answers.results import Cell, Results, parse_results
from backfire.report.drawing import KIND_COLOURS
from backfire.report.study.columns import PARTS, Column, Entry, columns
from backfire.report.study.grid import FEWEST_WORLDS, Grid, Group, Mean
from backfire.report.study.overview import LEGEND
from backfire.report.study.paper import PAPER, agreement, paper_order
from backfire.report.study.pictures import kind_of, pictures
from backfire.report.study.summary import answer
from backfire.report.templates import render
from backfire.statistics.rank_correlation import SIGNIFICANT_AT_SEVEN
from backfire.store import write_text

MOST_RESPONSE = 1500
MOST_PROMPT = 800
MOST_EXAMPLES = 300_000
"""Characters of examples on a whole page, shared evenly by the cells; what does not fit is counted."""

OPEN_GROUPS = 3
"""So many groups of cells stand open; with more, all but the first are folded."""


@dataclass(frozen=True)
class Row:
    """A row of the main table; `number` leads to the cell's provenance."""

    cell: Cell
    number: int
    kind: str
    entries: list[Entry]
    parts: list[str | None]
    """Of each entry, the part of the cell's provenance that it leads to."""


@dataclass(frozen=True)
class Section:
    group: Group
    rows: list[Row]
    open: bool


@dataclass(frozen=True)
class ShownExample:
    """An example as the page shows it, with how many characters were cut from either text."""

    example: Example
    prompt: str
    prompt_cut: int
    response: str
    response_cut: int


@dataclass(frozen=True)
class Dossier:
    """Everything behind one cell's row."""

    cell: Cell
    number: int
    kind: str
    examples: list[ShownExample]
    examples_left: int


def render_page(results: Results | Mapping[str, Any]) -> str:
    """The HTML page of a study's results, the same bytes for the same results.

    Raises InputError when the results break the schema, or when the pictures' packages are not installed.
    """
    checked = parse_results(results)
    grid = Grid(checked)
    shown = columns(grid)
    numbers = {cell.id: number for number, cell in enumerate(grid.cells, 1)}
    filters: dict[str, Callable[..., Any]] = {
        "percent": percent,
        "decimal": decimal,
        "interval": interval,
        "signed": signed,
        "value": _value,
        "band": _band,
    }
    return render(
        "study/page.html.jinja",
        filters,
        results=checked,
        grid=grid,
        answer=answer(grid),
        missing=_missing(checked),
        headings=[
            (name, len(list(columns_below)))
            for name, columns_below in groupby(column.heading for column in shown)
        ],
        columns=shown,
        starts=_starts(shown),
        sections=_sections(grid, shown, numbers),
        summary=_summary(grid),
        named_worlds=any(grid.worlds),
        fewest_worlds=FEWEST_WORLDS,
        legend=LEGEND,
        kinds=[kind for kind in KIND_COLOURS if any(kind_of(recipe) == kind for recipe in grid.recipes)],
        pictures=pictures(grid),
        paper=PAPER,
        paper_order=paper_order(),
        agreement=agreement(grid),
        significant=SIGNIFICANT_AT_SEVEN,
        dossiers=_dossiers(grid, numbers),
        undefined=UNDEFINED,
    )


def write_page(results: Results | Mapping[str, Any], folder: str | Path) -> Path:
    """Write the page to `folder`/index.html, whole or not at all, and return its path."""
    path = Path(folder) / "index.html"
    write_text(path, render_page(results))
    return path


def _missing(results: Results) -> list[tuple[str, object]]:
    """What the study was to have and has not, with the reason; said before anything else."""
    lines: list[tuple[str, object]] = []
    if isinstance(why := results.stages.get("outdated"), str):
        lines.append(("Of an earlier run", why))
    for key, what in (
        ("cells_missing", "Not on this page"),
        ("parts_missing", "Not measured"),
        ("failed", "Failed"),
        ("left_out", "Left out"),
    ):
        named = results.stages.get(key)
        if isinstance(named, dict):
            lines += [(f"{what}: {name}", why) for name, why in named.items()]
    return lines


def _sections(grid: Grid, shown: list[Column], numbers: dict[str, int]) -> list[Section]:
    sections = []
    for place, group in enumerate(grid.groups):
        rows = []
        for cell in group.cells:
            entries = [column.entry(group, cell) for column in shown]
            parts = [
                None if entry.text == UNDEFINED else PARTS.get(column.heading)
                for column, entry in zip(shown, entries, strict=True)
            ]
            rows.append(Row(cell, numbers[cell.id], kind_of(cell.recipe), entries, parts))
        sections.append(Section(group, rows, place == 0 or len(grid.groups) <= OPEN_GROUPS))
    return sections


def _starts(shown: list[Column]) -> list[bool]:
    """Which columns begin a heading, for the rule between them."""
    return [i == 0 or shown[i - 1].heading != column.heading for i, column in enumerate(shown)]


def _summary(grid: Grid) -> list[tuple[str, str, list[tuple[Mean, Mean]]]]:
    """Recipe, kind, and for each attack the mean rate and the mean change from SFT; only for several groups."""
    if len(grid.groups) < 2:
        return []
    return [
        (
            recipe,
            kind_of(recipe),
            [(grid.mean_asr(recipe, attack), grid.mean_change(recipe, attack)) for attack in grid.attacks],
        )
        for recipe in grid.recipes
    ]


def _dossiers(grid: Grid, numbers: dict[str, int]) -> list[Dossier]:
    budget = MOST_EXAMPLES // len(grid.cells)
    dossiers = []
    for cell in grid.cells:
        examples: list[ShownExample] = []
        used = 0
        for example in cell.examples:
            prompt, prompt_cut = cut(example.prompt, MOST_PROMPT)
            response, response_cut = cut(example.response, MOST_RESPONSE)
            used += len(prompt) + len(response)
            if used > budget and examples:
                break
            examples.append(ShownExample(example, prompt, prompt_cut, response, response_cut))
        left = len(cell.examples) - len(examples)
        dossiers.append(Dossier(cell, numbers[cell.id], kind_of(cell.recipe), examples, left))
    return dossiers


def _value(value: object) -> str:
    """A provenance or settings value as text."""
    if value is None:
        return UNDEFINED
    if isinstance(value, dict) and value and not any(isinstance(v, dict | list) for v in value.values()):
        return "; ".join(f"{name}: {_value(content)}" for name, content in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _band(mean: Mean, places: str = "percent") -> str:
    show = signed if places == "signed" else percent
    return interval(show(mean.low), show(mean.high))
