"""What the user sees: lines and tables on stdout, warnings and errors on stderr."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from backfire.answers.numerals import printable

if TYPE_CHECKING:
    from backfire.report.terminal.parts import Part

COLOURS = {"error": 31, "warning": 33, "interrupted": 33}
"""Red and yellow, as terminals number them."""
WIDE = 140
"""Columns of a table that is not shown on a terminal, where COLUMNS does not say how many there are."""
COMMAND = "backfire "
"""How a line begins that is there to be copied, and is not broken."""
_json_out: TextIO | None = None
"""Standard output, while what is meant to be read goes to stderr."""


def say(text: str = "") -> None:
    """A line of the answer. Control characters are made visible."""
    print(_broken(printable(text), sys.stdout))


def tell(text: str) -> None:
    """A line beside the answer, on stderr, by the first of several processes. Control characters are made visible."""
    if is_first():
        _tell(printable(text))


def is_first() -> bool:
    """Whether this is the only process of a command, or the first of those that torchrun or accelerate started."""
    return os.environ.get("RANK", "0") == "0"


def _tell(text: str) -> None:
    print(_broken(text, sys.stderr), file=sys.stderr)


def _broken(text: str, stream: TextIO) -> str:
    """A text whose lines are broken between words where a terminal, or COLUMNS, is narrower.

    What is no sentence stays whole: a line that begins with `backfire`, or with more than a little white space, such as JSON.
    """
    columns = _columns(stream)
    if columns is None:
        return text
    import textwrap

    lines = []
    for line in text.split("\n"):
        start = line[: len(line) - len(line.lstrip())]
        if len(line) <= columns or len(start) > 4 or line.lstrip().startswith((COMMAND, "{", "[", "|")):
            lines.append(line)
            continue
        lines += textwrap.wrap(
            line,
            columns,
            subsequent_indent=f"{start}  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _columns(stream: TextIO) -> int | None:
    """How wide a stream is; None where it is no terminal, and COLUMNS says nothing."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    if not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def complain(what: str, text: str) -> None:
    """`error: ...`, `warning: ...`, `interrupted: ...` on stderr."""
    colour = COLOURS.get(what) if sys.stderr.isatty() and "NO_COLOR" not in os.environ else None
    text = printable(text)
    _tell(f"\x1b[{colour}m{what}\x1b[0m: {text}" if colour else f"{what}: {text}")


def warn(text: str) -> None:
    complain("warning", text)


def show(renderable: Any, title: str = "") -> None:
    """A rich table or group below its title, as wide as the terminal, or WIDE where there is none."""
    from rich.console import Console

    if title:
        say(title)
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _columns(sys.stdout) or WIDE
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


@contextmanager
def json_alone() -> Iterator[None]:
    """While this holds, what is meant to be read goes to stderr, and `print_json` alone writes to stdout."""
    global _json_out
    before, _json_out = _json_out, sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _json_out = before


def print_json(value: object) -> None:
    """JSON on stdout, numbers not rounded; NaN is refused."""
    print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False), file=_json_out or sys.stdout)


def write_answer(path: Path, value: object) -> None:
    """Write what was shown as JSON, and say where; `-` is stdout."""
    from backfire.cli.command import STDOUT
    from backfire.store import write_json

    if path == STDOUT:
        print_json(value)
        return
    write_json(path, value)
    say(f"in {path}: the same, unrounded")
