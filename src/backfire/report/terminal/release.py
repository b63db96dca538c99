"""A release check, and what became of a release file, on 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table

from backfire.answers.numerals import printable
from backfire.answers.release import ReleaseCheck, ReleaseReport
from backfire.report.release.words import (
    DIGITS,
    HEADLINES,
    VERDICTS,
    formulas,
    limit_of,
    looked_at,
    number_of,
    remarks,
    unscored,
)
from backfire.report.terminal.parts import Part, Warned

WIDTH = 80
STATES = {"same": "same", "differs": "DIFFERS", "not checked": "not checked"}


def release_parts(report: ReleaseReport) -> Iterator[Part]:
    """The verdict, a row for each rule and set, what would decide the undecided, and what was not scored."""
    yield _filled(f"{report.name}: {VERDICTS[report.verdict]}. {HEADLINES[report.verdict]}")
    for side, model in (("base", report.binding.base), ("candidate", report.binding.candidate)):
        yield _filled(f"{side}: {model.model} ({model.model_id[:DIGITS]})")
    shown = _table((("verdict", 11), ("what", 26), ("limit", 13), ("estimate [interval]", 22)))
    for one in report.results:
        shown.add_row(
            VERDICTS[one.verdict],
            printable(looked_at(one)),
            limit_of(one),
            number_of(one).replace(" [", "\n["),
        )
    yield shown
    for text in remarks(report):
        yield _filled(f"- {text}")
    if how := formulas(report):
        yield _filled(f"  (cases that would decide: {'; '.join(how)})")
    for text in unscored(report):
        yield Warned(text)


def release_check_parts(check: ReleaseCheck) -> Iterator[Part]:
    """Each part of the binding, and what it comes to."""
    shown = _table((("part", 20), ("state", 11), ("why", 45)))
    for one in check.parts:
        shown.add_row(printable(one.part), STATES[one.state], printable(one.why))
    yield shown
    ends = {
        "same": "The file is bound to what lies here.",
        "differs": "The file does not speak of what lies here.",
        "not checked": "The file is whole, and what could be checked is the same. --base, --candidate and --prompts-dir name where "
        "models and prompts lie now.",
    }
    yield _filled(f"{ends[check.state]} Its verdict: {check.verdict}.")


def _table(columns: tuple[tuple[str, int], ...]) -> Table:
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading, width in columns:
        made.add_column(heading, overflow="fold", max_width=width)
    return made


def _filled(text: str) -> str:
    indent = "  " if text.startswith(("- ", "  ")) else ""
    return textwrap.fill(
        printable(text).strip(),
        WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
