"""`compare`: two policies on the same prompts, or a study's recipes, with what each difference says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from backfire.cli.command import Command, JsonFile
from backfire.cli.terminal import percent, say, show, table, write_answer
from backfire.comparing.settings import CompareSettings
from backfire.settings import Argument, FileReference, Metavar

if TYPE_CHECKING:
    from backfire.answers.comparisons import Difference

RECIPES = "these recipes"


class Compare(Command):
    """Compare policies on the same prompts: differences with 95% intervals, exact tests, Holm's correction.

    Rows about these checkpoints say what these two policies do on prompts like these. Rows about these recipes need
    three or more worlds or seeds, rows about unseen wrappers ten or more wrappers; with fewer they say so. What is
    unscored stays out of a rate, and the bounds show the most it could change.
    """

    runs: Annotated[tuple[FileReference, ...], Argument(), Metavar("RUN_OR_JSON")]
    """A run folder, or two or more files of `backfire attack --json`, the first of which is compared with every other."""
    settings: CompareSettings = CompareSettings()
    markdown: bool = False
    """Print Markdown tables."""
    json_file: JsonFile = None
    """Write the result, numbers unrounded, to FILE."""

    def run(self) -> None:
        from backfire.comparing import compare

        rows = compare(self.runs, self.settings)
        _show(rows, markdown=self.markdown)
        if self.json_file is not None:
            differences = [asdict(row) for row in rows]
            write_answer(self.json_file, {"seed": self.settings.seed, "differences": differences})


def _show(rows: Sequence[Difference], *, markdown: bool) -> None:
    """A table a claim and first policy; where no row of a claim has enough units, one line in its place."""
    from backfire.comparing.differences import FEW

    recipes = any(row.claim == RECIPES and row.p is not None for row in rows)
    for claim in dict.fromkeys(row.claim for row in rows):
        mine = [row for row in rows if row.claim == claim]
        if recipes and claim != RECIPES:
            say(f"{claim.capitalize()}: {len(mine)} rows, in --json FILE.")
            continue
        reasons = dict.fromkeys(row.reason for row in mine if row.reason)
        if all((row.reason or "").startswith(FEW) for row in mine):
            say(f"{claim.capitalize()}: {'; '.join(map(str, reasons))}.")
            continue
        for first in dict.fromkeys(row.first for row in mine):
            title = f"{claim.capitalize()}: less {first}, in points"
            _print(title, [row for row in mine if row.first == first], markdown=markdown)
        for reason in reasons:
            say(f"{sum(row.reason == reason for row in mine)} of {len(mine)} rows: {reason}")


def _print(title: str, rows: Sequence[Difference], *, markdown: bool) -> None:
    bounds = any(row.unscored for row in rows)
    headings = ["policy", "prompts", "judge", "units", "n"]
    headings += ["unscored"] if bounds else []
    headings += ["first", "policy", "difference", "95% interval"]
    headings += ["bounds"] if bounds else []
    headings += ["p", "Holm"]
    lines = [_cells(row, bounds=bounds) for row in rows]
    if markdown:
        say(f"**{title}**\n\n| {' | '.join(headings)} |\n|{'-|' * len(headings)}")
        for line in lines:
            say(f"| {' | '.join(each.replace('|', chr(92) + '|') for each in line)} |")
        say()
        return
    shown = table(*headings, left=3)
    for line in lines:
        shown.add_row(*line)
    show(shown, title)


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
        "–" if row.low is None else f"{_points(row.low)} to {_points(row.high)}",
        *([f"{_points(row.lowest)} to {_points(row.highest)}"] if bounds else []),
        _p(row.p),
        _p(row.adjusted),
    ]


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "<.0001" if value < 0.0001 else f"{value:.4f}".removeprefix("0")
