"""Every form in which preference data come gives the same pairs, and defective rows are counted, never fatal."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_pairs import conversational, rows

from backfire.auditing.formats import recognise
from backfire.auditing.rows import open_rows
from backfire.errors import InputError

ROWS = rows(6, 0)


def jsonl(path: Path, values: list[Any]) -> Path:
    path.write_text("".join(json.dumps(v) + "\n" for v in values), encoding="utf-8")
    return path


def texts(dataset: Any) -> tuple[str, list[tuple[str, str, str]]]:
    form, _, pairs, defects = recognise(open_rows(dataset))
    assert not defects
    return form, sorted((p.prompt.text, p.chosen, p.rejected) for p in pairs)


EXPECTED = sorted((r["prompt"], r["chosen"], r["rejected"]) for r in ROWS)


def implicit(row: dict[str, Any]) -> dict[str, Any]:
    chat = conversational(row)
    return {side: chat["prompt"] + chat[side] for side in ("chosen", "rejected")}


def transcript(row: dict[str, Any]) -> dict[str, Any]:
    start = f"\n\nHuman: {row['prompt']}\n\nAssistant: "
    return {side: start + row[side] for side in ("chosen", "rejected")}


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ("TRL standard, explicit prompt", dict),
        ("TRL conversational, explicit prompt", conversational),
        ("TRL conversational, implicit prompt", implicit),
        ("prompt beside whole conversations", lambda row: {**implicit(row), "prompt": row["prompt"]}),
        ("Anthropic HH transcripts", transcript),
    ],
)
def test_forms_are_recognised_and_agree(tmp_path: Path, form: str, shape: Any) -> None:
    assert texts(jsonl(tmp_path / "a.jsonl", [shape(row) for row in ROWS])) == (form, EXPECTED)


def test_implicit_prompt_of_plain_text_ends_between_words(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"chosen": "The sky is blue.", "rejected": "The sky is black."}])
    assert texts(path) == ("TRL standard, implicit prompt", [("The sky is ", "blue.", "black.")])


def test_files_folders_and_data_sets_agree(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    dataset = Dataset.from_list(ROWS)
    dataset.to_parquet(tmp_path / "a.parquet")
    dataset.save_to_disk(tmp_path / "disk")
    DatasetDict({"train": dataset, "test": dataset}).save_to_disk(tmp_path / "splits")
    (tmp_path / "pairs").mkdir()
    dataset.to_parquet(tmp_path / "pairs" / "train.parquet")
    (tmp_path / "a.json").write_text(json.dumps(ROWS), encoding="utf-8")
    (tmp_path / "columns.json").write_text(json.dumps(dataset.to_dict()), encoding="utf-8")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, ROWS)).encode()))
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    names = ("a.parquet", "disk", "splits", "pairs", "a.json", "columns.json", "a.jsonl.gz", "a.csv")
    for name in names:
        assert texts(tmp_path / name)[1] == EXPECTED, name
    assert texts(dataset)[1] == texts(DatasetDict({"train": dataset}))[1] == EXPECTED


def test_conversations_survive_csv(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", "chosen", "rejected"])
        writer.writerows([[json.dumps(v) for v in conversational(r).values()] for r in ROWS])
    assert texts(tmp_path / "a.csv") == ("TRL conversational, explicit prompt", EXPECTED)


def test_defects_are_counted_by_kind_and_row(tmp_path: Path) -> None:
    good = ROWS[0]
    values = [
        json.dumps(good).encode(),
        json.dumps({**good, "chosen": "  "}).encode(),
        json.dumps({**good, "rejected": good["chosen"] + " "}).encode(),
        json.dumps({**good, "chosen": None}).encode(),
        json.dumps({**good, "chosen": 7}).encode(),
        json.dumps({**good, "prompt": ["x"]}).encode(),
        b'{"prompt": "p", "chosen": "a\xff\xfe", "rejected": "b"}',
        b'{"prompt": "p", "chosen": "\\ud800", "rejected": "b"}',
        b'{"prompt": "p", "chosen',
        b"[1, 2]",
        json.dumps({**good, "chosen": "Another response."}).encode(),
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(values) + b"\n\n")
    rows_read = open_rows(path)
    _, _, pairs, defects = recognise(rows_read)
    assert rows_read.total == 11
    assert sorted(p.row for p in pairs) == [1, 11]
    assert [(d.row, d.kind) for d in defects] == [
        (2, "blank side"),
        (3, "identical sides"),
        (4, "missing side"),
        (5, "wrong type"),
        (6, "wrong type"),
        (7, "undecodable"),
        (8, "undecodable"),
        (9, "undecodable"),
        (10, "wrong type"),
    ]


def test_defects_of_conversations(tmp_path: Path) -> None:
    good = implicit(ROWS[0])
    other = [{"role": "user", "content": "Something else"}, good["chosen"][-1]]
    path = jsonl(
        tmp_path / "a.jsonl",
        [
            good,
            {**good, "chosen": other},
            {**good, "chosen": [{"role": "user"}]},
            {"chosen": good["chosen"][:1]} | {"rejected": good["rejected"][:1]},
        ],
    )
    _, _, pairs, defects = recognise(open_rows(path))
    assert len(pairs) == 1
    assert [d.kind for d in defects] == ["differing prompts", "wrong type", "no final assistant turn"]


def test_provenance_is_read_from_its_columns(tmp_path: Path) -> None:
    row = {
        **ROWS[0],
        "kind": "harmful",
        "chosen_model": "big",
        "rejected_model": "small",
        "judge_a": "x",
        "judge_b": "y",
        "chosen_stop_reason": "eos",
        "rejected_stop_reason": "length",
        "chosen_decoding": '{"temperature": 1.0}',
        "rejected_decoding": None,
    }
    path = jsonl(tmp_path / "a.jsonl", [row])
    (pair,) = recognise(open_rows(path)).pairs
    assert (pair.kind, pair.chosen_from.source, pair.rejected_from.source) == ("harmful", "big", "small")
    assert pair.rejected_from.stop_reason == "length"
    assert pair.chosen_from.decoding == {"temperature": 1.0}
    assert pair.rejected_from.decoding is None
    (pair,) = recognise(open_rows(path), ("judge_a", "judge_b")).pairs
    assert (pair.chosen_from.source, pair.rejected_from.source) == ("x", "y")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", '{"question": "q", "answer": "a"}\n', "question, answer"),
        ("a.jsonl", '{"chosen": 1, "rejected": 2}\n', "int"),
        ("a.jsonl", "not json\n", "none of its 1 lines"),
        ("a.json", "{", "is not JSON"),
        ("a.txt", "x", ".jsonl"),
        ("a.parquet", "x", "as Parquet"),
        ("a.csv", "", "is empty"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.") as error:
        recognise(open_rows(path))
    assert says in str(error.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_rows(tmp_path / "missing.jsonl")
    with pytest.raises(InputError, match="holds no data set"):
        open_rows(tmp_path)
    with pytest.raises(InputError, match="no source column who"):
        recognise(open_rows(jsonl(tmp_path / "a.jsonl", ROWS)), ("who", "chosen"))
    with pytest.raises(InputError, match="int"):
        open_rows(3)
