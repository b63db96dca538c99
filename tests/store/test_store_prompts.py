"""Reading prompts from users' files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.records import Prompt
from backfire.store import read_prompts


def written(folder: Path, name: str, rows: list[Any]) -> Path:
    path = folder / name
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif name.endswith(".json"):
        path.write_text(json.dumps(rows))
    elif name.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        import csv

        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if name.endswith("tsv") else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "p.csv", "p.tsv", "p.parquet"])
def test_every_format_gives_the_same_prompts(tmp_path: Path, name: str) -> None:
    rows = [
        {"prompt": "one, or\ntwo?", "kind": "harmful", "area": "x"},
        {"prompt": "three", "kind": "", "area": ""},
    ]
    read = read_prompts(written(tmp_path, name, rows), kind="benign")
    assert read.prompts == (Prompt.of("one, or\ntwo?", kind="harmful"), Prompt.of("three", kind="benign"))
    assert [p.tags for p in read.prompts] == [{"area": "x"}, {}]
    assert read.left_out == {}


def test_plain_lines_and_plain_strings(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes("\ufeffone\r\n\r\ntwo’s\r\none\r\n".encode())
    read = read_prompts(tmp_path / "p.txt")
    assert [p.text for p in read.prompts] == ["one", "two’s"]
    assert read.left_out == {"blank": 1, "duplicate": 1}
    assert [p.text for p in read_prompts(written(tmp_path, "p.json", ["a", "b"])).prompts] == ["a", "b"]


@pytest.mark.parametrize("column", ["instruction", "Goal", "question", "prompts_final", "messages"])
def test_usual_columns_are_found(tmp_path: Path, column: str) -> None:
    cell: Any = [{"role": "user", "content": "hello"}] if column == "messages" else "hello"
    read = read_prompts(written(tmp_path, "p.jsonl", [{column: cell, "rest": 3}]))
    assert read.prompts == (Prompt.of("hello"),)
    assert read.column == column
    assert read.prompts[0].tags == {"rest": "3"}


def test_turns_and_alpaca_inputs(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
    ]
    assert read_prompts(written(tmp_path, "a.jsonl", [{"prompt": turns}])).prompts == (
        Prompt.of_messages(turns),
    )
    rows = [{"instruction": "sum", "input": "1 2"}, {"instruction": "say", "input": ""}]
    assert [p.text for p in read_prompts(written(tmp_path, "b.jsonl", rows)).prompts] == ["sum\n\n1 2", "say"]


def test_defects_are_counted(tmp_path: Path) -> None:
    rows = [{"prompt": "a"}, {"prompt": None}, {"prompt": "  "}, {"prompt": "a", "kind": "harmful"}]
    rows.append({"prompt": "broken \ud800"})
    read = read_prompts(written(tmp_path, "p.jsonl", rows))
    assert read.prompts == (Prompt.of("a", kind="harmful"),)
    assert read.left_out == {"blank": 2, "duplicate": 1, "undecodable": 1}


def test_half_a_character_beside_the_prompt_costs_a_tag_or_the_row(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "note": "half \ud800 sign", "noun": "x"},
        {"prompt": "b", "parts": ["\udfff"], "odd \ud800": "y", "target": "Sure"},
        {"prompt": "c", "target": "Sure \ud800"},
        {"prompt": "d", "Target": "Sure \ud800"},
    ]
    read = read_prompts(written(tmp_path, "p.jsonl", rows))
    assert [(p.text, p.tags) for p in read.prompts] == [("a", {"noun": "x"}), ("b", {"target": "Sure"})]
    assert read.left_out == {"undecodable": 2}


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"text": "a", "id": 1}], {}, "no column for the prompt.*text, id"),
        ([{"prompt": "a", "question": "b"}], {}, "several columns.*prompt, question"),
        ([{"prompt": "a"}], {"column": "q"}, "no column 'q'.*prompt"),
        ([{"prompt": 3}], {}, "row 1 .*neither a text nor a list"),
        ([{"prompt": [{"role": "user"}]}], {}, "row 1 .*role and content"),
        (
            [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}],
            {},
            "last turn .*assistant",
        ),
        ([{"prompt": "a", "kind": "evil"}, {"prompt": "b", "kind": "harmful"}], {}, "row 1 .*'evil'"),
        ([{"prompt": "a"}], {"kind": "evil"}, "kind 'evil'"),
        (
            [{"prompt": "a", "kind": "harmful"}, {"prompt": "a", "kind": "benign"}],
            {},
            "row 2 .*benign.*harmful",
        ),
        ([], {}, "no rows"),
        ([3], {}, "row 1 .*not an object"),
    ],
)
def test_errors_name_value_and_mend(tmp_path: Path, rows: list[Any], options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_prompts(written(tmp_path, "p.jsonl", rows), **options)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_prompts(tmp_path / "absent.csv")
    (tmp_path / "p.xls").write_text("a")
    with pytest.raises(InputError, match=r"'\.xls'"):
        read_prompts(tmp_path / "p.xls")
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n{"prompt": \n')
    with pytest.raises(InputError, match="line 2"):
        read_prompts(tmp_path / "p.jsonl")
    (tmp_path / "p.csv").write_text("prompt,kind\nhow, or when?,harmful,x\n")
    with pytest.raises(InputError, match="row 1 has more cells"):
        read_prompts(tmp_path / "p.csv")
    (tmp_path / "q.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"q\.txt is not utf-16-le: line 1"):
        read_prompts(tmp_path / "q.txt")
    (tmp_path / "q.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"cannot read .*q\.parquet as Parquet"):
        read_prompts(tmp_path / "q.parquet")
    (tmp_path / "q.json").write_text("3")
    with pytest.raises(InputError, match="holds a int: a list of rows is needed"):
        read_prompts(tmp_path / "q.json")


def test_a_column_kind_that_speaks_of_something_else_is_a_tag_and_named(tmp_path: Path) -> None:
    read = read_prompts(written(tmp_path, "p.jsonl", [{"prompt": "a", "kind": "chat"}]), kind="benign")
    assert (read.ignored, read.prompts[0].kind, read.prompts[0].tags) == ("kind", "benign", {"kind": "chat"})
    rows = [{"prompt": "a", "kind": "Harmful"}, {"prompt": "b", "kind": "chat"}]
    with pytest.raises(InputError, match=r"row 2 of .*p\.jsonl: column 'kind' holds 'chat'"):
        read_prompts(written(tmp_path, "p.jsonl", rows))


def test_flags_of_harm_are_kinds(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "is_harmful": True}, {"prompt": "b", "is_harmful": False}]
    assert [p.kind for p in read_prompts(written(tmp_path, "p.parquet", rows)).prompts] == [
        "harmful",
        "benign",
    ]


def test_heads_with_blanks_and_capitals(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(" Prompt ;KIND;Area\nhow?;BENIGN;x\n")
    read = read_prompts(tmp_path / "p.csv")
    assert (read.prompts[0].text, read.prompts[0].kind, read.prompts[0].tags) == (
        "how?",
        "benign",
        {"Area": "x"},
    )


def test_numbers_of_rows_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n\n{"prompt": 3}\n')
    with pytest.raises(InputError, match=r"row 3 .*neither a text"):
        read_prompts(tmp_path / "p.jsonl")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("advbench.csv", 520),
        ("jbb_harmful.csv", 100),
        ("jbb_benign.csv", 100),
        ("simple_safety_tests.csv", 100),
    ],
)
def test_published_prompt_sets(real_data: Path, name: str, count: int) -> None:
    read = read_prompts(real_data / "prompts" / name, kind="harmful")
    assert len(read.prompts) + read.left_out.get("duplicate", 0) == count
    assert {p.kind for p in read.prompts} == {"harmful"}
