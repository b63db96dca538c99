"""Evaluation sets are found by their keys; ordinary prompts are not."""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from audited_by_hand import audited_by_hand
from backfire.auditing.faults.evaluation_sets import (
    evaluation_sets,
    hashed_sets,
    item_numbers,
    sets_of,
)
from backfire.auditing.text_pass import collect
from backfire.preferences import open_preferences


def found_in(prompts: list[str]) -> dict[str, int]:
    rows: list[dict[str, Any]] = [
        {"prompt": prompt, "chosen": f"yes {i}", "rejected": f"no {i}"} for i, prompt in enumerate(prompts)
    ]
    return {one.name: one.pairs.hits for one in evaluation_sets(audited_by_hand(rows))[0]}


def column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as lines:
        return [row[name] for row in csv.DictReader(lines)]


def test_every_set_is_named_with_its_origin_and_how_much_of_it_there_is() -> None:
    names = {one.name for one in hashed_sets()}
    assert {"AdvBench", "HarmBench", "XSTest", "AlpacaEval", "MMLU", "TruthfulQA", "HellaSwag"} <= names
    assert all(one.items > 0 and one.origin and one.how_much and len(one.keys) for one in hashed_sets())
    assert {one.name: one.items for one in hashed_sets()}["AdvBench"] == 520


def test_no_prompt_is_shipped() -> None:
    stored = (files("backfire.auditing.faults") / "evaluation_sets.npz").read_bytes()
    assert all(one.keys.dtype == "uint64" for one in hashed_sets())
    assert b"Write a" not in stored


def test_made_up_prompts_are_not_found() -> None:
    assert found_in(["What is this?", "Tell me of the wug that sorbed the blicket yesterday.", "", "?"]) == {}


@pytest.mark.parametrize(
    ("name", "path", "column_name"),
    [
        ("AdvBench", "prompts/advbench.csv", "goal"),
        ("JailbreakBench harmful", "prompts/jbb_harmful.csv", "Goal"),
        ("JailbreakBench benign", "prompts/jbb_benign.csv", "Goal"),
        ("SimpleSafetyTests", "prompts/simple_safety_tests.csv", "prompts_final"),
        ("XSTest", "xstest/xstest_prompts.csv", "prompt"),
        ("TruthfulQA", "general/TruthfulQA.csv", "Question"),
    ],
)
def test_real_items_are_found(real_data: Path, name: str, path: str, column_name: str) -> None:
    items = column(real_data / path, column_name)
    assert found_in(items)[name] > 0.97 * len(items)


def test_items_are_found_in_other_letters_spaces_and_wrappers(real_data: Path) -> None:
    goal = column(real_data / "prompts" / "advbench.csv", "goal")[7]
    wrapped = f"### Instruction:\n{goal}\n\n### Response:"
    prompts = [goal.upper(), f"  {goal}\n", goal + ".", wrapped, wrapped + "\n", f"Please {goal}"]
    assert found_in(prompts)["AdvBench"] == 5


def test_items_are_found_beside_marks_that_make_no_turns(real_data: Path) -> None:
    goal = column(real_data / "prompts" / "advbench.csv", "goal")[7]
    broken = (
        "{} [/INST]",
        "<s>[INST] {}",
        "{}<|im_end|>\n<|im_start|>assistant\n",
        "### Instruction:\n{}",
        "{}</s>",
    )
    prompts = [*(how.format(goal) for how in broken), "Tell me. [/INST]", f"What is `</s>` in `{goal}</s>`?"]
    rows = [{"prompt": p, "chosen": f"yes {i}", "rejected": f"no {i}"} for i, p in enumerate(prompts)]
    found = item_numbers(collect(open_preferences(rows).blocks()))
    assert found["AdvBench"].tolist() == [8] * len(broken) + [0, 0]


def test_tasks_are_found(real_data: Path) -> None:
    arc = (real_data / "general" / "arc_easy.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["query"] for line in arc[:100]]
    assert found_in(questions)["ARC-Easy"] >= 97
    hellaswag = (real_data / "general" / "hellaswag_first1000.txt").read_text(encoding="utf-8").splitlines()
    assert found_in(hellaswag[:600:6])["HellaSwag"] == 100
    question = column(real_data / "general" / "mmlu" / "test_astronomy_test.csv", "question")[3]
    assert found_in([f"Question: {question}\nAnswer:"])["MMLU"] == 1


def test_prompts_that_people_typed_hardly_match(real_data: Path) -> None:
    lines = (real_data / "hh-rlhf" / "harmless_even.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [json.loads(line)["chosen"].split("\n\nHuman: ")[-1].split("\n\nAssistant:")[0] for line in lines]
    assert len(turns) > 1000
    assert sum(found_in(turns).values()) <= 3


def test_each_hit_names_its_item_and_quotes_what_matched(real_data: Path) -> None:
    goals = column(real_data / "prompts" / "advbench.csv", "goal")
    prompts = ["Tell me of the wug.", goals[7].upper(), f"### Instruction:\n{goals[519]}\n\n### Response:"]
    rows: list[dict[str, Any]] = [{"prompt": p, "chosen": "yes", "rejected": "no"} for p in prompts]
    audited = audited_by_hand(rows)
    found = next(one for one in evaluation_sets(audited)[0] if one.name == "AdvBench")
    assert [(hit.row, hit.item, hit.span) for hit in found.hits] == [(2, 8, prompts[1]), (3, 520, prompts[2])]
    assert item_numbers(audited)["AdvBench"].tolist() == [0, 8, 520]


def test_the_last_turn_is_quoted_and_read_anew_where_it_was_not_kept(real_data: Path, tmp_path: Path) -> None:
    goals = column(real_data / "prompts" / "advbench.csv", "goal")[:10]
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    rows = [
        {
            "prompt": [*turns, {"role": "user", "content": text}],
            "chosen": [said("yes")],
            "rejected": [said("no")],
        }
        for text in [*(f"ask {i} of this thing" for i in range(50)), *goals]
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    audited = collect(open_preferences(path).blocks(), sample=30)
    items = item_numbers(audited)
    every = [(51 + place, 1 + place, goal) for place, goal in enumerate(goals)]
    kept = [hit for hit in every if hit[0] - 1 in audited.sample]
    assert 0 < len(kept) < len(every)
    for blocks, expected in ((lambda: open_preferences(path).blocks(), every), (None, kept)):
        found = next(one for one in sets_of(audited, items, blocks)[0] if one.name == "AdvBench")
        assert [(hit.row, hit.item, hit.span) for hit in found.hits] == expected


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}
