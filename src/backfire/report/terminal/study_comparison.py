"""Two studies beside one another, a table a cell that fits 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backfire.answers.comparisons import Difference
from backfire.answers.numerals import UNDEFINED, printable, signed
from backfire.report.audit.markdown import plain
from backfire.report.terminal.parts import Part, Titled, Warned, percent, table

MOST = 5
"""Cells or numbers that are named one by one before the rest is counted."""


def study_comparison_parts(
    first: str,
    second: str,
    rows: Sequence[Difference],
    only: tuple[Sequence[str], Sequence[str]],
    not_paired: Mapping[str, str],
    not_compared: Sequence[str],
    *,
    markdown: bool = False,
) -> Iterator[Part]:
    """A table for each cell, in percent and points; then what only one study has, and what was not paired."""
    headings = ["measured", "A", "B", "B - A", "95% interval", "n", "p", "Holm"]
    yield f"A: {printable(first)}"
    yield f"B: {printable(second)}"
    for cell in dict.fromkeys(row.second for row in rows):
        lines = [_line(row) for row in rows if row.second == cell]
        if markdown:
            yield f"\n**{plain(cell)}**\n\n| {' | '.join(headings)} |\n|-|{'-:|' * (len(headings) - 1)}"
            yield from (f"| {' | '.join(map(plain, line))} |" for line in lines)
            continue
        shown = table(*headings)
        for line in lines:
            shown.add_row(*map(printable, line))
        yield Titled(printable(cell), shown)
    if any(row.unit == "unpaired" for row in rows):
        yield "* These rows compare the two rates alone, and not the same requests one by one."
    for name, cells in zip((first, second), only, strict=True):
        if cells:
            yield Warned(f"only in {name}: {_named(cells)}")
    if not_compared:
        yield Warned(f"only one of the two has: {_named(not_compared)}")
    for reason in dict.fromkeys(not_paired.values()):
        cells = [cell for cell, why in not_paired.items() if why == reason]
        yield Warned(f"not paired: {_named(cells)}: {reason}")


def _line(row: Difference) -> list[str]:
    what = {"harmful": "", "refusal": ", refused", "score": ""}[row.outcome]
    low, high = signed(row.low), signed(row.high)
    return [
        f"{row.prompts}{what}, {row.judge}{'*' if row.unit == 'unpaired' else ''}",
        percent(row.first_rate),
        percent(row.second_rate),
        signed(row.difference),
        UNDEFINED if row.low is None else f"{low} to {high}",
        str(row.n) + (f" ({row.unscored} unscored)" if row.unscored else ""),
        _p(row.p),
        _p(row.adjusted),
    ]


def _p(value: float | None) -> str:
    return UNDEFINED if value is None else "<.0001" if value < 0.0001 else f"{value:.4f}".removeprefix("0")


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST
    return "; ".join(names[:MOST]) + (f" and {more} more" if more > 0 else "")
