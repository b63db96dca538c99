"""What the user sees: lines and tables on stdout, warnings and errors on stderr."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from backfire.report.terminal.parts import Part

COLOURS = {"error": 31, "warning": 33, "interrupted": 33}
"""Red and yellow, as terminals number them."""
WIDE = 140
"""Columns of a table that is not shown on a terminal."""


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


def present(parts: Iterable[Part]) -> None:
    """The parts of an answer, one after another: lines and tables on stdout, warnings and failures on stderr."""
    from backfire.report.terminal.parts import Failed, Titled, Warned

    for part in parts:
        match part:
            case str():
                say(part)
            case Warned():
                warn(part.text)
            case Failed():
                complain("error", part.text)
                for line in part.lines:
                    tell(f"  {line}")
            case Titled():
                show(part.table, part.title)
            case _:
                show(part)


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
