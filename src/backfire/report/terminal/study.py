"""A study's results, how far each of its cells is, and what failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backfire.answers.results import Results
from backfire.answers.standing import StudyStanding
from backfire.report.study.table import results_table
from backfire.report.study.worlds import worlds_table
from backfire.report.terminal.parts import Failed, Part, Titled, Warned, counted, table

MARKS = {True: "done", False: "to do", None: "–"}
IN_PARTS = ("audit", "influence")
"""Stages of which parts can fail; of all others, requests are lost."""


def results_parts(results: Results) -> Iterator[Part]:
    """The table of recipes, the cells that are missing from it, and what was left out, with the reasons."""
    yield results_table(results)
    over_worlds = worlds_table(results)
    if over_worlds is not None:
        yield over_worlds
    for name, what in (("cells_missing", "not in the table"), ("parts_missing", "not measured")):
        missing = results.stages.get(name)
        if isinstance(missing, dict):
            yield from (Warned(f"{what}: {cell}: {why}") for cell, why in missing.items())
    left_out = results.stages.get("left_out")
    if isinstance(left_out, dict):
        for what, reasons in left_out.items():
            why = counted(reasons) if isinstance(reasons, dict) else reasons
            yield Warned(f"left out: {what}: {why}")


def standing_parts(standing: StudyStanding) -> Iterator[Part]:
    """A row a cell, with what is done of it; then the stages that cells share."""
    verbs = standing.cells[0].done if standing.cells else ()
    listed = table("cell", "folder", *verbs, left=7)
    for cell in standing.cells:
        listed.add_row(cell.label, f"cells/{cell.folder}", *(MARKS[state] for state in cell.done.values()))
    yield Titled(f"{standing.name} in {standing.folder}", listed)
    for stage, is_done in standing.shared.items():
        yield f"{MARKS[is_done]:>5}  {stage}"
    yield f"{len(standing.cells)} cells, {standing.stages} stages, {standing.done} done"


def failures_of(failed: Mapping[str, str], lost: Mapping[str, Mapping[str, int]]) -> Iterator[Part]:
    """What failed, and what was lost, with the reasons."""
    if failed:
        lines = [f"{stage}: {reason}" for stage, reason in failed.items()]
        yield Failed(f"{len(failed)} stages failed; run again once their cause is fixed:", lines)
    if not lost:
        return
    parts = sum(len(reasons) for stage, reasons in lost.items() if stage.split()[0] in IN_PARTS)
    requests = sum(sum(reasons.values()) for reasons in lost.values()) - parts
    lines = [f"{stage}: {counted(reasons)}" for stage, reasons in lost.items()]
    if requests:
        what = f"{requests} requests were lost; the same command asks for them again, and for nothing else:"
        yield Failed(what, () if parts else lines)
    if parts:
        yield Failed(f"{parts} parts failed; the same command tries them again, and nothing else:", lines)
