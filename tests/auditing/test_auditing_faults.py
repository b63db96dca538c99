"""A file with faults planted in made-up rows, audited whole: findings, rows, sentences, conditions."""

from __future__ import annotations

import json
from typing import Any

import pytest

import backfire
from backfire.answers import parse_audit
from backfire.auditing.conditions import failed_conditions, unchecked_conditions
from backfire.report import render_audit_page
from backfire.report.audit.words import length_line

CONDITIONS = [
    "truncation",
    "echo",
    "personal-data",
    "contradicting-scores",
    "swapped-columns",
    "prompt-debris",
]
REFUSAL = "I'm sorry, but I cannot help with that request."


def rows_of(pairs: int) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"How do I paint room number {i} of my old house in blue?",
            "chosen": f"Take {i} litres of paint. Wash the walls before you start, and wait a day.",
            "rejected": f"Paint it {i} times. You should open the windows while you work, too.",
            "score_chosen": 4.0,
            "score_rejected": 3.0 - i / pairs,
        }
        for i in range(pairs)
    ]


def test_whole_rows_have_none_of_the_faults() -> None:
    report = backfire.audit(rows_of(60))
    assert failed_conditions(report, CONDITIONS) == []
    assert unchecked_conditions(report, CONDITIONS) == []
    assert report.columns["scores"] == ("score_chosen", "score_rejected")


PLANTS: dict[str, tuple[dict[str, Any], str]] = {
    "truncation": (
        {"chosen": "Take some paint. Wash the walls before you"},
        "end in the middle of a sentence",
    ),
    "echo": ({"rejected": "How do I paint room number 3 of my old house in blue?"}, "repeated whole"),
    "personal-data": ({"chosen": "Ask anna.meier@posteo.net for a good colour."}, "personal data"),
    "contradicting-scores": ({"score_rejected": 9.5}, "the score contradicts the label"),
    "swapped-columns": ({"rejected": REFUSAL}, "may be the wrong way round"),
    "prompt-debris": ({"prompt": "How do I paint my house in blue?\n\n### Response:"}, "in the prompts of"),
}


@pytest.mark.parametrize("condition", PLANTS)
def test_a_planted_fault_is_said_and_fails_its_condition(condition: str) -> None:
    fault, sentence = PLANTS[condition]
    rows = rows_of(60)
    for i in range(0, 60, 3):
        place = "3" if condition == "echo" else str(i)
        rows[i] |= {
            k: v.replace(".", f", of kind {i}, and water.", 1) if k == "chosen" else v
            for k, v in fault.items()
        }
        if condition == "echo":
            rows[i]["prompt"] = rows[i]["prompt"].replace(f"number {i} ", f"number {place} ")
    report = backfire.audit(rows)
    (line,) = failed_conditions(report, [condition])
    assert "row 1, 4, 7" in line
    assert any(sentence in reason for reason in report.conclusion.reasons)
    others = [one for one in CONDITIONS if one != condition]
    assert failed_conditions(report, others) == []


def test_findings_hold_no_personal_data() -> None:
    rows = rows_of(60)
    for row in rows[:20]:
        row["chosen"] += " My card is 4539 1488 0343 6467."
    answer = backfire.audit(rows).as_dict()
    (cards,) = answer["confounds"]["personal"]
    assert (cards["what"], cards["chosen"]["hits"]) == ("payment card numbers", 20)
    for part in ("confounds", "conclusion"):
        assert "4539" not in json.dumps(answer[part])


def test_a_test_split_names_its_rows() -> None:
    rows, others = rows_of(60), rows_of(90)[58:]
    found = backfire.audit(rows, overlap_with=others).confounds.overlap
    assert found is not None
    assert 59 in found.rows
    assert found.other_rows[found.rows.index(59)] == 1


def test_where_all_pairs_differ_alike_there_is_no_effect_size() -> None:
    """Every chosen response has one word more: the mean over a standard deviation of 0 is no number."""
    rows = rows_of(60)
    for row in rows:
        row["chosen"] = f"{row['rejected']} indeed"
    report = backfire.audit(rows)
    assert report.lengths[0].longer.rate == 1
    assert report.lengths[0].effect is None
    assert "effect" not in report.as_dict()["lengths"][0]
    assert "100.0%, by about as many in every pair" in length_line(report.lengths[0], brief=True)
    assert any(cue.effect is None and cue.alone.auroc == 1 for cue in report.shortcuts)
    assert parse_audit(report.as_dict()).as_dict() == report.as_dict()
    assert "all alike" in render_audit_page(report)
