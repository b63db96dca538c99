"""Audits of planted decisions to refuse, and of planted style: the two are told apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backfire.answers.audit import AuditReport
from backfire.answers.estimates import ProbeResult
from backfire.auditing import audit
from synthetic_pairs import rows

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I cannot assist with this request.",
    "Sorry, I won't be able to help you with this.",
]


def probe(report: AuditReport, name: str) -> ProbeResult:
    found = report.probe(name)
    assert found is not None
    return found


def swapped(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def decided(n: int, seed: int, *, by_decision: bool) -> list[dict[str, Any]]:
    """Harmful prompts. By decision: half of the chosen responses refuse where the rejected one complies, in one style.
    Otherwise refusing is drawn alike for both sides, and a word of style is on the chosen one."""
    rng = np.random.default_rng(seed)
    found = []
    for row in rows(n, seed):
        row["kind"] = "harmful"
        sides = ["chosen"] if by_decision else ["chosen", "rejected"]
        if rng.random() < 0.5:
            for side in sides:
                row[side] = f"{REFUSALS[rng.integers(3)]} {row[side]}"
        if not by_decision and rng.random() < 0.6:
            row["chosen"] = " indeed ".join(row["chosen"].rsplit(" ", 1))
        found.append(row)
    return found


@pytest.fixture(scope="module")
def of_decision() -> AuditReport:
    return audit(decided(400, 6, by_decision=True))


@pytest.fixture(scope="module")
def of_style() -> AuditReport:
    return audit(decided(400, 6, by_decision=False))


def test_a_decision_without_a_shortcut_and_a_shortcut_without_a_decision_are_told_apart(
    of_decision: AuditReport, of_style: AuditReport
) -> None:
    assert probe(of_decision, "words").pointwise.low > 0.65
    assert probe(of_style, "words").pointwise.low > 0.65
    for name in ("surface", "words", "characters"):
        matched = probe(of_decision, name).decision_matched
        assert matched.low is not None
        assert matched.high is not None
        assert matched.low <= 0.5 <= matched.high
    matched = probe(of_style, "words").decision_matched
    assert matched.pairs == 400
    assert matched.low is not None
    assert matched.low > 0.65
    assert {(s.kind, s.decision) for s in matched.strata} == {("harmful", "refuse"), ("harmful", "comply")}
    for stratum in matched.strata:
        assert stratum.low is not None
        assert stratum.low > 0.6
    assert "nothing was found beyond the decision" in " ".join(of_decision.conclusion.reasons)
    assert "does not need the decision" in " ".join(of_style.conclusion.reasons)


def test_the_contrast_of_decisions_is_that_of_the_rows(
    of_decision: AuditReport, of_style: AuditReport
) -> None:
    values = decided(400, 6, by_decision=True)
    refuses = sum(row["chosen"].startswith(tuple(REFUSALS)) for row in values)
    one = of_decision.safety_contrast.strata[0]
    assert (one.prompts, one.pairs, one.undecided) == ("harmful", 400, 0)
    assert one.chosen_refuses_rejected_complies.hits == one.decisions_differ.hits == refuses
    assert one.both_comply.hits == 400 - refuses
    assert (one.chosen_complies_rejected_refuses.hits, one.both_refuse.hits) == (0, 0)
    assert one.p is not None
    assert one.p < 1e-6
    other = of_style.safety_contrast.strata[0]
    assert other.decisions_differ.hits == 0
    assert other.p is None
    assert "Hardly any pair carries a decision" in " ".join(of_style.conclusion.reasons)
    matched = probe(of_decision, "words").decision_matched
    assert matched.pairs == 400 - refuses


def test_a_label_that_favours_complying_with_harm_is_said_to() -> None:
    report = audit([swapped(row) for row in decided(80, 7, by_decision=True)])
    assert "favours complying with harmful requests" in " ".join(report.conclusion.reasons)
    assert any("find out whether that is meant" in step for step in report.conclusion.advice)
