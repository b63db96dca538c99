"""`ties`: rows in which neither response is preferred. They give no pair; many of them say that the responses are alike."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.audit import AuditReport
from backfire.answers.numerals import plural, shown_rows
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.evidence import Evidence, size_of_touched
from backfire.auditing.faults.counting import MOST_ROWS as MOST_LISTED
from backfire.auditing.faults.finding import MOST_ROWS, Condition, Finding, Looking, Occurrences
from backfire.auditing.faults.left_out import NAME as DEFECTS
from backfire.auditing.probes.uncertainty import share

NAME = "ties"
MANY = 0.1
"""Share of rows from which they are worth a line."""


def _look(_: Looking) -> Occurrences:
    return Occurrences()


def _effects(evidence: Evidence) -> Iterator[Effected]:
    count = evidence.defects.get("tie", 0)
    if count < MANY * evidence.rows:
        return
    touched = share(count, evidence.rows)
    every = evidence.affected.get(DEFECTS)
    rows = [] if every is None else zip(every.rows.tolist(), every.details or (), strict=True)
    yield Effected.of(
        None,
        name=NAME,
        what=f"{count:,} of {evidence.rows:,} rows ({count / evidence.rows:.1%}) {plural(count, 'is a tie', 'are ties')}: neither"
        " response was preferred, and they give no pair.",
        pairs=touched,
        rows=tuple(row for row, kind in rows if kind == "tie")[:MOST_LISTED],
        condition=NAME,
        **size_of_touched(touched),
    )


def _check(report: AuditReport, _: float) -> tuple[bool | None, str]:
    ties = [defect for defect in report.defects if defect.kind == "tie"]
    count = sum(defect.count for defect in ties)
    rows = "".join(f" (row {shown_rows(one.rows, MOST_ROWS, one.count)})" for one in ties)
    return count > 0, f"{count:,} of {report.rows:,} rows{rows}"


TIES = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    conditions=(Condition(NAME, "rows are ties, in which neither response is preferred", _check),),
    listed_where_it_occurs=True,
)
