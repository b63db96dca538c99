"""A study's human-labelled set: any preference data, as an audit reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import BackfireError, InputError
from backfire.pairs.human import open_human
from backfire.preferences import open_preferences, prompt_of
from backfire.study import parse_study
from backfire.study.cells import grid

FORMS: dict[str, list[dict[str, Any]]] = {
    "text": [{"prompt": f"Question {n}?", "chosen": f"Yes, {n}.", "rejected": f"No, {n}."} for n in range(3)],
    "turns and system": [
        {
            "system": "Be brief.",
            "question": f"Question {n}?",
            "chosen": f"Yes, {n}.",
            "rejected": f"No, {n}.",
        }
        for n in range(3)
    ],
    "Anthropic HH": [
        {
            "chosen": f"\n\nHuman: Question {n}?\n\nAssistant: Yes, {n}.",
            "rejected": f"\n\nHuman: Question {n}?\n\nAssistant: No, {n}.",
        }
        for n in range(3)
    ],
    "PKU": [
        {
            "prompt": f"Question {n}?",
            "response_0": f"No, {n}.",
            "response_1": f"Yes, {n}.",
            "better_response_id": 1,
        }
        for n in range(3)
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_any_form_that_an_audit_reads(form: str, tmp_path: Path) -> None:
    path = tmp_path / "human.jsonl"
    path.write_text("\n".join(map(json.dumps, FORMS[form])), encoding="utf-8")
    human = open_human(str(path))
    (block,) = open_preferences(path).blocks()
    assert human.prompts == [prompt_of(block, row) for row in range(3)]
    assert [r.text for r in human.chosen] == [f"Yes, {n}." for n in range(3)]
    assert [r.text for r in human.rejected] == [f"No, {n}." for n in range(3)]
    assert {r.source for r in (*human.chosen, *human.rejected)} == {"human"}
    assert human.left_out == {}


def test_what_is_left_out_is_counted_by_kind(tmp_path: Path) -> None:
    good = FORMS["text"]
    rows = [*good, good[0], good[1] | {"chosen": " "}, good[2] | {"rejected": "Yes, 2."}]
    rows[0] = rows[0] | {"kind": "harmful"}
    path = tmp_path / "human.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    human = open_human(str(path))
    assert len(human.prompts) == len(human.chosen) == 3
    assert human.prompts[0].kind == "harmful"
    assert human.left_out == {"blank side": 1, "identical sides": 1, "duplicate prompt": 1}


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "human.jsonl"
    path.write_text(json.dumps({"prompt": "Question?", "chosen": "Same.", "rejected": "Same."}))
    with pytest.raises(InputError, match="identical"):
        open_human(str(path))


def test_a_study_says_how_its_human_set_is_read(tmp_path: Path) -> None:
    path = tmp_path / "human.jsonl"
    rows = [{"ask": f"request {n}", "good": f"yes {n}", "bad": f"no {n}"} for n in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"prompt": "ask", "chosen": "good", "rejected": "bad"}
    base: dict[str, Any] = {
        "name": "s",
        "prompts": "organism:prompts/train",
        "targets": [
            {
                "family": "llama",
                "policy": "organism:llama/target",
                "responders": [{"role": "self", "model": "organism:llama/target"}],
            }
        ],
        "recipes": ["original"],
        "attacks": {"harmful": {"direct": "organism:prompts/direct"}},
    }
    told = parse_study({**base, "human": {"data": str(path), "columns": columns}})
    (cell,) = [cell for cell in grid(told) if cell.recipe == "original"]
    assert cell.human == str(path)
    human = open_human(str(cell.human), **cell.human_reading)
    assert [prompt.text for prompt in human.prompts] == [row["ask"] for row in rows]
    assert ([r.text for r in human.chosen], [r.text for r in human.rejected]) == (
        [row["good"] for row in rows],
        [row["bad"] for row in rows],
    )
    assert human.left_out == {}
    (bare,) = [cell for cell in grid(parse_study({**base, "human": str(path)})) if cell.recipe == "original"]
    assert cell.human_set != bare.human_set == str(path)
    with pytest.raises(BackfireError, match="colums"):
        parse_study({**base, "human": {"data": str(path), "colums": columns}})
