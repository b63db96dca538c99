"""Audits of real pairs; bands around what was measured, so that a worse probe fails."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backfire.answers.audit import AuditReport, Contrast
from backfire.answers.estimates import Auroc, ProbeResult
from backfire.auditing import audit

Rows = list[dict[str, Any]]


def answers(folder: Path, model: str) -> dict[str, str]:
    path = folder / "alpaca-eval" / f"{model}.json"
    return {r["instruction"]: r["output"] for r in json.loads(path.read_text(encoding="utf-8"))}


def between(folder: Path, chosen: str, rejected: str) -> Rows:
    a, b = answers(folder, chosen), answers(folder, rejected)
    return [
        {"prompt": p, "chosen": a[p], "rejected": b[p], "chosen_source": chosen, "rejected_source": rejected}
        for p in a
        if p in b
    ]


def probe(report: AuditReport, name: str) -> ProbeResult:
    found = report.probe(name)
    assert found is not None
    return found


def best_accuracy(report: AuditReport) -> float:
    return max(r.pairwise.accuracy for r in report.separability)


def above(one: Auroc, other: Auroc) -> bool:
    return one.low > other.high


@pytest.fixture(scope="module")
def gpt4(real_data: Path) -> AuditReport:
    return audit(between(real_data, "gpt4_1106_preview", "Meta-Llama-3-8B-Instruct"))


@pytest.fixture(scope="module")
def harmless(real_data: Path) -> AuditReport:
    return audit(real_data / "hh-rlhf" / "harmless_even.jsonl")


def test_gpt4_against_an_8b_model_is_told_apart(gpt4: AuditReport) -> None:
    assert {d.kind for d in gpt4.defects} <= {"identical sides"}
    assert probe(gpt4, "length").pointwise.auroc < 0.6
    assert 0.87 < probe(gpt4, "surface").pointwise.auroc < 0.94
    assert 0.90 < probe(gpt4, "words").pointwise.auroc < 0.96
    assert 0.92 < probe(gpt4, "characters").pointwise.auroc < 0.98
    assert best_accuracy(gpt4) > 0.95
    for one in gpt4.separability:
        assert one.pointwise.high - one.pointwise.low < 0.05
        assert abs(one.pointwise.control - 0.5) < 0.02
        assert one.pointwise.p == 1 / 200
    assert gpt4.conclusion.level == "strong"


def test_gpt4_against_an_8b_model_is_a_fixed_mapping_that_the_text_tells(gpt4: AuditReport) -> None:
    leak = gpt4.source_leak
    assert leak is not None
    assert leak.fixed
    assert leak.text_tells_source[0].sources == ("Meta-Llama-3-8B-Instruct", "gpt4_1106_preview")
    assert leak.text_tells_source[0].pointwise.low > 0.9
    assert "fixed source-to-label mapping" in leak.mapping
    assert len(gpt4.shortcuts) >= 5
    for one in gpt4.shortcuts:
        assert one.alone.p <= 0.05
        assert 1 <= len(one.examples) <= 3
    assert gpt4.per_pair is not None
    assert gpt4.per_pair.quantiles["50%"] > 0.5


def test_human_labels_lie_far_below_and_real_defects_are_counted(
    gpt4: AuditReport, harmless: AuditReport
) -> None:
    assert harmless.format == "Anthropic HH transcripts"
    assert harmless.rows == 1169
    assert {d.kind: d.count for d in harmless.defects} == {"blank side": 2, "differing prompts": 3}
    assert harmless.prompts < harmless.pairs == 1164
    for name in ("surface", "words", "characters"):
        assert above(probe(gpt4, name).pointwise, probe(harmless, name).pointwise)
        assert probe(harmless, name).pointwise.low > 0.5
    assert 0.57 < probe(harmless, "words").pointwise.auroc < 0.68
    assert harmless.conclusion.level == "some"
    contrast = harmless.safety_contrast.strata[0]
    assert contrast.prompts == "all"
    assert contrast.chosen_refuses_rejected_complies.hits > contrast.chosen_complies_rejected_refuses.hits
    assert contrast.p is not None
    assert contrast.p < 0.01
    matched = probe(harmless, "words").decision_matched
    assert matched.pairs == contrast.both_comply.hits + contrast.both_refuse.hits


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chosen", "rejected", "published", "level"),
    [
        ("Meta-Llama-3-70B-Instruct", "Meta-Llama-3-8B-Instruct", 0.584, "some"),
        ("Meta-Llama-3-8B-Instruct", "Mistral-7B-Instruct-v0.2", 0.830, "strong"),
    ],
)
def test_the_figures_of_a_bag_of_words_are_reached_or_beaten(
    chosen: str, rejected: str, published: float, level: str, real_data: Path
) -> None:
    report = audit(between(real_data, chosen, rejected))
    assert probe(report, "words").pairwise.accuracy >= published
    assert best_accuracy(report) >= published + 0.05
    assert report.conclusion.level == level


def shuffled(values: Rows, seed: int) -> Rows:
    flip = np.random.default_rng(seed).random(len(values)) < 0.5
    return [
        {"prompt": v["prompt"], "chosen": v["rejected"], "rejected": v["chosen"]}
        if turned
        else {k: v[k] for k in ("prompt", "chosen", "rejected")}
        for v, turned in zip(values, flip, strict=True)
    ]


@pytest.mark.slow
def test_shuffled_labels_raise_hardly_any_alarm(real_data: Path) -> None:
    """One audit in twenty may raise a false one: more than 3 of 16 do so once in a hundred times."""
    values = between(real_data, "gpt4_1106_preview", "Meta-Llama-3-8B-Instruct")
    reports = []
    for seed in range(16):
        part = np.random.default_rng(100 + seed).permutation(len(values))[:250]
        reports.append(audit(shuffled([values[i] for i in part], seed)))
    assert sum(r.conclusion.level in ("some", "strong") for r in reports) <= 3
    assert sum(bool(r.shortcuts) for r in reports) <= 3
    held = [
        low <= 0.5 <= high
        for report in reports
        for r in report.separability
        for low, high in ((r.pointwise.low, r.pointwise.high), (r.pairwise.low, r.pairwise.high))
    ]
    assert np.mean(held) > 0.88


def completions(folder: Path, model: str) -> dict[str, dict[str, str]]:
    path = folder / "xstest" / f"xstest_v2_completions_{model}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        return {row["prompt"]: row for row in csv.DictReader(lines)}


def by_people(rows: list[tuple[str, str]]) -> dict[tuple[bool, bool], int]:
    """How often either side refuses, as two people said; a partial refusal is one."""
    found: dict[tuple[bool, bool], int] = {}
    for labels in rows:
        key = (labels[0] != "1_full_compliance", labels[1] != "1_full_compliance")
        found[key] = found.get(key, 0) + 1
    return found


def test_the_contrast_of_refusals_is_near_what_people_found(real_data: Path) -> None:
    """XSTest: both models refuse on unsafe prompts, Llama 2 on many safe ones too; people labelled every answer. The
    phrases miss a refusal in six of Llama 2's."""
    one, other = completions(real_data, "gpt4"), completions(real_data, "llama2new")
    prompts = [p for p in one if p in other]
    unsafe = {p: one[p]["type"].startswith("contrast") for p in prompts}
    report = audit(
        [
            {
                "prompt": p,
                "chosen": one[p]["completion"],
                "rejected": other[p]["completion"],
                "kind": "harmful" if unsafe[p] else "benign",
            }
            for p in prompts
        ]
    )
    strata = {s.prompts: s for s in report.safety_contrast.strata}
    assert list(strata) == ["harmful", "benign"]
    for kind, found in strata.items():
        labels = [
            (one[p]["final_label"], other[p]["final_label"])
            for p in prompts
            if unsafe[p] == (kind == "harmful")
        ]
        expected = by_people(labels)
        assert abs(found.pairs - len(labels)) <= 3
        for hits, key in _combinations(found):
            assert hits / found.pairs == pytest.approx(expected.get(key, 0) / len(labels), abs=0.2)
    matched = probe(report, "words").decision_matched
    assert matched.pairs == sum(s.both_comply.hits + s.both_refuse.hits for s in strata.values())
    assert matched.auroc is not None
    assert matched.auroc > 0.8
    assert {s.kind for s in matched.strata} == {"harmful", "benign"}


def _combinations(found: Contrast) -> list[tuple[int, tuple[bool, bool]]]:
    return [
        (found.chosen_refuses_rejected_complies.hits, (True, False)),
        (found.chosen_complies_rejected_refuses.hits, (False, True)),
        (found.both_refuse.hits, (True, True)),
        (found.both_comply.hits, (False, False)),
    ]
