"""Differences of policies, as tables or as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from backfire.answers.comparisons import FEW, RECIPES, Difference
from backfire.answers.numerals import UNDEFINED, count_of, signed
from backfire.answers.numerals import percent as share_of_100
from backfire.report.terminal.parts import Part, Titled, percent


def comparison_parts(rows: Sequence[Difference], *, markdown: bool = False) -> Iterator[Part]:
    """Tables of each claim and first policy; where no row of a claim has enough units, one line in their place.

    On a terminal each policy and judge has a table of its own, so that 80 columns are enough for names of usual length.
    """
    recipes = any(row.claim == RECIPES and row.p is not None for row in rows)
    for claim in dict.fromkeys(row.claim for row in rows):
        mine = [row for row in rows if row.claim == claim]
        if recipes and claim != RECIPES:
            yield f"{claim.capitalize()}: {len(mine)} rows, in --json FILE."
            continue
        reasons = dict.fromkeys(row.reason for row in mine if row.reason)
        if all((row.reason or "").startswith(FEW) for row in mine):
            yield f"{claim.capitalize()}: {'; '.join(map(str, reasons))}."
            continue
        for first in dict.fromkeys(row.first for row in mine):
            yield from (_markdown if markdown else _tables)(
                claim.capitalize(), first, [row for row in mine if row.first == first]
            )
        for reason in reasons:
            yield f"{sum(row.reason == reason for row in mine)} of {len(mine)} rows: {reason}"


def _tables(claim: str, first: str, rows: Sequence[Difference]) -> Iterator[Part]:
    """One table a policy and judge, with what the rows have in common in its title."""
    for second, judge in dict.fromkeys((row.second, row.judge) for row in rows):
        shown = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        shown.add_column("prompts", overflow="fold")
        for heading in ("n", "rates, %", "points, 95% interval", "p", "Holm"):
            shown.add_column(heading, justify="right", no_wrap=True)
        for row in rows:
            if (row.second, row.judge) == (second, judge):
                rates = f"{share_of_100(row.first_rate)} → {share_of_100(row.second_rate)}"
                shown.add_row(_prompts(row), _n(row), rates, _with_interval(row), _p(row.p), _p(row.adjusted))
        yield Titled(f"{claim}: {second} less {first}, by {judge}", shown)


def _n(row: Difference) -> str:
    """`100`, or over two lines `400` and `in 199`, where responses to one prompt or behaviour count together."""
    if row.unit == "prompt":
        return str(row.n) if row.units == row.n else f"{row.n}\nin {row.units}"
    return f"{row.n} in\n{_units(row)}"


def _with_interval(row: Difference) -> str:
    """`+4.0 [−0.8, +9.0]`; below it what the difference could be, were the unscored responses known."""
    interval = "" if row.low is None else f" [{_points(row.low)}, {_points(row.high)}]"
    bounds = (
        f"\n{row.unscored} unscored:\n{_points(row.lowest)} to {_points(row.highest)}" if row.unscored else ""
    )
    return f"{_points(row.difference)}{interval}{bounds}"


def _markdown(claim: str, first: str, rows: Sequence[Difference]) -> Iterator[Part]:
    bounds = any(row.unscored for row in rows)
    headings = ["policy", "prompts", "judge", "units", "n"]
    headings += ["unscored"] if bounds else []
    headings += ["first", "policy", "difference", "95% interval"]
    headings += ["bounds"] if bounds else []
    headings += ["p", "Holm"]
    yield f"**{claim}: less {first}, in points**\n\n| {' | '.join(headings)} |\n|{'-|' * len(headings)}"
    for row in rows:
        cells = (cell.replace("|", "\\|") for cell in _cells(row, bounds=bounds))
        yield f"| {' | '.join(cells)} |"
    yield ""


def _cells(row: Difference, *, bounds: bool) -> list[str]:
    return [
        row.second,
        _prompts(row),
        row.judge,
        _units(row),
        str(row.n),
        *([str(row.unscored)] if bounds else []),
        percent(row.first_rate),
        percent(row.second_rate),
        _points(row.difference),
        UNDEFINED if row.low is None else f"{_points(row.low)} to {_points(row.high)}",
        *([f"{_points(row.lowest)} to {_points(row.highest)}"] if bounds else []),
        _p(row.p),
        _p(row.adjusted),
    ]


def _prompts(row: Difference) -> str:
    return row.prompts + (", refusals" if row.outcome == "refusal" else "")


def _units(row: Difference) -> str:
    return count_of(row.units, row.unit)


def _points(value: float | None) -> str:
    return UNDEFINED if value is None else signed(value)


def _p(value: float | None) -> str:
    return UNDEFINED if value is None else "<.0001" if value < 0.0001 else f"{value:.4f}".removeprefix("0")
