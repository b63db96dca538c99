"""Real files: what is in them was counted without this code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from preference_rows import assistant, jsonl, read, shared, standard, user

from backfire.preferences import open_preferences, prompt_of


def test_transcripts_of_anthropic(real_data: Path) -> None:
    path = real_data / "hh-rlhf" / "harmless_even.jsonl"
    preferences = open_preferences(path)
    assert preferences.format == "Anthropic HH transcripts"
    (block,) = preferences.blocks()
    assert preferences.rows == 1169
    assert {kind: len(rows) for kind, rows in preferences.defects.items()} == {
        "blank side": 2,
        "differing prompts": 3,
    }
    assert len(block) == 1164
    with path.open(encoding="utf-8") as lines:
        given = [json.loads(line) for line in lines]
    for index, number in enumerate(block.column("row").to_pylist()):
        row = given[number - 1]
        prompt = prompt_of(block, index)
        for side in ("chosen", "rejected"):
            before, _, last = row[side].rpartition("\n\nAssistant:")
            assert block.column(side)[index].as_py() == last.strip()
            spoken = before.replace("\n\nHuman:", "\n\nAssistant:").split("\n\nAssistant:")
            assert [turn.content for turn in prompt.messages] == [said.strip() for said in spoken[1:]]
        assert prompt.messages[0].role == "user"


def test_answers_of_two_models_in_three_forms(real_data: Path, tmp_path: Path) -> None:
    names = ("gpt4_1106_preview", "Meta-Llama-3-8B-Instruct")
    folder = real_data / "alpaca-eval"
    one, two = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in names)
    other = {row["instruction"]: row["output"] for row in two}
    pairs = [(row["instruction"], row["output"], other[row["instruction"]]) for row in one]
    expected = [pair for pair in pairs if pair[1].strip() != pair[2].strip()]
    assert len(expected) > 790
    rows = [standard(*pair) for pair in pairs]
    chats = [{"prompt": [user(p)], "chosen": [assistant(c)], "rejected": [assistant(r)]} for p, c, r in pairs]
    ranked = [
        {"conversations": [shared(user(p))], "chosen": shared(assistant(c)), "rejected": shared(assistant(r))}
        for p, c, r in pairs
    ]
    for name, values in (("rows", rows), ("chats", chats), ("ranked", ranked)):
        preferences = open_preferences(jsonl(tmp_path / f"{name}.jsonl", values))
        found = [(row["prompt"], row["chosen"], row["rejected"]) for row in read(preferences)]
        assert found == expected
        assert preferences.rows == len(pairs)
        assert preferences.defects.keys() <= {"identical sides"}


def test_a_list_of_answers_is_no_preference_data(real_data: Path) -> None:
    from backfire.errors import InputError

    path = real_data / "alpaca-eval" / "gpt4_1106_preview.json"
    with pytest.raises(InputError, match=r"instruction \(text\).*--columns prompt="):
        open_preferences(path)
