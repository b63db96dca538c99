"""Differences of policies, as tables or as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backfire.answers.comparisons import FEW, RECIPES, Difference
from backfire.answers.numerals import UNDEFINED
from backfire.report.terminal.parts import Part, Titled, percent, table


def comparison_parts(rows: Sequence[Difference], *, markdown: bool = False) -> Iterator[Part]:
    """A table a claim and first policy; where no row of a claim has enough units, one line in its place."""
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
            title = f"{claim.capitalize()}: less {first}, in points"
            yield from _shown(title, [row for row in mine if row.first == first], markdown=markdown)
        for reason in reasons:
            yield f"{sum(row.reason == reason for row in mine)} of {len(mine)} rows: {reason}"


def _shown(title: str, rows: Sequence[Difference], *, markdown: bool) -> Iterator[Part]:
    bounds = any(row.unscored for row in rows)
    headings = ["policy", "prompts", "judge", "units", "n"]
    headings += ["unscored"] if bounds else []
    headings += ["first", "policy", "difference", "95% interval"]
    headings += ["bounds"] if bounds else []
    headings += ["p", "Holm"]
    lines = [_cells(row, bounds=bounds) for row in rows]
    if markdown:
        yield f"**{title}**\n\n| {' | '.join(headings)} |\n|{'-|' * len(headings)}"
        for line in lines:
            yield f"| {' | '.join(each.replace('|', chr(92) + '|') for each in line)} |"
        yield ""
        return
    shown = table(*headings, left=3)
    for line in lines:
        shown.add_row(*line)
    yield Titled(title, shown)


def _cells(row: Difference, *, bounds: bool) -> list[str]:
    return [
        row.second,
        row.prompts + (", refusals" if row.outcome == "refusal" else ""),
        row.judge,
        f"{row.units} {row.unit}{'' if row.units == 1 else 's'}",
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


def _points(value: float | None) -> str:
    return UNDEFINED if value is None else f"{100 * value:+.1f}"


def _p(value: float | None) -> str:
    return UNDEFINED if value is None else "<.0001" if value < 0.0001 else f"{value:.4f}".removeprefix("0")
