"""The table of recipes as a file: CSV or Parquet with every number unrounded, or Markdown or LaTeX as a paper prints it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from backfire.answers.numerals import printable
from backfire.answers.results import Results, parse_results
from backfire.errors import InputError
from backfire.report.audit.markdown import plain
from backfire.report.study.columns import Column, Entry, columns
from backfire.report.study.grid import Grid
from backfire.store import whole_file, write_csv, write_text

ENDINGS = (".csv", ".parquet", ".md", ".tex")
_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "’": "'",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\n": " ",
    "\t": " ",
}
_SPECIAL = re.compile("|".join(map(re.escape, _LATEX)))


def write_results_table(results: Results | Mapping[str, Any], path: str | Path) -> Path:
    """Write a study's table, as the file's name ends.

    A `.csv` or `.parquet` file has one row a cell with every number of `Results.to_arrow`. A `.md` or `.tex` file has the numbers that
    the page's table shows, with their 95% intervals.

    Raises:
        InputError: a name that ends otherwise, or results that break the schema.
    """
    path, checked = Path(path), parse_results(results)
    ending = path.suffix.lower()
    if ending == ".csv":
        with whole_file(path) as aside:
            write_csv(aside, checked.to_arrow())
    elif ending == ".parquet":
        import pyarrow.parquet as parquet

        with whole_file(path) as aside:
            parquet.write_table(checked.to_arrow(), aside)
    elif ending == ".md":
        write_text(path, results_markdown(checked))
    elif ending == ".tex":
        write_text(path, results_latex(checked))
    else:
        raise InputError(f"{path}: the name of a table has to end in {', '.join(ENDINGS)}")
    return path


def results_markdown(results: Results | Mapping[str, Any]) -> str:
    """A Markdown table of recipes, one for each target, world and seed, in which names from the data stay text."""
    grid = Grid(parse_results(results))
    shown = columns(grid)
    parts = []
    for group, rows in _rows(grid, shown, plain):
        names = ["recipe", *(plain(_heading(column)) for column in shown)]
        lines = [f"**{plain(group)}**", ""] if len(grid.groups) > 1 else []
        lines += [_line(names), _line(["-", *["-:"] * len(shown)]), *map(_line, rows)]
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, _NOTE, ""])


_NOTE = "Brackets hold 95% intervals; n is the number of scored responses."


def results_latex(results: Results | Mapping[str, Any]) -> str:
    """A LaTeX table of recipes for the package booktabs, in which names from the data stay text."""
    grid = Grid(parse_results(results))
    shown = columns(grid)
    above, rules, place = [""], [], 2
    for heading, below in groupby(column.heading for column in shown):
        width = len(list(below))
        above.append(rf"\multicolumn{{{width}}}{{c}}{{{latex(heading)}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    body = []
    for group, rows in _rows(grid, shown, latex):
        if len(grid.groups) > 1:
            body += [r"\midrule", rf"\multicolumn{{{len(shown) + 1}}}{{l}}{{{latex(group)}}} \\"]
        body += [r"\midrule", *(f"{' & '.join(row)} \\\\" for row in rows)]
    lines = [
        "% Needs \\usepackage{booktabs}. " + _NOTE,
        rf"\begin{{tabular}}{{l{'r' * len(shown)}}}",
        r"\toprule",
        f"{' & '.join(above)} \\\\",
        " ".join(rules),
        f"{' & '.join(['recipe', *(latex(column.name) for column in shown)])} \\\\",
        f"{' & '.join(['', *(latex(column.unit) for column in shown)])} \\\\",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join([*lines, ""])


def latex(text: str) -> str:
    """Text as LaTeX that prints it and does nothing else."""
    return _SPECIAL.sub(lambda match: _LATEX[match[0]], printable(text))


def _rows(
    grid: Grid, shown: list[Column], written: Callable[[str], str]
) -> list[tuple[str, list[list[str]]]]:
    return [
        (
            group.label,
            [
                [written(cell.recipe), *(written(_entry(column.entry(group, cell))) for column in shown)]
                for cell in group.cells
            ],
        )
        for group in grid.groups
    ]


def _entry(entry: Entry) -> str:
    """`61.4 [58.1–64.5]`, then what else stands below the number."""
    bounds = [
        line for line in entry.small if line and not line.startswith(("n ", "±")) and "unscored" not in line
    ]
    others = [line for line in entry.small if line not in bounds]
    return " ".join([entry.text, *(f"[{line}]" for line in bounds), *(f"({line})" for line in others)])


def _heading(column: Column) -> str:
    unit = f" ({column.unit})" if column.unit else ""
    return f"{column.heading}: {column.name}{unit}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
