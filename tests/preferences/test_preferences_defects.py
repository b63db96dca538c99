"""Rows that give no pair are counted by kind and row, in every source, and never fatal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from preference_rows import (
    PAIRS,
    Row,
    assistant,
    conversational,
    jsonl,
    read,
    shared,
    sharegpt,
    standard,
    user,
    whole,
)

from backfire.preferences import Preferences, open_preferences

GOOD = standard(*PAIRS[0])


def kept(preferences: Preferences) -> list[int]:
    return [row["row"] for row in read(preferences)]


def test_defects_of_lines(tmp_path: Path) -> None:
    values = [
        json.dumps(GOOD).encode(),
        json.dumps({**GOOD, "chosen": "  "}).encode(),
        json.dumps({**GOOD, "rejected": GOOD["chosen"] + " "}).encode(),
        json.dumps({**GOOD, "chosen": None}).encode(),
        json.dumps({**GOOD, "chosen": 7}).encode(),
        json.dumps({**GOOD, "prompt": ["x", "y"]}).encode(),
        b'{"prompt": "p", "chosen": "a\xff\xfe", "rejected": "b"}',
        b'{"prompt": "p", "chosen": "\\ud800", "rejected": "b"}',
        b'{"prompt": "p", "chosen',
        b"[1, 2]",
        b"",
        b"  \t",
        json.dumps({**GOOD, "chosen": "Another response."}).encode(),
        b"x",
        b'{"prompt": "p", "chosen": "\x00", "rejected": "b"}',
        b'{"prompt": "p", "chosen": "\\u0000", "rejected": "b"}',
        b'{"prompt": "p", "chosen": "a", "rejected": "b"} {"prompt": "p", "chosen": "a", "rejected": "b"}',
        b'{"prompt": "p", "chosen": "\xc2\xa0\xe3\x80\x80\\u001f", "rejected": "b"}',
        b'{"prompt": "p", "chosen": "a", "rejected": "b"}}',
        b'{"prompt": "p", "chosen": "x", "chosen": "a", "rejected": "b"}',
        b'{"prompt": "p", "chosen": "a", "rejected": "b", "n": Inf}',
        b'{"prompt": "p", "chosen": "a", "rejected": "b", "n": 1e999}',
        b'{"prompt": "p", "chosen": "a", "rejected": "b", "n": ' + b"1" * 5000 + b"}",
        b'{"prompt": "p", "chosen": "2020-01-01", "rejected": "b", "n": NaN}',
        b"null",
        b"{}",
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(values) + b"\n\n")
    preferences = open_preferences(path)
    rows = read(preferences)
    assert preferences.rows == 24
    assert [row["row"] for row in rows] == [1, 5, 13, 16, 20, 22, 23, 24]
    assert [row["chosen"] for row in rows[3:]] == ["\x00", "a", "a", "a", "2020-01-01"]
    assert rows[1]["chosen"] == "7"
    assert preferences.remarks == {"numbers read as text": [5]}
    assert preferences.defects == {
        "undecodable": [7, 8, 9, 14, 15, 17, 19, 21],
        "blank side": [2, 18],
        "identical sides": [3],
        "missing side": [4, 26],
        "wrong type": [6, 10, 25],
    }


def test_one_bad_line_in_thousands_is_found_and_the_rest_kept(tmp_path: Path) -> None:
    many = [standard(f"{i}", f"good {i}", f"bad {i}") for i in range(20_000)]
    lines = [json.dumps(row).encode() for row in many]
    lines[7_000] = b'{"prompt": "p", "chosen": "a", "rejected": true}'
    lines[12_345] = lines[12_345][:-3]
    lines[15_000] = b'{"prompt": "p", "chosen": "\xff", "rejected": "b"}'
    lines[17_000] = b'{"prompt": "p", "chosen": {"a": {"b": 1}, "rejected": "b"}'
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    preferences = open_preferences(path)
    blocks = list(preferences.blocks())
    numbers = [n for block in blocks for n in block.column("row").to_pylist()]
    assert numbers == [n for n in range(1, 20_001) if n not in (7_001, 12_346, 15_001, 17_001)]
    assert preferences.defects == {"wrong type": [7_001], "undecodable": [12_346, 15_001, 17_001]}


def test_a_long_row_is_a_block_of_its_own(tmp_path: Path) -> None:
    long = "x " * (17 << 20)
    rows = [GOOD, standard("p", long, "short"), GOOD]
    preferences = open_preferences(jsonl(tmp_path / "a.jsonl", rows))
    assert [len(block) for block in preferences.blocks()] == [1, 1, 1]


@pytest.mark.parametrize("where", ["lines", "list", "parquet"])
def test_defects_of_conversations(tmp_path: Path, where: str) -> None:
    good = whole(*PAIRS[0])
    rows: list[Row] = [
        good,
        {**good, "chosen": [user("Something else"), good["chosen"][-1]]},
        {**good, "chosen": [{"role": "user"}]},
        {"chosen": good["chosen"][:1], "rejected": good["rejected"][:1]},
        {**good, "chosen": None},
        {**good, "chosen": []},
        {**good, "chosen": [user("How is bread made?"), assistant(" \n")]},
        {"chosen": [assistant("a")], "rejected": [assistant("b")]},
        {**good, "chosen": [*good["chosen"][:1], {"role": None, "content": "x"}]},
    ]
    dataset: Any = rows
    if where == "lines":
        dataset = jsonl(tmp_path / "a.jsonl", rows)
    elif where == "parquet":
        dataset = tmp_path / "a.parquet"
        parquet.write_table(pa.Table.from_pylist(rows), dataset)
    preferences = open_preferences(dataset)
    found = read(preferences)
    assert [(row["row"], row["messages"]) for row in found] == [(1, None)]
    assert preferences.defects == {
        "no prompt": [8],
        "differing prompts": [2],
        "wrong type": [3, 6, 9],
        "no final assistant turn": [4],
        "missing side": [5],
        "blank side": [7],
    }


def test_defects_of_single_turns() -> None:
    good = sharegpt(*PAIRS[0])
    rows = [
        good,
        good | {"chosen": shared(user("x"))},
        good | {"conversations": []},
        good | {"rejected": None},
        good | {"rejected": True},
        good | {"rejected": {"from": "gpt"}},
    ]
    preferences = open_preferences(rows)
    assert kept(preferences) == [1]
    assert preferences.defects == {
        "no final assistant turn": [2],
        "wrong type": [3, 5, 6],
        "missing side": [4],
    }


def test_content_of_unknown_parts_is_a_wrong_type() -> None:
    parts = {"role": "user", "content": [{"type": "hologram", "url": "x"}, {"type": "text", "text": "y"}]}
    preferences = open_preferences(
        [conversational(*PAIRS[0]), conversational(*PAIRS[0]) | {"prompt": [parts]}]
    )
    assert kept(preferences) == [1]
    assert preferences.defects == {"wrong type": [2]}


def test_defects_of_instructions() -> None:
    good: Row = {"instruction": "p", "input": "", "chosen": "a", "rejected": "b", "history": [["q", "r"]]}
    rows = [good, *(good | {"history": wrong} for wrong in (3, "x", [["q"]], [[1, 2]])), good | {"input": 4}]
    preferences = open_preferences(rows)
    assert kept(preferences) == [1]
    assert preferences.defects == {"wrong type": [2, 3, 4, 5, 6]}
    two: Row = {"instruction": "p", "output": ["a", "b"]}
    preferences = open_preferences(
        [two, two | {"output": ["a"]}, two | {"output": ["a", "b", "c"]}, two | {"output": "a"}]
    )
    assert kept(preferences) == [1]
    assert preferences.defects == {"missing side": [2], "wrong type": [3, 4]}


def test_csv_rows_with_other_numbers_of_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'prompt,chosen,rejected\n\xc3\xa9,a,b\np,a\np,a,b,c\n\np,"a\nb, c",d\np,\xff,b\np,"[{no json}]",b\np,\x00,b\n'
    )
    preferences = open_preferences(path)
    rows = read(preferences)
    assert [(row["row"], row["chosen"]) for row in rows] == [
        (1, "a"),
        (5, "a\nb, c"),
        (7, "[{no json}]"),
        (8, "\x00"),
    ]
    assert preferences.defects == {"undecodable": [2, 3, 6]}
    assert preferences.rows == 7


def test_text_in_parquet_that_is_not_utf8(tmp_path: Path) -> None:
    bad = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    table = pa.table({"prompt": ["p"] * 3, "chosen": bad, "rejected": ["x"] * 3})
    parquet.write_table(table, tmp_path / "a.parquet")
    preferences = open_preferences(tmp_path / "a.parquet")
    assert kept(preferences) == [1, 3]
    assert preferences.defects == {"undecodable": [2]}


def test_parquet_types_beside_plain_strings(tmp_path: Path) -> None:
    sides = pa.table(
        {
            "prompt": pa.array(["p", "p", "q"]).dictionary_encode(),
            "chosen": pa.array(["a", None, "c"], pa.large_string()),
            "rejected": pa.array(["x", "y", "z"], pa.string_view()),
            "chosen_source": pa.array([1, 2, None]),
            "rejected_source": pa.nulls(3),
        }
    )
    parquet.write_table(sides, tmp_path / "a.parquet")
    preferences = open_preferences(tmp_path / "a.parquet")
    rows = read(preferences)
    assert [(r["row"], r["prompt"], r["rejected"], r["chosen_source"]) for r in rows] == [
        (1, "p", "x", "1"),
        (3, "q", "z", None),
    ]
    assert preferences.defects == {"missing side": [2]}


def test_surrogates_beside_the_texts_do_not_crash() -> None:
    rows = [
        GOOD,
        GOOD | {"chosen_source": "\ud800", "rejected_source": "x"},
        GOOD | {"tags": {"a": "\udfff"}},
    ]
    rows = [{"chosen_source": None, "rejected_source": None, "tags": None} | row for row in rows]
    preferences = open_preferences(rows)
    assert kept(preferences) == [1]
    assert preferences.defects == {"undecodable": [2, 3]}
