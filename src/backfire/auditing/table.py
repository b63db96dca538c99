"""The report as a terminal table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backfire.auditing.old_estimate import Estimate
from backfire.auditing.report import AuditReport
from backfire.auditing.separability import Rung

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

ROWS_SHOWN = 5


def render(report: AuditReport) -> Group:
    """A rich renderable: what was read, the ladder, who wrote what, and the conclusion."""
    from rich.console import Group
    from rich.markup import escape
    from rich.text import Text

    parts: list[Text | Table] = [
        Text.from_markup(
            f"[bold]{escape(report.dataset)}[/bold]: {report.format};"
            f" {report.pairs} pairs over {report.prompts} prompts, from {report.rows} rows"
        )
    ]
    if report.left_out:
        parts.append(Text(f"{report.left_out} usable pairs not sampled"))
    for kind, rows in report.defects_by_kind().items():
        shown = ", ".join(map(str, rows[:ROWS_SHOWN])) + (", ..." if len(rows) > ROWS_SHOWN else "")
        parts.append(Text(f"left out: {len(rows)} with {kind} (row {shown})", style="yellow"))
    parts.append(_ladder(report))
    if report.source_leak is not None:
        parts.append(Text(f"Sources: {report.source_leak.mapping}."))
    parts.append(Text(""))
    parts.append(Text.from_markup(f"[bold]Conclusion: shortcut {report.conclusion.level}[/bold]"))
    parts.extend(Text(f"- {reason}") for reason in report.conclusion.reasons)
    return Group(*parts)


def _ladder(report: AuditReport) -> Table:
    from rich.table import Table

    table = Table(title="How well the label shows on held-out prompts", title_justify="left")
    table.add_column("rung")
    for heading in ("one response: AUROC", "shuffled", "pair: accuracy", "shuffled", "pairs"):
        table.add_column(heading, justify="right")
    rows: list[tuple[str, Rung]] = [(r.name, r) for r in report.separability]
    if report.source_leak is not None:
        rows.append(("source alone", report.source_leak.probe))
    if report.decision_matched != report.separability:
        rows.extend((f"{r.name}, same decision", r) for r in report.decision_matched)
    for label, rung in rows:
        if rung.pointwise is None or rung.pairwise is None:
            table.add_row(label, rung.reason or "-", "", "", "", str(rung.pairs))
            continue
        table.add_row(
            label,
            _interval(rung.pointwise),
            f"{rung.pointwise.control.mean:.3f}",
            _interval(rung.pairwise),
            f"{rung.pairwise.control.mean:.3f}",
            str(rung.pairs),
        )
    return table


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
