"""What the user sees: lines and tables on stdout, warnings and errors on stderr."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

COLOURS = {"error": 31, "warning": 33, "interrupted": 33}
"""Red and yellow, as terminals number them."""
WIDE = 140
"""Columns of a table that is not shown on a terminal."""
DIGITS = 16
"""Of a digest that is shown; the JSON has all 64."""
EXAMPLES = 5
"""Row numbers named for each reason why rows were left out."""


def say(text: str = "") -> None:
    """A line of the answer."""
    print(text)


def tell(text: str) -> None:
    """A line beside the answer, on stderr."""
    print(text, file=sys.stderr)


def complain(what: str, text: str) -> None:
    """`error: ...`, `warning: ...`, `interrupted: ...` on stderr."""
    colour = COLOURS.get(what) if sys.stderr.isatty() and "NO_COLOR" not in os.environ else None
    tell(f"\x1b[{colour}m{what}\x1b[0m: {text}" if colour else f"{what}: {text}")


def warn(text: str) -> None:
    complain("warning", text)


def show(renderable: Any, title: str = "") -> None:
    """A rich table or group below its title, as wide as the terminal, or WIDE where there is none."""
    from rich.console import Console

    if title:
        say(title)
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(renderable)


def table(*headings: str, left: int = 1) -> Any:
    """A rich table whose first `left` columns are text and whose others are numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        made.add_column(heading, justify="left" if place < left else "right", overflow="fold")
    return made


def counted(counts: Mapping[str, int]) -> str:
    """`eos 590, length 10`; `none` where nothing was counted."""
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def row_numbers(rows: tuple[int, ...]) -> str:
    """`row 7`; `rows 1, 2, 3, 4, 5 and 12 more`."""
    from backfire.answers.numerals import shown_rows

    return f"row{'s' if len(rows) > 1 else ''} {shown_rows(rows, EXAMPLES)}"


def percent(rate: float | None) -> str:
    """A rate as a percentage; a dash where it is undefined."""
    return "–" if rate is None else f"{100 * rate:.1f}%"


def interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{100 * low:.1f}–{100 * high:.1f}%"


def catch_warnings() -> None:
    """Python warnings as one clean line each; those that concern only developers stay silent."""

    def shown(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        warn(str(message))

    if not sys.warnoptions:
        warnings.simplefilter("default")
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
    warnings.showwarning = shown


def write_answer(path: Path, value: object) -> None:
    """Write what was shown as JSON, and say where."""
    from backfire.store import write_json

    write_json(path, value)
    say(f"in {path}: the same, unrounded")
