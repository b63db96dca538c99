"""`defects`: rows that give no pair and are left out. They are listed with the reading, beside the other findings."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.audit import AuditReport
from backfire.answers.numerals import count_of, plural, shown_rows
from backfire.auditing.affected import affected_by_defects
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.evidence import Evidence, cleaning, size_of_touched
from backfire.auditing.faults.counting import MOST_ROWS as MOST_LISTED
from backfire.auditing.faults.finding import MOST_ROWS, Cleaned, Condition, Finding, Looking, Occurrences
from backfire.auditing.probes.uncertainty import share

NAME = "defects"
NO_FAULT = ("neither best nor worst", "tie")
"""Rows that are left out since they are no preference: nothing is wrong with them."""


def _look(looking: Looking) -> Occurrences:
    return Occurrences(affected=affected_by_defects(looking.data.defects))


def _effects(evidence: Evidence) -> Iterator[Effected]:
    faulty = {kind: count for kind, count in evidence.defects.items() if kind not in NO_FAULT}
    left = sum(faulty.values())
    if not left:
        return
    touched = share(left, evidence.rows)
    commonest = sorted(faulty.items(), key=lambda item: -item[1])[:3]
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in commonest)
    every = evidence.affected.get(NAME)
    rows = [] if every is None else zip(every.rows.tolist(), every.details or (), strict=True)
    yield Effected.of(
        cleaning(evidence),
        name=NAME,
        what=f"{left:,} of {evidence.rows:,} rows ({left / evidence.rows:.1%}) {plural(left, 'gives', 'give')} no pair and"
        f" {plural(left, 'is', 'are')} left out: {kinds}.",
        pairs=touched,
        rows=tuple(row for row, kind in rows if kind not in NO_FAULT)[:MOST_LISTED],
        condition=NAME,
        **size_of_touched(touched),
    )


def _rows_without_pair(count: int) -> str:
    return f"{count_of(count, 'row')} that {plural(count, 'gives', 'give')} no pair"


def _check(report: AuditReport, _: float) -> tuple[bool | None, str]:
    count = sum(defect.count for defect in report.defects)
    kinds = ", ".join(
        f"{one.count:,} {one.kind} (row {shown_rows(one.rows, MOST_ROWS, one.count)})"
        for one in report.defects
    )
    return count > 0, f"{count:,} of {report.rows:,} rows: {kinds or 'none'}"


LEFT_OUT = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    cleaned={NAME: Cleaned("that give no pair", counts=_rows_without_pair)},
    conditions=(Condition(NAME, "rows were left out as defective", _check),),
)
