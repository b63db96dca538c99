"""Audits of data whose answer is known, because the cue was planted or because there is none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from synthetic_pairs import conversational, rows

from backfire.auditing import AuditReport, Rung, audit, render
from backfire.errors import InputError


def audited(values: list[dict[str, Any]], **options: Any) -> AuditReport:
    return audit(Dataset.from_list(values), **options)


def rung_of(report: AuditReport, name: str) -> Rung:
    return next(r for r in report.separability if r.name == name)


def auroc(report: AuditReport, name: str) -> float:
    estimate = rung_of(report, name).pointwise
    assert estimate is not None
    return estimate.value


def test_without_a_cue_every_interval_holds_a_half_and_controls_agree() -> None:
    report = audited(rows(300, 11))
    for rung in report.separability:
        assert rung.pointwise is not None
        assert rung.pairwise is not None
        for estimate in (rung.pointwise, rung.pairwise):
            assert estimate.low <= 0.5 <= estimate.high
            assert abs(estimate.control.mean - 0.5) < 0.03
    assert report.conclusion.level == "none found"


def test_a_planted_length_cue_is_found_by_length_alone() -> None:
    report = audited(rows(200, 1, cue="length", share=0.8))
    rung = rung_of(report, "length")
    assert rung.pointwise is not None
    assert rung.pairwise is not None
    assert rung.pointwise.low > 0.7
    assert rung.pointwise.value < 0.97
    assert 0.8 < rung.pairwise.value <= 1
    assert rung.pointwise.control.high < 0.6
    assert rung.pointwise.control.p == pytest.approx(0.05)
    assert report.conclusion.level in ("some", "strong")


def test_a_planted_word_is_found_by_ngrams_and_not_by_length() -> None:
    report = audited(rows(300, 2, cue="word", share=0.6))
    ngrams, length = rung_of(report, "ngrams").pairwise, rung_of(report, "length").pairwise
    assert ngrams is not None
    assert length is not None
    assert ngrams.low > 0.7
    assert ngrams.value < 0.95
    assert length.high < 0.65


def test_a_planted_decision_is_no_shortcut() -> None:
    values = rows(300, 3, cue="refusal", share=0.5)
    report = audited([{**row, "kind": "harmful"} for row in values])
    assert auroc(report, "surface") > 0.7
    contrast = report.safety_contrast
    assert contrast.prompts == "harmful"
    assert contrast.refuse_comply.rate == pytest.approx(0.5, abs=0.08)
    assert contrast.comply_refuse.hits == 0
    assert all(rung.pairs == contrast.both_comply.hits for rung in report.decision_matched)
    matched = [
        estimate.value
        for seed in range(5)
        for rung in audited(rows(160, seed, cue="refusal", share=0.5)).decision_matched
        if (estimate := rung.pointwise) is not None
    ]
    assert len(matched) == 15
    assert np.mean(matched) == pytest.approx(0.5, abs=0.05)


def test_copies_of_one_prompt_cannot_inflate() -> None:
    """Random labels that every copy repeats: a probe whose folds were cut through copies would remember them."""
    values = [row for row in rows(60, 4) for _ in range(6)]
    report = audited(values)
    assert report.prompts == 60
    assert report.confounds.duplicates == 300
    for rung in report.separability:
        assert rung.pairwise is not None
        assert rung.pairwise.low <= 0.5 <= rung.pairwise.high
        assert rung.pairwise.high - rung.pairwise.low > 0.15


def test_the_order_of_rows_and_their_clothes_do_not_matter() -> None:
    values = rows(120, 5, cue="word", share=0.5)
    plain = audited(values).as_dict()
    for other in (values[::-1], [conversational(row) for row in values]):
        found = audited(other).as_dict()
        assert found["separability"] == plain["separability"]
        assert found["conclusion"] == plain["conclusion"]


def test_flipping_every_label_changes_the_answer_by_nothing_but_its_sign() -> None:
    values = rows(120, 6, cue="word", share=0.5)
    flipped = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in values]
    assert auroc(audited(flipped), "surface") == pytest.approx(auroc(audited(values), "surface"), abs=0.05)


def test_too_few_pairs_give_a_reason_and_no_number() -> None:
    report = audited(rows(29, 7))
    for rung in report.separability:
        assert rung.pointwise is None
        assert rung.reason == "too few pairs: 29 usable, 30 needed"
        assert rung.as_dict()["pointwise"] == {"auroc": None, "low": None, "high": None, "control": None}
    assert report.conclusion.level == "unknown"
    one_prompt = audited([{**row, "prompt": "Always this"} for row in rows(60, 8)])
    assert one_prompt.separability[0].reason is not None
    assert "distinct prompts" in one_prompt.separability[0].reason


def test_no_usable_row_is_an_answer_too() -> None:
    report = audited([{"prompt": "p", "chosen": "same", "rejected": "same"}] * 3)
    assert report.pairs == 0
    assert report.defects_by_kind() == {"identical sides": [1, 2, 3]}
    assert report.conclusion.level == "unknown"
    json.dumps(report.as_dict(), allow_nan=False)


def test_a_sample_is_stated() -> None:
    report = audited(rows(100, 9), max_pairs=40)
    assert (report.pairs, report.left_out) == (40, 60)
    with pytest.raises(InputError, match="max_pairs 5"):
        audited(rows(40, 9), max_pairs=5)


def test_json_and_table_carry_the_documented_fields() -> None:
    from rich.console import Console

    steps: list[tuple[int, int]] = []
    report = audited(rows(60, 10), progress=lambda done, total: steps.append((done, total)))
    found = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert [entry["rung"] for entry in found["separability"]] == ["length", "surface", "ngrams"]
    for entry in found["separability"]:
        assert {"auroc", "low", "high", "control"} <= entry["pointwise"].keys()
        assert {"accuracy", "low", "high", "control"} <= entry["pairwise"].keys()
        assert all(isinstance(v, (float, int)) for v in entry["pointwise"].values())
    assert "source_leak" not in found
    assert steps == [(i + 1, 9) for i in range(9)]
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(render(report))
    assert "ngrams" in capture.get()
    assert "Conclusion" in capture.get()
    assert np.isfinite(found["separability"][0]["pointwise"]["control"])
