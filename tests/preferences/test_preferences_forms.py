"""Every form of preference data gives the same pairs, and says what it was taken for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from preference_rows import (
    FORMS,
    PAIRS,
    Row,
    assistant,
    conversational,
    jsonl,
    orca,
    read,
    shared,
    sharegpt,
    standard,
    texts,
    user,
)

from backfire.errors import InputError
from backfire.preferences import SCHEMA, open_preferences, prompt_of
from backfire.records import Prompt


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_recognised_and_agree(tmp_path: Path, name: str) -> None:
    form, shape = FORMS[name]
    path = jsonl(tmp_path / "a.jsonl", [shape(*pair) for pair in PAIRS])
    assert open_preferences(path).format == form
    assert texts(path) == PAIRS
    assert texts([shape(*pair) for pair in PAIRS]) == PAIRS


@pytest.mark.parametrize("name", sorted(set(FORMS) - {"safe rlhf"}))
def test_equal_contents_give_equal_blocks(tmp_path: Path, name: str) -> None:
    many = [(f"{p} {i}", f"{c} {i}", r) for i in range(6000) for p, c, r in PAIRS[:3]]
    plain = open_preferences(jsonl(tmp_path / "a.jsonl", [standard(*pair) for pair in many]))
    other = open_preferences(jsonl(tmp_path / "b.jsonl", [FORMS[name][1](*pair) for pair in many]))
    blocks = list(plain.blocks())
    assert [len(block) for block in blocks] == [8192, 8192, 1616]
    assert all(block.schema == SCHEMA for block in blocks)
    for one, two in zip(blocks, other.blocks(), strict=True):
        assert one.equals(two)


def conversations(system: str | None, turns: list[Row], c: str, r: str) -> dict[str, Row]:
    """The same conversation in every form that holds more than one turn."""
    whole = ([{"role": "system", "content": system}] if system else []) + turns
    human = {"user": "Human", "assistant": "Assistant"}
    found = {
        "explicit": {"prompt": whole, "chosen": [assistant(c)], "rejected": [assistant(r)]},
        "implicit": {"chosen": [*whole, assistant(c)], "rejected": [*whole, assistant(r)]},
        "sharegpt": {
            "conversations": [shared(turn) for turn in whole],
            "chosen": shared(assistant(c)),
            "rejected": shared(assistant(r)),
        },
        "sharegpt, system aside": {
            "system": system,
            "conversations": [shared(turn) for turn in turns],
            "chosen": shared(assistant(c)),
            "rejected": shared(assistant(r)),
        },
        "alpaca": {
            "instruction": turns[-1]["content"],
            "input": None,
            "system": system,
            "history": [
                [a["content"], b["content"]] for a, b in zip(turns[:-1:2], turns[1:-1:2], strict=True)
            ],
            "chosen": c,
            "rejected": r,
        },
    }
    if system is None:
        start = "".join(f"\n\n{human[turn['role']]}: {turn['content']}" for turn in turns)
        found["transcript"] = {
            "chosen": f"{start}\n\nAssistant: {c}",
            "rejected": f"{start}\n\nAssistant: {r}",
        }
    return found


TURNS = [user('Say "a\\b".\n\tNow.'), assistant("Ä \b\f\r b"), user("And then?")]


@pytest.mark.parametrize("system", [None, "Be kind.\nBe brief."])
def test_conversations_of_several_turns_agree(system: str | None) -> None:
    turns = [*([{"role": "system", "content": system}] if system else []), *TURNS]
    expected = Prompt.of_messages(turns)
    for name, row in conversations(system, TURNS, "Yes.", "No.").items():
        preferences = open_preferences([row])
        (block,) = preferences.blocks()
        assert prompt_of(block, 0) == expected, name
        assert block.column("prompt")[0].as_py() == "\n\n".join(f"{t['role']}: {t['content']}" for t in turns)
        assert block.column("messages")[0].as_py() == json.dumps(
            turns, ensure_ascii=False, separators=(",", ":")
        )
        assert (block.column("chosen")[0].as_py(), block.column("rejected")[0].as_py()) == ("Yes.", "No.")


def test_system_column_of_orca_is_a_turn_where_it_is_not_blank() -> None:
    rows = [orca(*PAIRS[0]), orca(*PAIRS[0]) | {"system": "Be kind."}, orca(*PAIRS[0]) | {"system": None}]
    preferences = open_preferences(rows)
    (block,) = preferences.blocks()
    single = Prompt.of(PAIRS[0][0])
    assert [prompt_of(block, i) == single for i in range(3)] == [True, False, True]
    assert prompt_of(block, 1).as_messages()[0] == {"role": "system", "content": "Be kind."}
    assert preferences.columns["prompt"] == ("question", "system")


def test_instruction_and_input_are_one_request() -> None:
    row = {"instruction": "Add.", "input": "1 and 2", "chosen": "3", "rejected": "4"}
    assert texts([row, row | {"input": None}]) == [("Add.\n1 and 2", "3", "4"), ("Add.", "3", "4")]


def test_implicit_prompt_of_plain_text_ends_between_words() -> None:
    rows = [{"chosen": "The sky is blue.", "rejected": "The sky is black."}]
    assert open_preferences(rows).format == "TRL standard, implicit prompt"
    assert texts(rows) == [("The sky is ", "blue.", "black.")]


def test_labelled_completions_are_paired_within_a_prompt() -> None:
    rows: list[Row] = [
        {"prompt": "a", "completion": "a good", "label": True, "model": "big"},
        {"prompt": "b", "completion": "b bad", "label": False, "model": "small"},
        {"prompt": "a", "completion": "a bad", "label": False, "model": "small"},
        {"prompt": "a", "completion": "a good too", "label": True, "model": "big"},
        {"prompt": "b", "completion": "b good", "label": 1, "model": None},
        {"prompt": "c", "completion": "c good", "label": True, "model": "big"},
        {"prompt": "a", "completion": "a bad too", "label": False, "model": "small"},
        {"prompt": "a", "completion": "neither", "label": None, "model": "small"},
        {"prompt": "c", "completion": " ", "label": False, "model": "small"},
        {"prompt": [user("b")], "completion": [assistant("b good again")], "label": True, "model": "big"},
    ]
    preferences = open_preferences(rows)
    found = [
        (r["row"], r["prompt"], r["chosen"], r["rejected"], r["chosen_source"]) for r in read(preferences)
    ]
    assert found == [
        (3, "a", "a good", "a bad", "big"),
        (5, "b", "b good", "b bad", None),
        (7, "a", "a good too", "a bad too", "big"),
    ]
    assert preferences.defects == {"no preference": [8], "blank side": [9], "unpaired": [6, 10]}
    assert preferences.columns["source"] == ("model",)
    assert preferences.columns["preference"] == ("label",)


def test_alike_completions_are_both_left_out() -> None:
    rows = [
        {"prompt": "a", "completion": text, "label": label} for text, label in ((" x", 1), ("y", 1), ("x", 0))
    ]
    preferences = open_preferences(rows)
    assert read(preferences) == []
    assert preferences.defects == {"identical sides": [1, 3], "unpaired": [2]}


def test_preferred_response_and_its_source_come_first() -> None:
    row = FORMS["safe rlhf"][1](*PAIRS[0])
    preferences = open_preferences([row])
    (pair,) = read(preferences)
    assert (pair["chosen_source"], pair["rejected_source"]) == ("C", "R")
    assert preferences.columns["preference"] == ("safer_response_id",)
    helpful = open_preferences([row], columns={"preference": "better_response_id"})
    (pair,) = read(helpful)
    assert (pair["chosen"], pair["chosen_source"]) == (PAIRS[0][2], "R")
    ties = [row | {"safer_response_id": other} for other in (-1, 2, None, "tie", True)]
    preferences = open_preferences([row, *ties, row | {"safer_response_id": "0"}])
    assert len(read(preferences)) == 2
    assert preferences.defects == {"no preference": [2, 3, 4, 6], "tie": [5]}


PROVENANCE: Row = {
    "kind": "harmful",
    "chosen_model": "big",
    "rejected_model": "small",
    "judge_a": "x",
    "judge_b": 7,
    "chosen_stop_reason": "eos",
    "rejected_stop_reason": "length",
    "chosen_decoding": '{"top_p": 0.9, "temperature": 1.0}',
    "rejected_decoding": None,
    "tags": '{"wrapper": "w", "noun": "n"}',
}


@pytest.mark.parametrize("shape", [standard, conversational])
def test_provenance_is_read_from_its_columns(tmp_path: Path, shape: Any) -> None:
    path = jsonl(tmp_path / "a.jsonl", [shape(*PAIRS[0]) | PROVENANCE])
    preferences = open_preferences(path)
    (row,) = read(preferences)
    assert (row["kind"], row["chosen_source"], row["rejected_source"]) == ("harmful", "big", "small")
    assert (row["chosen_stop"], row["rejected_stop"]) == ("eos", "length")
    assert (row["chosen_decoding"], row["rejected_decoding"]) == ('{"temperature":1.0,"top_p":0.9}', None)
    assert preferences.columns == {
        "prompt": ("prompt",),
        "chosen": ("chosen",),
        "rejected": ("rejected",),
        "source": ("chosen_model", "rejected_model"),
        "stop_reason": ("chosen_stop_reason", "rejected_stop_reason"),
        "decoding": ("chosen_decoding", "rejected_decoding"),
        "kind": ("kind",),
        "tags": ("tags",),
    }
    (block,) = preferences.blocks()
    prompt = prompt_of(block, 0)
    assert (prompt.kind, prompt.tags) == ("harmful", {"wrapper": "w", "noun": "n"})
    (row,) = read(open_preferences(path, source_columns=("judge_a", "judge_b")))
    assert (row["chosen_source"], row["rejected_source"]) == ("x", "7")


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [
        ("chosen_source", "rejected_source"),
        ("source_chosen", "source_rejected"),
        ("chosen-model", "rejected-model"),
    ],
)
def test_source_spellings(chosen: str, rejected: str) -> None:
    (row,) = read(open_preferences([standard(*PAIRS[0]) | {chosen: "big", rejected: ""}]))
    assert (row["chosen_source"], row["rejected_source"]) == ("big", None)


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ({"is_harmful": True}, "harmful"),
        ({"harmful": False}, "benign"),
        ({"unsafe": "Unsafe"}, "harmful"),
        ({"kind": "other"}, None),
        ({"is_harmful": True, "unsafe": False}, None),
        ({"kind": "benign", "unsafe": True}, "benign"),
    ],
)
def test_kind_is_taken_where_it_is_plain(tmp_path: Path, said: Row, kinds: str | None) -> None:
    path = jsonl(tmp_path / "a.jsonl", [standard(*PAIRS[0]) | said])
    assert [row["kind"] for row in read(open_preferences(path))] == [kinds]


def test_mapped_columns_are_read_in_any_form() -> None:
    rows = [
        {"q": p, "good": c, "bad": r, "prompt": "not this", "topic": "safe", "who": "x"} for p, c, r in PAIRS
    ]
    mapping = {"prompt": "q", "chosen": "good", "rejected": "bad", "kind": "topic", "chosen_source": "who"}
    preferences = open_preferences(rows, columns=mapping)
    found = read(preferences)
    assert [(r["prompt"], r["chosen"], r["rejected"]) for r in found] == PAIRS
    assert {(r["kind"], r["chosen_source"], r["rejected_source"]) for r in found} == {("benign", "x", None)}
    assert preferences.columns["prompt"] == ("q",)
    chats = [{"q": [user(p)], "good": [assistant(c)], "bad": [assistant(r)]} for p, c, r in PAIRS]
    assert texts(chats, columns={"prompt": "q", "chosen": "good", "rejected": "bad"}) == PAIRS


def test_what_cannot_be_mapped_is_named() -> None:
    rows = [standard(*PAIRS[0])]
    with pytest.raises(InputError, match="no column good in a list in memory; columns: prompt, chosen"):
        open_preferences(rows, columns={"chosen": "good"})
    with pytest.raises(InputError, match="not reply"):
        open_preferences(rows, columns={"reply": "chosen"})
    with pytest.raises(InputError, match="no source column who"):
        open_preferences(rows, source_columns=("who", "chosen"))


@pytest.mark.parametrize(
    "row",
    [
        {"text": "x", "answers": [1], "score": 0.5},
        {"chosen": 1, "rejected": 2},
        {"question": "q", "answer": "a"},
        {"prompt": [user("x")], "chosen": {"a": 1}, "rejected": {"b": 2}},
    ],
)
def test_an_unknown_form_shows_its_columns_and_the_mend(row: Row) -> None:
    with pytest.raises(InputError) as error:
        open_preferences([row])
    for part in (*row, "--columns"):
        assert part in str(error.value)


def test_sharegpt_keeps_other_roles() -> None:
    row = sharegpt("p", "c", "r")
    row["conversations"] = [{"from": "system", "value": "s"}, *row["conversations"]]
    (block,) = open_preferences([row]).blocks()
    assert [m["role"] for m in prompt_of(block, 0).as_messages()] == ["system", "user"]


def test_a_turn_with_both_spellings_is_read_as_role_and_content(tmp_path: Path) -> None:
    row = sharegpt("p", "c", "r")
    both = row | {"chosen": {**assistant("role"), "from": "gpt", "value": "from"}}
    rows = [row, row, both]
    assert [pair[1] for pair in texts(jsonl(tmp_path / "a.jsonl", rows))] == ["c", "c", "role"]
    assert [pair[1] for pair in texts(rows)] == ["c", "c", "role"]
