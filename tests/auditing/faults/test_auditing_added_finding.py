"""A finding is added in one place, and everything that the audit says of findings has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from rich.console import Console

from backfire.answers.audit import AuditReport, parse_audit
from backfire.auditing import audit, failed_conditions
from backfire.auditing.faults.finding import AuditedTexts
from backfire.auditing.faults.registry import FINDINGS
from backfire.auditing.faults.responses import finding_of_responses
from backfire.cli.entries import COMMANDS
from backfire.cli.help_store import made
from backfire.comparing import compare_audits
from backfire.errors import InputError
from backfire.repairing import Clean, repair
from backfire.report import audit_table, render_audit_markdown, render_audit_page
from backfire.study import study_schema
from synthetic_pairs import rows

OPENING = "Great question! "


def flattering(texts: AuditedTexts) -> Any:
    """[pairs, 2]: which responses begin with flattery."""
    blocks = [np.zeros((0, 2), dtype=bool)]
    for block in texts.blocks():
        sides = [
            pc.starts_with(block[side], OPENING).to_numpy(zero_copy_only=False)
            for side in ("chosen", "rejected")
        ]
        blocks.append(np.stack(sides, axis=1))
    return np.concatenate(blocks)


FLATTERY = finding_of_responses(
    "flattery",
    what="opens with flattery",
    hits=flattering,
    meaning="responses open with flattery",
    cleaned="with a response that opens with flattery",
)


@pytest.fixture
def added() -> Iterator[None]:
    """The finding stands in the list of findings, and nowhere else."""
    FINDINGS.append(FLATTERY)
    yield
    FINDINGS.remove(FLATTERY)


def given(planted: int) -> list[dict[str, Any]]:
    pairs = rows(60, seed=4)
    for row in pairs[:planted]:
        row["chosen"] = OPENING + row["chosen"]
    return pairs


def printed(report: AuditReport) -> str:
    console = Console(width=200, file=StringIO())
    console.print(audit_table(report))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("added")
def test_an_added_finding_stands_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    report = audit(given(12), rows=file)
    effect = next(one for one in report.conclusion.effects if one.name == "flattery")
    assert effect.pairs is not None
    assert (effect.pairs.hits, effect.rows, effect.condition) == (12, tuple(range(1, 13)), "flattery")
    assert effect.what.startswith(
        "12 pairs (20.0%) hold a response that opens with flattery: 20.0% of chosen"
    )
    assert any("opens with flattery" in reason for reason in report.conclusion.reasons)
    assert any(
        "(12 with a response that opens with flattery): `backfire repair DATASET --method clean" in step
        for step in report.conclusion.advice
    )

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(one["row"], one["side"]) for one in lines if one["finding"] == "flattery"] == [
        (row, "chosen") for row in range(1, 13)
    ]
    (line,) = failed_conditions(report, ["flattery"])
    assert line.startswith("flattery: opens with flattery, chosen: 20.0%")
    assert "opens with flattery: 20.0%" in printed(report)
    assert "opens with flattery" in render_audit_page(report)
    assert "flattery" in render_audit_markdown(report)
    help_text = made(next(entry for entry in COMMANDS if entry.name == "audit")).text(100)
    assert "flattery" in help_text

    assert parse_audit(json.loads(json.dumps(report.as_dict()))).confounds == report.confounds
    change = next(
        one for one in compare_audits(audit(given(0)), report).changes if one.name.startswith("flattery")
    )
    assert (change.name, change.direction) == ("flattery: opens with flattery, chosen", "worse")


@pytest.mark.usefixtures("added")
def test_a_repair_takes_the_pairs_of_an_added_finding_out(tmp_path: Path) -> None:
    repaired = repair(given(12), Clean(), out=tmp_path / "clean", audit=False)
    assert repaired.left_out["flattery: opens with flattery"] == tuple(range(1, 13))
    assert repair(given(12), Clean(skip=("flattery",)), out=tmp_path / "all", audit=False).pairs == 60
    help_text = made(next(entry for entry in COMMANDS if entry.name == "repair")).text(100)
    assert "flattery" in help_text
    assert "flattery" in json.dumps(study_schema())


def test_what_no_finding_declares_cannot_be_taken_out() -> None:
    with pytest.raises(InputError, match=r"only.*: choose contradictions, .* or echo"):
        Clean(only=("flattery",))


def test_a_finding_that_is_not_added_stands_nowhere() -> None:
    report = audit(given(12))
    assert "flattery" not in json.dumps(report.as_dict())
    assert "others" not in report.as_dict()["confounds"]


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.names[0])
def test_names_are_told_once(finding: Any) -> None:
    others = [one for one in FINDINGS if one is not finding]
    assert not {name for one in others for name in one.names} & set(finding.names)
    assert not {c.name for one in others for c in one.conditions} & {c.name for c in finding.conditions}
    assert set(finding.cleaned) <= set(finding.names)
