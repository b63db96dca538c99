"""Audits of real pairs; bands around what was measured, so that a worse probe fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from backfire.auditing import AuditReport, audit

pytestmark = pytest.mark.usefixtures("real_data")


def answers(folder: Path, model: str) -> dict[str, str]:
    path = folder / "alpaca-eval" / f"{model}.json"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {path.parent}")
    return {r["instruction"]: r["output"] for r in json.loads(path.read_text(encoding="utf-8"))}


def between(folder: Path, chosen: str, rejected: str) -> list[dict[str, Any]]:
    a, b = answers(folder, chosen), answers(folder, rejected)
    return [
        {"prompt": p, "chosen": a[p], "rejected": b[p], "chosen_source": chosen, "rejected_source": rejected}
        for p in a
        if p in b
    ]


def numbers(report: AuditReport) -> dict[str, tuple[float, float]]:
    return {
        r.name: (r.pointwise.value, r.pairwise.value)
        for r in report.separability
        if r.pointwise is not None and r.pairwise is not None
    }


def test_gpt4_against_an_8b_model_is_told_apart(real_data: Path) -> None:
    report = audit(Dataset.from_list(between(real_data, "gpt4_1106_preview", "Meta-Llama-3-8B-Instruct")))
    found = numbers(report)
    assert report.defects_by_kind().keys() <= {"identical sides"}
    assert found["length"][0] < 0.6
    assert 0.85 < found["surface"][0] < 0.92
    assert 0.92 < found["ngrams"][0] < 0.97
    assert found["ngrams"][1] > 0.93
    assert report.conclusion.level == "strong"
    assert report.source_leak is not None
    assert report.source_leak.fixed


def test_siblings_are_told_apart_better_than_a_bag_of_words_does_and_by_nothing_when_shuffled(
    real_data: Path,
) -> None:
    values = between(real_data, "Meta-Llama-3-70B-Instruct", "Meta-Llama-3-8B-Instruct")
    report = audit(Dataset.from_list(values))
    found = numbers(report)
    assert 0.62 < found["ngrams"][1] < 0.72
    assert 0.57 < found["ngrams"][0] < 0.65
    assert report.conclusion.level == "some"

    flip = np.random.default_rng(0).random(len(values)) < 0.5
    shuffled = [
        {"prompt": v["prompt"], "chosen": v["rejected"], "rejected": v["chosen"]}
        if swapped
        else {k: v[k] for k in ("prompt", "chosen", "rejected")}
        for v, swapped in zip(values, flip, strict=True)
    ]
    nothing = audit(Dataset.from_list(shuffled))
    for rung in nothing.separability:
        assert rung.pointwise is not None
        assert rung.pairwise is not None
        assert rung.pointwise.low <= 0.5 <= rung.pointwise.high
        assert rung.pairwise.low <= 0.5 <= rung.pairwise.high
    assert nothing.conclusion.level == "none found"


def test_human_preferences_are_weakly_separable_and_real_defects_are_counted(real_data: Path) -> None:
    path = real_data / "hh-rlhf" / "harmless_even.jsonl"
    if not path.is_file():
        pytest.skip(f"no {path}")
    report = audit(path)
    found = numbers(report)
    assert report.format == "Anthropic HH transcripts"
    assert report.rows == 1169
    assert {kind: len(rows) for kind, rows in report.defects_by_kind().items()} == {
        "blank side": 2,
        "differing prompts": 3,
    }
    assert 0.56 < found["ngrams"][0] < 0.66
    assert 0.60 < found["ngrams"][1] < 0.69
    assert report.conclusion.level == "some"
    contrast = report.safety_contrast
    assert contrast.prompts == "all"
    assert contrast.refuse_comply.hits > contrast.comply_refuse.hits
