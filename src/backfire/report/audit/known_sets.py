"""Known sets beside an audited one, as a table for the terminal; and how its tables show numbers."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from backfire.answers.audit import AuditReport
from backfire.answers.numerals import UNDEFINED, decimal, percent, printable
from backfire.answers.phrases import probe_name


def known_sets_table(report: AuditReport) -> Table:
    """A line for each known set, this one first: what each probe gives."""
    names = [
        probe.probe
        for probe in report.separability
        if any(p.probe == probe.probe for p in report.reference_points)
    ]
    table = numbers_table("set", *(probe_name(name) for name in names))
    own = {probe.probe: probe for probe in report.separability}
    table.add_row(
        Text("this one", style="bold"),
        *(_both(own[name].pointwise.auroc, own[name].pairwise.accuracy) for name in names),
    )
    for known in dict.fromkeys(point.name for point in report.reference_points):
        points = {point.probe: point for point in report.reference_points if point.name == known}
        table.add_row(
            Text(printable(" ".join(known.split()))),
            *(_both(points[n].auroc, points[n].pairwise) if n in points else Text(UNDEFINED) for n in names),
        )
    return table


def _both(auroc: float, accuracy: float | None) -> Text:
    return shown_number(decimal(auroc), "" if accuracy is None else f"{percent(accuracy)}%")


def numbers_table(*headings: str) -> Table:
    """A table of one column of names and columns of numbers."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, heading in enumerate(headings):
        left = place == 0
        table.add_column(
            Text(heading), justify="left" if left else "right", overflow="fold", no_wrap=not left
        )
    return table


def shown_number(value: str, *small: str) -> Text:
    """A number, and below it what stands beside it."""
    text = Text(value.replace("-", "−"))
    for line in small:
        if line:
            text.append(f"\n{line.replace('-', '−')}", style="dim")
    return text
