"""The tables of a comparison on the terminal: every number whole, at 80 columns and at 200."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from backfire.answers.comparisons import Difference
from backfire.report import comparison_parts
from backfire.report.terminal.parts import Titled

ROW = Difference(
    claim="these checkpoints",
    first="runs/my-sft",
    second="runs/my-dpo-of-a-long-name",
    prompts="simple-safety-tests/translated into Zulu",
    judge="refusals",
    outcome="harmful",
    unit="prompt",
    units=199,
    n=400,
    unscored=7,
    first_rate=0.464,
    second_rate=1.0,
    difference=-0.536,
    low=-0.601,
    high=-0.472,
    lowest=-0.554,
    highest=-0.519,
    p=0.0312,
    adjusted=1.0,
)


def printed(rows: list[Difference], width: int) -> str:
    console = Console(width=width, file=StringIO())
    for part in comparison_parts(rows):
        if isinstance(part, Titled):
            console.print(part.title)
            console.print(part.table)
        else:
            console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= width
    return str(text)


@pytest.mark.parametrize("width", [80, 200])
def test_numbers_stand_whole_at_any_width(width: int) -> None:
    text = printed([ROW, replace(ROW, prompts="advbench/direct", n=100, units=100, unscored=0)], width)
    assert "runs/my-dpo-of-a-long-name less runs/my-sft, by refusals" in text
    for number in (
        "46.4 → 100.0",
        "−53.6 [−60.1, −47.2]",
        "7 unscored:",
        "−55.4 to −51.9",
        ".0312",
        "1.0000",
        "in 199",
    ):
        assert number in text
    assert "advbench/direct" in text


def test_each_judge_has_a_table_of_its_own() -> None:
    text = printed([ROW, replace(ROW, judge="phrases", outcome="refusal")], 80)
    assert text.count("less runs/my-sft, by") == 2
    assert "by phrases" in text
    assert "refusals" in text.partition("by phrases")[2]


def test_other_units_are_named() -> None:
    text = printed([replace(ROW, unit="behaviour", units=6, n=12)], 80)
    assert "12 in" in text
    assert "6 behaviours" in text
