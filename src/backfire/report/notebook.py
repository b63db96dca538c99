"""Answers as HTML for notebooks: the lines and tables of the terminal, without colours of its own, so that light and dark fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from html import escape
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from backfire.answers.numerals import printable
from backfire.report.terminal.parts import Failed, Part, Titled, Warned

NUMBER = "right"
"""How a column of numbers is justified."""


def html_of(answer: Any) -> str:
    """The lines and tables of an answer of `audit`, `attack`, `compare`, `general`, `repair`, a training or a study.

    Text from data is escaped, and its control characters are made visible. A class that is not known gives its repr.
    """
    for cls in type(answer).__mro__:
        if parts_of := PARTS_OF.get(cls.__name__):
            return '<div class="backfire">\n' + "\n".join(_html(parts_of(answer))) + "\n</div>"
    return f"<pre>{escape(repr(answer))}</pre>"


def _html(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        match part:
            case Warned() | Failed():
                what = "warning" if isinstance(part, Warned) else "error"
                yield f"<p><strong>{what}:</strong> {_text(part.text)}</p>"
            case Titled():
                yield f"<p><strong>{_text(part.title)}</strong></p>"
                yield from _html([part.table])
            case Table():
                yield _table(part)
            case Group():
                yield from _html(part.renderables)
            case str() | Text():
                yield f"<p>{_text(part)}</p>"
            case _:
                yield f"<pre>{_text(_plain(part))}</pre>"


def _table(table: Table) -> str:
    columns = list(table.columns)
    numbers = [column.justify == NUMBER for column in columns]
    heads = "".join(
        f'<th scope="col"{_aligned(number)}>{_text(column.header)}</th>'
        for column, number in zip(columns, numbers, strict=True)
    )
    rows = zip(*(list(column.cells) for column in columns), strict=True)
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{_aligned(number)}>{_text(cell)}</td>" for cell, number in zip(row, numbers, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    caption = f"<caption>{_text(table.title)}</caption>" if table.title else ""
    return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _aligned(number: bool) -> str:
    return f' style="text-align: {"right" if number else "left"}"'


def _text(value: Any) -> str:
    plain = value.plain if isinstance(value, Text) else value if isinstance(value, str) else _plain(value)
    return "<br>".join(escape(printable(line)) for line in plain.split("\n"))


def _plain(renderable: Any) -> str:
    """What a renderable prints at 100 columns, without colours."""
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    console = Console(file=out, width=100, markup=False, highlight=False, emoji=False, color_system=None)
    console.print(renderable)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().split("\n"))


def _audit(answer: Any) -> Iterator[Part]:
    from backfire.report.audit.brief import audit_brief

    yield audit_brief(answer)


def _attack(answer: Any) -> Iterator[Part]:
    from backfire.report.terminal.attack import attack_parts

    return attack_parts(answer)


def _general(answer: Any) -> Iterator[Part]:
    from backfire.report.terminal.general import general_parts

    return general_parts("the model", answer)


def _results(answer: Any) -> Iterator[Part]:
    from backfire.report.terminal.study import results_parts

    return results_parts(answer)


def _differences(answer: Any) -> Iterator[Part]:
    from backfire.report.terminal.comparison import comparison_parts

    return comparison_parts(answer if isinstance(answer, list) else [answer])


def _repaired(answer: Any) -> Iterator[Part]:
    from backfire.report.terminal.repair import repair_parts

    return repair_parts(answer, "repaired")


def _training(answer: Any) -> Iterator[Part]:
    from pathlib import Path

    from backfire.report.terminal.training import training_parts

    parts = list(training_parts(answer, Path("the output folder")))
    yield from parts[:-1]  # the last says where the weights are, which the log does not know


PARTS_OF: dict[str, Callable[[Any], Iterable[Part]]] = {
    "AuditReport": _audit,
    "AttackResult": _attack,
    "GeneralResult": _general,
    "Results": _results,
    "Differences": _differences,
    "Difference": _differences,
    "Repaired": _repaired,
    "TrainingLog": _training,
}
"""By the name of an answer's class, what is shown of it."""
