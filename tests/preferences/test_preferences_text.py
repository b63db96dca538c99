"""Text that is something else, and text that only looks like it: messages as text, chats in wrappers, JSON answers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from preference_rows import Row, assistant, jsonl, read, user

from backfire.preferences import open_preferences
from backfire.preferences.message_text import value_in
from backfire.preferences.wrappers import WRAPPERS, prompt_in, turns_in, unwrapped, wrapper_of

PAIRS = [(f'Say {i} isn\'t "odd".', f"It's\n{i}.", f"No, {i} [is] {{even}}.") for i in range(12)]
SPELLINGS: dict[str, Any] = {
    "json": json.dumps,
    "spaced json": lambda turns: json.dumps(turns, indent=1),
    "python": repr,
    "numpy": lambda turns: str(np.array(turns, dtype=object)),
    "array": lambda turns: repr(np.array(turns, dtype=object)),
}


def whole(p: str, said: str) -> list[Row]:
    return [user(p), assistant(said)]


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("where", ["csv", "jsonl"])
def test_messages_that_are_text_are_read_as_messages(name: str, where: str, tmp_path: Path) -> None:
    spell = SPELLINGS[name]
    rows = [{"prompt": p, "chosen": spell(whole(p, c)), "rejected": spell(whole(p, r))} for p, c, r in PAIRS]
    path = tmp_path / f"a.{where}"
    if where == "jsonl":
        jsonl(path, rows)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    preferences = open_preferences(path)
    assert [(r["prompt"], r["chosen"], r["rejected"]) for r in read(preferences)] == PAIRS
    assert any("spells messages" in note for note in preferences.notes())


def test_a_cell_in_such_a_column_that_spells_nothing_is_a_defect() -> None:
    rows = [
        {"prompt": p, "chosen": json.dumps(whole(p, c)), "rejected": json.dumps(whole(p, r))}
        for p, c, r in PAIRS
    ]
    rows[3]["chosen"] = "[{'role': 'user'"
    preferences = open_preferences(rows)
    assert len(read(preferences)) == 11
    assert preferences.defects == {"wrong type": [4]}


@given(
    st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": st.text()}), min_size=1, max_size=3)
)
def test_every_spelling_gives_the_same_messages(turns: list[Row]) -> None:
    assert value_in(json.dumps(turns)) == turns
    assert value_in(repr(turns)) == turns
    assert value_in("\n ".join(repr(turns).split("}, {")).join(("", ""))) is None or len(turns) == 1
    numpy_like = "[" + "\n ".join(map(repr, turns)) + "]"
    assert value_in(numpy_like) == turns


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[__import__('os').system('x')]",
        "[" * 3000 + "]" * 3000,
        "[1" + "+1" * 100 + "]",
        "{1, 2}",
        "[x for x in y]",
    ],
)
def test_what_is_no_plain_value_is_text(text: str) -> None:
    assert value_in(text) is None


@pytest.mark.parametrize("where", ["csv", "jsonl"])
def test_answers_that_are_json_stay_answers(where: str, tmp_path: Path) -> None:
    rows = [
        {
            "prompt": f"List {i}.",
            "chosen": json.dumps([{"part": i}, {"part": 2}]),
            "rejected": json.dumps({"name": i}),
        }
        for i in range(12)
    ]
    rows[0]["chosen"] = json.dumps([user("x"), assistant("y")])
    path = tmp_path / f"a.{where}"
    if where == "jsonl":
        jsonl(path, rows)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    preferences = open_preferences(path)
    assert [(r["chosen"], r["rejected"]) for r in read(preferences)] == [
        (r["chosen"], r["rejected"]) for r in rows
    ]
    assert preferences.notes() == ()


WRAPPED = {
    "Human: and Assistant:": "\n\nHuman: {p}\n\nAssistant: ",
    "Human: and Assistant: on lines of their own": "Human: {p}\nAssistant:",
    "[INST] marks": "<s>[INST] {p} [/INST]",
    "ChatML": "<|im_start|>user\n{p}<|im_end|>\n<|im_start|>assistant\n",
    "Llama 3 headers": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{p}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "Zephyr turns": "<|user|>\n{p}</s>\n<|assistant|>\n",
    "Gemma turns": "<bos><start_of_turn>user\n{p}<end_of_turn>\n<start_of_turn>model\n",
    "USER: and ASSISTANT:": "USER: {p} ASSISTANT:",
    "### Instruction and ### Response": "Below is an instruction that describes a task. Write a response that"
    " appropriately completes the request.\n\n### Instruction:\n{p}\n\n### Response:",
    "DeepSeek turns": "<｜begin▁of▁sentence｜><｜User｜>{p}<｜Assistant｜>",
    "Harmony messages": "<|start|>user<|message|>{p}<|end|><|start|>assistant",
    "Command R turns": "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>{p}<|END_OF_TURN_TOKEN|>"
    "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    "NeMo turns": "<extra_id_0>System\n\n<extra_id_1>User\n{p}\n<extra_id_1>Assistant\n",
    "GPT4 Correct User:": "GPT4 Correct User: {p}<|end_of_turn|>GPT4 Correct Assistant:",
}
SYSTEMS = {
    "[INST] marks": "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n{p} [/INST]",
    "ChatML": "<|im_start|>system\nBe brief.<|im_end|>\n" + WRAPPED["ChatML"],
    "Zephyr turns": "<|system|>\nBe brief.</s>\n" + WRAPPED["Zephyr turns"],
    "NeMo turns": "<extra_id_0>System\nBe brief.\n<extra_id_1>User\n{p}\n<extra_id_1>Assistant\n",
    "USER: and ASSISTANT:": "Be brief. " + WRAPPED["USER: and ASSISTANT:"],
    "### Instruction and ### Response": "Be brief.\n\n### Instruction:\n{p}\n\n### Response:\n",
}


@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers_of_prompts_are_taken_off(name: str) -> None:
    rows = [{"prompt": WRAPPED[name].format(p=p), "chosen": c, "rejected": r} for p, c, r in PAIRS]
    preferences = open_preferences(rows)
    assert [(r["prompt"], r["chosen"], r["rejected"]) for r in read(preferences)] == PAIRS
    assert name in preferences.notes()[0]
    plain = open_preferences(rows, plain=True)
    assert [r["prompt"] for r in read(plain)] == [row["prompt"] for row in rows]


@pytest.mark.parametrize("name", SYSTEMS)
def test_their_system_turn_is_kept(name: str) -> None:
    rows = [{"prompt": SYSTEMS[name].format(p=p), "chosen": c, "rejected": r} for p, c, r in PAIRS]
    first, *_ = read(open_preferences(rows))
    assert json.loads(first["messages"]) == [{"role": "system", "content": "Be brief."}, user(PAIRS[0][0])]


@pytest.mark.parametrize("name", [n for n in WRAPPED if not n.startswith(("Harmony", "Command"))])
def test_sides_that_are_whole_chats_in_text(name: str) -> None:
    rows = [
        {side: WRAPPED[name].format(p=p) + text for side, text in (("chosen", c), ("rejected", r))}
        for p, c, r in PAIRS
    ]
    preferences = open_preferences(rows)
    assert [(r["prompt"], r["chosen"], r["rejected"]) for r in read(preferences)] == PAIRS


def test_a_wrapper_in_some_rows_only_is_left_where_it_is() -> None:
    rows = [{"prompt": p, "chosen": c, "rejected": r} for p, c, r in PAIRS]
    rows[0]["prompt"] = rows[1]["prompt"] = WRAPPED["ChatML"].format(p="x")
    assert [r["prompt"] for r in read(open_preferences(rows))] == [row["prompt"] for row in rows]


def test_several_turns_in_a_prompt() -> None:
    text = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"
    turns = prompt_in(text, "Human: and Assistant:")
    assert turns is not None
    assert [(t.role, t.content) for t in turns] == [("user", "a"), ("assistant", "b"), ("user", "c")]
    spelled = turns_in("[INST] a [/INST] b </s><s>[INST] c [/INST]", "[INST] marks")
    assert spelled is not None
    assert [(t.role, t.content) for t in spelled] == [("user", "a"), ("assistant", "b"), ("user", "c")]


@given(st.text())
def test_plain_text_is_in_no_wrapper_without_a_mark(text: str) -> None:
    for name in WRAPPERS:
        turns = turns_in(text, name)
        assert turns is None or any(mark in text for mark in ("Human", "User", "USER", "[INST]", "<", "###"))
    assert wrapper_of(["How are you?", "### Headings\nare prose", text], answered=False) is None


def test_the_attributes_and_the_last_mark_of_nemo_are_no_part_of_a_turn() -> None:
    text = "<extra_id_0>System\nBe brief.\n<extra_id_1>User\na\n<extra_id_1>Assistant\n<extra_id_2>quality:4,humor:0\n"
    asked = [("system", "Be brief."), ("user", "a")]
    assert [(t.role, t.content) for t in prompt_in(text, "NeMo turns") or ()] == asked
    whole = turns_in(text + "b\n<extra_id_1>", "NeMo turns")
    assert [(t.role, t.content) for t in whole or ()] == [*asked, ("assistant", "b")]
    assert turns_in("Fill in <extra_id_0> System and <extra_id_1> here.", "NeMo turns") is None


def test_a_single_prompt_is_unwrapped_by_whichever_fits() -> None:
    for name, text in WRAPPED.items():
        turns = unwrapped(text.format(p="What is it?"))
        assert turns is not None, name
        assert [(t.role, t.content) for t in turns] == [("user", "What is it?")], name
    assert unwrapped("What is User: here?") is None


@pytest.mark.parametrize(
    ("wrapper", "end"),
    [
        (
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
            "<|im_end|>\n",
        ),
        ("<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n{} [/INST]", " </s>"),
        ("<extra_id_0>System\nBe brief.\n<extra_id_1>User\n{}\n<extra_id_1>Assistant\n", "\n<extra_id_1>"),
        ("<|system|>\nBe brief.</s>\n<|user|>\n{}</s>\n<|assistant|>\n", "</s>"),
    ],
)
@pytest.mark.parametrize("form", ["sides", "choice", "labels"])
def test_marks_that_end_responses_to_wrapped_prompts_are_taken_off(form: str, wrapper: str, end: str) -> None:
    """Else the template would write them a second time. A response that was cut has none, and is left as it is."""
    rows: list[Row] = []
    for n in range(20):
        good, bad = f"Yes, {n}.{end}", f"No, {n}." + (end if n else "")
        prompt = {"prompt": wrapper.format(f"Ask {n}?")}
        if form == "sides":
            rows.append(prompt | {"chosen": good, "rejected": bad})
        elif form == "choice":
            rows.append(prompt | {"response_a": bad, "response_b": good, "winner": "b"})
        else:
            rows += [prompt | {"completion": text, "label": text is good} for text in (good, bad)]
    data = open_preferences(rows)
    found = read(data)
    assert [(row["chosen"], row["rejected"]) for row in found] == [
        (f"Yes, {n}.", f"No, {n}.") for n in range(20)
    ]
    assert any("end" in note and "taken off" in note for note in data.notes())


def test_marks_that_end_few_responses_stay() -> None:
    rows = [
        {
            "prompt": f"<|im_start|>user\nAsk {n}?<|im_end|>\n<|im_start|>assistant\n",
            "chosen": f"Yes, {n}." + ("<|im_end|>" if n < 5 else ""),
            "rejected": f"No, {n}.",
        }
        for n in range(20)
    ]
    assert read(open_preferences(rows))[0]["chosen"] == "Yes, 0.<|im_end|>"
