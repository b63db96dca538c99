"""Who wrote what, what was cut off, and what was decoded otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from synthetic_pairs import rows

from backfire.auditing import AuditReport, audit


def audited(values: list[dict[str, Any]]) -> AuditReport:
    return audit(Dataset.from_list(values))


def test_a_fixed_mapping_is_named_and_predicts_the_label() -> None:
    values = [
        {**row, "chosen_source": "gpt-4o", "rejected_source": "self"} for row in rows(60, 0, cue="word")
    ]
    report = audited(values)
    leak = report.source_leak
    assert leak is not None
    assert leak.fixed
    assert leak.mapping == "fixed source-to-label mapping: chosen is always gpt-4o, rejected is always self"
    assert leak.probe.pairwise is not None
    assert leak.probe.pairwise.value == 1
    assert leak.probe.pairwise.control.mean < 0.7
    assert any("gpt-4o" in reason for reason in report.conclusion.reasons)


def test_sources_drawn_by_lot_predict_nothing() -> None:
    rng = np.random.default_rng(1)
    values = [
        {**row, "chosen_model": a, "rejected_model": b}
        for row, (a, b) in zip(rows(200, 1), rng.choice(["x", "y", "z"], (200, 2)), strict=True)
    ]
    leak = audited(values).source_leak
    assert leak is not None
    assert not leak.fixed
    assert leak.same_source == sum(v["chosen_model"] == v["rejected_model"] for v in values)
    assert leak.probe.pairwise is not None
    assert leak.probe.pairwise.low <= 0.5 <= leak.probe.pairwise.high
    assert "x, y or z write both" in leak.mapping


def test_a_source_that_wins_seven_times_in_ten_is_measured_so() -> None:
    rng = np.random.default_rng(2)
    sides = [("big", "small") if u < 0.7 else ("small", "big") for u in rng.random(400)]
    values = [
        {**row, "chosen_source": a, "rejected_source": b}
        for row, (a, b) in zip(rows(400, 2), sides, strict=True)
    ]
    leak = audited(values).source_leak
    assert leak is not None
    assert leak.probe.pairwise is not None
    assert leak.probe.pairwise.value == pytest.approx(np.mean([a == "big" for a, _ in sides]), abs=0.01)


def test_one_source_on_both_sides_is_no_leak() -> None:
    values = [{**row, "chosen_source": "self", "rejected_source": "self"} for row in rows(60, 3)]
    leak = audited(values).source_leak
    assert leak is not None
    assert leak.probe.pairwise is not None
    assert leak.probe.pairwise.value == 0.5
    assert leak.mapping == "one source, self, writes both sides"


def test_truncation_and_decoding_that_differ_by_side_are_reported() -> None:
    values = [
        {
            **row,
            "chosen_stop_reason": "eos",
            "rejected_stop_reason": "length" if i % 2 else "eos",
            "chosen_decoding": '{"temperature": 0.0}',
            "rejected_decoding": '{"temperature": 1.0}',
        }
        for i, row in enumerate(rows(60, 4))
    ]
    report = audited(values)
    found = report.confounds
    assert found.truncated_chosen is not None
    assert found.truncated_rejected is not None
    assert (found.truncated_chosen.rate, found.truncated_rejected.rate) == (0, 0.5)
    assert found.decoding_differs is not None
    assert found.decoding_differs.rate == 1
    reasons = " ".join(report.conclusion.reasons)
    assert "Truncation differs by side" in reasons
    assert "decoded differently" in reasons


def test_a_stop_reason_that_says_nothing_is_unscored() -> None:
    values = [{**row, "chosen_stop_reason": "given", "rejected_stop_reason": "eos"} for row in rows(40, 5)]
    found = audited(values).confounds
    assert found.truncated_chosen is None
    assert found.truncated_rejected is not None
    assert found.truncated_rejected.rate == 0
    assert found.decoding_differs is None


def test_contradictions_and_duplicates_are_counted() -> None:
    values = rows(40, 6)
    first = values[0]
    flipped = {**first, "chosen": first["rejected"], "rejected": first["chosen"]}
    found = audited([*values, flipped, values[1]]).confounds
    assert (found.contradictions, found.duplicates, found.repeated_prompts) == (2, 1, 2)
