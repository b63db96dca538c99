"""What an answer on the terminal is made of, and how its numbers are written there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table

from backfire.answers.numerals import UNDEFINED, shown_rows
from backfire.answers.numerals import percent as share_of_100

DIGITS = 16
"""Of a digest that is shown; the JSON has all 64."""
EXAMPLES = 5
"""Row numbers named for each reason why rows were left out."""


@dataclass(frozen=True)
class Warned:
    """A line beside the answer: what did not go as one would wish."""

    text: str


@dataclass(frozen=True)
class Failed:
    """What did not succeed, with a line for each part of it."""

    text: str
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Titled:
    """A table below its title."""

    title: str
    table: RenderableType


Part: TypeAlias = "str | Warned | Failed | Titled | RenderableType"
"""A line of the answer, a line beside it, or a table."""


def table(*headings: str, left: int = 1) -> Table:
    """A table whose first `left` columns are text and whose others are numbers."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        made.add_column(heading, justify="left" if place < left else "right", overflow="fold")
    return made


def counted(counts: Mapping[str, int]) -> str:
    """`eos 590, length 10`; `none` where nothing was counted."""
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def row_numbers(rows: tuple[int, ...]) -> str:
    """`row 7`; `rows 1, 2, 3, 4, 5 and 12 more`."""
    return f"row{'s' if len(rows) > 1 else ''} {shown_rows(rows, EXAMPLES)}"


def percent(rate: float | None) -> str:
    """A rate as a percentage; a dash where it is undefined."""
    return UNDEFINED if rate is None else f"{share_of_100(rate)}%"


def interval(low: float | None, high: float | None) -> str:
    """`3.0–12.5%`; a dash where it is undefined."""
    return UNDEFINED if low is None or high is None else f"{share_of_100(low)}–{share_of_100(high)}%"
