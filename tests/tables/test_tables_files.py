"""Whatever a table is packed with, written in and called, the same rows are read, or what it is is said."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.errors import InputError
from backfire.tables import read_rows, read_table
from backfire.tables.encoding import likely
from backfire.tables.opening import open_source

ROWS = [
    {"prompt": "Où est la gare ?", "response": "À gauche; puis tout droit."},
    {"prompt": 'Say "a, b" | c\nand d', "response": "a, b\tand c"},
    {"prompt": "x", "response": "N/A"},
]


def lines(rows: list[Any] = ROWS) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def cells(rows: list[dict[str, Any]] = ROWS, delimiter: str = ",") -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


PACKING: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstd,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("packed", PACKING)
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "txt"])
def test_packed_files(tmp_path: Path, packed: str, named: bool, ending: str) -> None:
    content = {
        "jsonl": lines(),
        "json": json.dumps(ROWS).encode(),
        "csv": cells().encode(),
        "txt": "\n".join(row["response"] for row in ROWS).encode(),
    }[ending]
    path = written(tmp_path, f"a.{ending}" + (f".{packed}" if named else ""), PACKING[packed](content))
    expected: Any = [{"prompt": row["response"]} for row in ROWS] if ending == "txt" else ROWS
    assert read_rows(path) == expected


@pytest.mark.parametrize("packed", PACKING)
def test_files_cut_short_are_named(tmp_path: Path, packed: str) -> None:
    rows = [{"prompt": f"{number * 7919 % 1009}"} for number in range(20_000)]
    path = written(tmp_path, f"a.jsonl.{packed}", PACKING[packed](lines(rows))[:-20])
    with pytest.raises(InputError, match=r"cannot read .*a\.jsonl"):
        read_rows(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "txt"])
def test_unicode_is_seen_by_itself(tmp_path: Path, encoding: str, ending: str) -> None:
    text = {"jsonl": lines().decode(), "json": json.dumps(ROWS), "csv": cells(), "txt": "Où ?\nWhy not?"}[
        ending
    ]
    rows = read_rows(written(tmp_path, f"a.{ending}", text.encode(encoding)))
    assert rows == ([{"prompt": "Où ?"}, {"prompt": "Why not?"}] if ending == "txt" else ROWS)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Pourquoi l’été est-il si court à Besançon ?"),
        ("cp1250", "Dlaczego źdźbło trawy się łamie, gdy jest sucho?"),
        ("cp1251", "Почему трава ломается, когда она сухая?"),
        ("gb18030", "为什么干草容易折断？请一步一步解释。"),
        ("cp932", "乾いた草はなぜ折れやすいのですか？"),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "txt"])
def test_other_encodings_are_named_and_read_where_they_are_said(
    tmp_path: Path, encoding: str, text: str, ending: str
) -> None:
    rows = [{"prompt": "plain"}, *({"prompt": f"{text} {number}"} for number in range(30))]
    content = {
        "jsonl": lines(rows).decode(),
        "json": json.dumps(rows, ensure_ascii=False, indent=1),
        "csv": cells(rows),
        "txt": "\n".join(row["prompt"] for row in rows),
    }[ending]
    path = written(tmp_path, f"a.{ending}", content.encode(encoding))
    with pytest.raises(InputError, match=rf"a\.{ending} is not UTF-8: line \d.* encoding \w+") as error:
        read_rows(path)
    assert encoding in str(error.value)
    line = {"jsonl": 2, "json": 6, "csv": 3, "txt": 2}[ending]
    assert f"line {line} " in str(error.value)
    assert read_rows(path, encoding=encoding) == rows


def test_western_text_is_taken_for_windows_western(tmp_path: Path) -> None:
    for text in ("Schöne Grüße", "¿Qué mañana?", "It’s “fine” – 5 €", "garçon"):
        assert likely((text + "\n").encode("cp1252"))[0] == "cp1252"


def test_one_damaged_line_of_many_is_no_other_encoding(tmp_path: Path) -> None:
    from backfire.preferences import open_preferences

    rows = [{"prompt": "p", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(3000)]
    content = lines(rows).replace(b"yes 1500", b"yes \xe9")
    preferences = open_preferences(written(tmp_path, "a.jsonl", content))
    assert sum(len(block) for block in preferences.blocks()) == 2999
    assert preferences.defects == {"undecodable": [1501]}
    few = lines(rows[:50]).replace(b"yes 25", b"yes \xe9")
    with pytest.raises(InputError, match="line 26 has the byte E9"):
        open_preferences(written(tmp_path, "b.jsonl", few))
    preferences = open_preferences(written(tmp_path, "b.jsonl", few), encoding="utf-8")
    assert len(next(preferences.blocks())) == 49
    assert preferences.defects == {"undecodable": [26]}


def test_an_encoding_that_is_none_or_does_not_fit_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", cells())
    with pytest.raises(InputError, match="encoding 'cp9999' is none that Python knows"):
        read_rows(path, encoding="cp9999")
    with pytest.raises(InputError, match="encoding 'hex'"):
        read_rows(path, encoding="hex")
    with pytest.raises(InputError, match=r"a\.csv is not ascii: line 2 has the bytes C3"):
        read_rows(path, encoding="ascii")
    parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="leave out encoding 'cp1252'"):
        read_rows(tmp_path / "a.parquet", encoding="cp1252")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_separators_are_seen(tmp_path: Path, delimiter: str, ending: str) -> None:
    assert read_rows(written(tmp_path, f"a.{ending}", cells(delimiter=delimiter))) == ROWS
    unknown = [{"Frage, kurz": "a; b", "Antwort 1": "c, d", "Antwort 2": "e"}] * 3
    assert read_rows(written(tmp_path, f"b.{ending}", cells(unknown, delimiter))) == unknown


@pytest.mark.parametrize("mark", [";", "\t", "#"])
def test_the_line_of_excel_says_the_separator(tmp_path: Path, mark: str) -> None:
    text = f"sep={mark}\r\n" + cells(delimiter=mark)
    assert read_rows(written(tmp_path, "a.csv", "\ufeff" + text)) == ROWS
    assert read_rows(written(tmp_path, "a.csv", text.encode("utf-16"))) == ROWS


CELL = st.text(alphabet=st.sampled_from(list("ab,;\t|\"\n é'[{")), max_size=8)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8), st.sampled_from(",;\t|"))
def test_any_cells_come_back(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[Any], delimiter: str
) -> None:
    rows = [{"prompt": a, "response": b} for a, b in pairs]
    path = written(tmp_path_factory.mktemp("cells"), "a.csv", cells(rows, delimiter))
    assert read_rows(path) == rows


def test_text_is_never_taken_for_a_value(tmp_path: Path) -> None:
    rows = [
        {"prompt": value, "response": "x"}
        for value in ("N/A", "None", "007", "null", "true", "1e5", "NaN", " ")
    ]
    assert read_rows(written(tmp_path, "a.csv", cells(rows))) == rows


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty: it has neither a header nor rows"),
        ("\n\n", "is empty"),
        ("prompt,response,prompt\na,b,c\n", "column name 'prompt' more than once"),
        ("prompt,response\na,b\nc\n", "row 2 has fewer cells than the header: 1, not 2"),
        ("prompt,response\na,b,c\n", "row 1 has more cells than the header: 3, not 2"),
        (
            'prompt,response\na,b\nc,"d\ne,f\ng,h\n',
            r"opened in row 2 \(line 3\) is never closed, so that all 3 lines",
        ),
        ("prompt,response\n" + "\0" * 40, "zero bytes"),
    ],
)
def test_csv_that_cannot_be_read_is_named(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_rows(written(tmp_path, "a.csv", content))


def test_a_header_without_rows(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "a.csv", "prompt,response\n"))
    assert (table.rows, table.columns) == ([], [])


def test_a_quoted_cell_at_the_end_is_closed(tmp_path: Path) -> None:
    content = 'prompt,response\na,"b\nc"\n'
    assert read_rows(written(tmp_path, "a.csv", content)) == [{"prompt": "a", "response": "b\nc"}]


CONTAINERS: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "list": lambda rows: rows,
    "data": lambda rows: {"version": 2, "data": rows},
    "train and test": lambda rows: {"test": rows[:1], "train": rows},
    "train alone": lambda rows: {"train": rows},
    "viewer": lambda rows: {
        "features": [{"feature_idx": 0, "name": "prompt"}],
        "rows": [{"row_idx": n, "row": row, "truncated_cells": []} for n, row in enumerate(rows)],
        "num_rows_total": len(rows),
        "partial": False,
    },
    "columns": lambda rows: {name: [row[name] for row in rows] for name in rows[0]},
    "columns and metadata": lambda rows: {
        "name": "x",
        **{name: [row[name] for row in rows] for name in rows[0]},
    },
    "pandas": lambda rows: {name: {str(n): row[name] for n, row in enumerate(rows)} for name in rows[0]},
    "pandas index": lambda rows: {str(n): row for n, row in enumerate(rows)},
    "pandas split": lambda rows: {
        "columns": list(rows[0]),
        "index": list(range(len(rows))),
        "data": [list(row.values()) for row in rows],
    },
    "pandas table": lambda rows: {"schema": {"fields": [], "pandas_version": "1.4.0"}, "data": rows},
    "by id": lambda rows: {f"id-{n}": row for n, row in enumerate(rows)},
    "columns in splits": lambda rows: {
        "train": {name: [row[name] for row in rows] for name in rows[0]},
        "test": {name: [] for name in rows[0]},
    },
}
TURNS = [
    {
        "prompt": [{"role": "user", "content": f"{n}?"}],
        "response": [{"role": "assistant", "content": f"{n}."}],
    }
    for n in range(3)
]


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("rows", [ROWS, TURNS, ROWS[:1], TURNS[:1]], ids=["texts", "turns", "text", "turn"])
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_json_containers(tmp_path: Path, name: str, rows: Any, indent: int | None, ending: str) -> None:
    content = json.dumps(CONTAINERS[name](rows), indent=indent)
    assert read_rows(written(tmp_path, f"a.{ending}", content)) == rows


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": [{"role": "user", "content": "a"}], "rejected": [{"role": "user", "content": "b"}]},
        {"prompt": "a", "responses": ["b", "c"], "scores": [1, 2]},
        {"prompt": "a", "completions": [{"text": "b", "score": 1}, {"text": "c", "score": 2}]},
        {"messages": [{"role": "user", "content": "a"}], "tools": [{"name": "f"}]},
        {"conversations": [{"from": "human", "value": "a"}], "chosen": {"from": "gpt", "value": "b"}},
        {
            "input": {"messages": [{"role": "user", "content": "a"}]},
            "preferred_output": [{"role": "a", "content": "b"}],
        },
        {"instruction": "a", "output": ["b", "c"]},
        {"prompt": "a", "metadata": {"0": 1}},
        {"question": {"full_text": "a"}, "answer_0": "b", "answer_1": "c"},
        {"A": "x"},
        {"prompt": [{"role": "user"}], "refusal": "No.", "compliance": "Yes."},
        {"prompt": [{"text": "a"}], "label": 1},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_one_object_may_be_one_row(tmp_path: Path, row: Any, indent: int | None, ending: str) -> None:
    assert read_rows(written(tmp_path, f"a.{ending}", json.dumps(row, indent=indent))) == [row]
    twice = "\n".join(json.dumps(row, indent=indent) for _ in range(2))
    assert read_rows(written(tmp_path, f"a.{ending}", twice)) == [row, row]


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "data", "txt"])
def test_json_is_told_by_its_content(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path, f"a.{ending}", json.dumps(ROWS))
    assert read_rows(path) == ROWS
    assert ("a JSON array" in read_table(path).origin) == (ending != "json")
    path = written(tmp_path, f"b.{ending}", lines())
    assert read_rows(path) == ROWS
    assert ("JSON lines" in read_table(path).origin) == (ending not in ("json", "jsonl"))
    pretty = ",\n".join(json.dumps(row, indent=2) for row in ROWS)
    assert read_rows(written(tmp_path, f"c.{ending}", pretty)) == ROWS


@pytest.mark.parametrize("name", ["a", "a.csv", "a.jsonl", "a.bin", "a.txt", "a.arrow", "a.parquet"])
def test_binary_tables_are_told_by_their_content(tmp_path: Path, name: str) -> None:
    table = pa.Table.from_pylist(ROWS)
    parquet.write_table(table, tmp_path / name)
    assert read_rows(tmp_path / name) == ROWS
    for open_writer in (pa.ipc.new_file, pa.ipc.new_stream):
        with open_writer(str(tmp_path / name), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        assert read_rows(tmp_path / name) == ROWS


def test_the_files_of_datasets_are_read(tmp_path: Path) -> None:
    from datasets import Dataset

    Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    assert read_rows(next((tmp_path / "saved").glob("*.arrow"))) == ROWS
    assert read_rows(tmp_path / "saved") == ROWS


@pytest.mark.parametrize("name", ["a", "a.data", "a.dat"])
def test_csv_without_an_ending_is_told_by_its_names(tmp_path: Path, name: str) -> None:
    assert read_rows(written(tmp_path, name, cells(delimiter=";"))) == ROWS
    with pytest.raises(InputError, match="cannot tell what"):
        read_rows(written(tmp_path, name, "some words, and more\nof them, too\n"))


def test_the_text_that_excel_saves(tmp_path: Path) -> None:
    assert read_rows(written(tmp_path, "a.txt", cells(delimiter="\t").encode("utf-16"))) == ROWS
    plain = '[{not json}]\nprompt, or not?\n{"nor" this}\n[also not]\n'
    assert read_rows(written(tmp_path, "a.txt", plain)) == [
        {"prompt": line} for line in plain.split("\n")[:-1]
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04abc", "a zip archive or an Excel workbook"),
        (b"SQLite format 3\x00", "an SQLite database"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"\x80\x04\x95\x00", "never opened"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.xlsx"])
def test_what_is_no_table_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_rows(written(tmp_path, name, content))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", '[{"prompt": "a"},\n{"prompt": ', r"a\.json is not JSON \(.*line 2"),
        ("a.jsonl", '[{"prompt": "a"},\n{"prompt": ', r"a\.jsonl is not JSON \(.*line 2"),
        ("a.jsonl", '{"prompt": "a"}\n\n{"prompt": \n', r"a\.jsonl cannot be read: line 3: Expecting value"),
        ("a.json", "", "is empty"),
        ("a.json", "[1, 2]", "row 1 .* is not an object"),
        ("a.json", '{"a": [{"x": 1}], "b": [{"x": 2}]}', "has the splits a, b and no train"),
        (
            "a.json",
            '{"rows": [{"row_idx": 4, "row": {"prompt": "a"}, "truncated_cells": ["prompt"]}]}',
            "cut prompt of row 4",
        ),
    ],
)
def test_json_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_rows(written(tmp_path, name, content))


def test_splits_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", json.dumps({"train": ROWS, "test": ROWS[:1]}))
    assert read_rows(path, split="test") == ROWS[:1]
    with pytest.raises(InputError, match="no split 'dev': it has train, test"):
        read_rows(path, split="dev")
    with pytest.raises(InputError, match="no splits: leave out split 'test'"):
        read_rows(written(tmp_path, "b.json", json.dumps(ROWS)), split="test")


def test_shards_of_any_format_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number, some in enumerate((ROWS[:1], ROWS[1:])):
        written(tmp_path / "data", f"train-0000{number}-of-00002.jsonl.gz", gzip.compress(lines(some)))
    table = read_table(tmp_path)
    assert (table.rows, table.numbers) == (ROWS, [1, 2, 3])


@given(
    st.binary(max_size=200),
    st.sampled_from(["a.csv", "a.jsonl", "a.json", "a.txt", "a", "a.parquet", "a.arrow"]),
)
def test_any_bytes_are_rows_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    with suppress(InputError):
        read_rows(written(tmp_path_factory.mktemp("any"), name, content))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "a.csv",
            "prompt,chosen,rejected\n",
            r"holds no rows: below its header \(prompt, chosen, rejected\)",
        ),
        (
            "a.csv",
            "prompt,chosen,rejected\na,b\n",
            "no row has as many cells as the header.* row 1 has fewer",
        ),
        ("a.json", "[]", "holds no rows"),
        ("a.jsonl", "\n\n", "is empty"),
    ],
)
def test_preference_data_without_rows(tmp_path: Path, name: str, content: str, says: str) -> None:
    from backfire.preferences import open_preferences

    with pytest.raises(InputError, match=says):
        open_preferences(written(tmp_path, name, content))


@pytest.mark.parametrize("name", ["two.parquet", "two.arrow"])
def test_two_columns_of_one_name_are_an_error(name: str, tmp_path: Path) -> None:
    table = pa.table([["a"], ["b"], ["c"]], names=["prompt", "chosen", "chosen"])
    if name.endswith(".parquet"):
        parquet.write_table(table, tmp_path / name)
    else:
        with pa.ipc.new_file(tmp_path / name, table.schema) as file:
            file.write_table(table)
    with pytest.raises(InputError, match="two columns of the name 'chosen'"):
        open_source(tmp_path / name).head(3)


def test_lists_beside_the_rows_are_no_splits(tmp_path: Path) -> None:
    rows = [{"prompt": "Name a river.", "chosen": "The Rhine.", "rejected": "A stone."}]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"authors": [{"name": "x"}], "features": [{"name": "prompt"}], "items": rows}))
    assert open_source(path).head(3).rows == rows
