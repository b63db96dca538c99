"""The page's pictures as files, SVG or PDF, each of which stands on its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backfire.answers.results import Results, parse_results
from backfire.errors import InputError
from backfire.report.drawing import pdf_of, stand_alone
from backfire.report.study.grid import Grid
from backfire.report.study.pictures import pictures
from backfire.store import whole_file, write_text

FORMATS = ("svg", "pdf")


def write_figures(
    results: Results | Mapping[str, Any], folder: str | Path, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Write every picture of a study's page to a folder, a file for each panel and format; return their paths.

    A file is named for its picture and its panel, such as `how-often-each-attack-succeeds-direct.pdf`.

    Raises:
        InputError: a format that is not known, results that break the schema, or packages of the pictures that are not installed.
    """
    if unknown := [one for one in formats if one not in FORMATS]:
        raise InputError(f"{unknown[0]!r} is no format of a figure: there are {', '.join(FORMATS)}")
    folder, written = Path(folder), []
    for name, svg in _panels(Grid(parse_results(results))):
        for ending in formats:
            path = folder / f"{name}.{ending}"
            if ending == "svg":
                write_text(path, svg)
            else:
                with whole_file(path) as aside:
                    aside.write_bytes(pdf_of(svg))
            written.append(path)
    return written


def _panels(grid: Grid) -> Iterator[tuple[str, str]]:
    names: dict[str, int] = {}
    for picture in pictures(grid):
        for panel in picture.panels:
            title = panel.title.partition(" · ")[0]
            name = re.sub(r"[^a-z0-9]+", "-", f"{picture.title} {title}".lower()).strip("-")
            names[name] = names.get(name, 0) + 1
            yield name if names[name] == 1 else f"{name}-{names[name]}", stand_alone(panel)
