"""Columns that first appear, or first hold something, below the rows by which a form is recognised."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from preference_rows import Row, jsonl, read

from backfire.errors import InputError
from backfire.preferences import open_preferences

COUNT, FROM = 1600, 1104
"""Rows, and the place of the first that has the column."""
LATE: dict[str, tuple[str, Row]] = {
    "system": ("prompt", {"system": "Be brief."}),
    "tools": ("prompt", {"tools": [{"name": "time"}]}),
    "history": ("instruction", {"history": [["Hi", "Hello"]]}),
    "input": ("instruction", {"input": "Text {n}."}),
    "kind": ("prompt", {"kind": "harmful"}),
    "a flag": ("prompt", {"is_harmful": True}),
    "sources": ("prompt", {"chosen_model": "big", "rejected_model": "small"}),
    "stops": ("prompt", {"chosen_finish_reason": "stop", "rejected_finish_reason": "length"}),
    "tags": ("prompt", {"tags": {"noun": "tea"}}),
    "status": ("prompt", {"status": "tie"}),
    "scores": ("prompt", {"score_chosen": 2.5, "score_rejected": 1.0}),
    "images": ("prompt", {"images": ["a.png"]}),
}


def _rows(prompt: str, late: Row, only: int | None = None) -> list[Row]:
    rows = [{prompt: f"Ask {n}?", "chosen": f"Yes, {n}.", "rejected": f"No, {n}."} for n in range(COUNT)]
    for n in range(FROM, COUNT) if only is None else [only]:
        rows[n] |= {k: v.replace("{n}", str(n)) if isinstance(v, str) else v for k, v in late.items()}
    return rows


def _in(container: str, rows: list[Row], folder: Path) -> Any:
    """The rows in a file or in memory; a folder has the rows with the column in a second file."""
    if container == "list":
        return rows
    if container == "JSON":
        (folder / "a.json").write_text(json.dumps(rows))
        return folder / "a.json"
    if container == "packed":
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "a.jsonl.gz").write_bytes(gzip.compress(text.encode(), 1))
        return folder / "a.jsonl.gz"
    if container == "JSON lines":
        return jsonl(folder / "a.jsonl", rows)
    parts = (rows[:FROM], rows[FROM:])
    for n, some in enumerate(parts):
        name = folder / f"train-0000{n}-of-00002"
        if container == "Parquet files":
            parquet.write_table(pa.Table.from_pylist(some), name.with_suffix(".parquet"))
        else:
            jsonl(name.with_suffix(".jsonl"), some)
    return folder


def _said(data: Any) -> tuple[list[Row], dict[str, list[int]], dict[str, list[int]], dict[str, Any], str]:
    """Two passes over a data set, which have to be equal, and what is said of it."""
    opened = open_preferences(data)
    first = read(opened)
    assert read(opened) == first
    return first, dict(opened.defects), opened.remarks, opened.columns, opened.format


@pytest.mark.parametrize("container", ["JSON lines", "JSON", "list", "packed", "Parquet files", "shards"])
@pytest.mark.parametrize("name", LATE)
def test_a_late_column_is_read_as_one_that_the_first_rows_have(
    container: str, name: str, tmp_path: Path
) -> None:
    prompt, late = LATE[name]
    rows = _rows(prompt, late)
    early = [dict(rows[0]) | dict.fromkeys(late), *rows[1:]]
    early = [rows[FROM], *early]
    expected, defects, remarks, columns, form = _said(early)
    found = _said(_in(container, rows, tmp_path))
    assert found[0] == [row | {"row": row["row"] - 1} for row in expected if row["row"] > 1]
    assert found[1] == {k: [n - 1 for n in v if n > 1] for k, v in defects.items()}
    assert found[2] == {k: [n - 1 for n in v if n > 1] for k, v in remarks.items()}
    assert found[3:] == (columns, form)


@pytest.mark.parametrize("name", ["system", "tools", "history", "input", "kind", "status"])
@pytest.mark.parametrize("container", ["JSON lines", "JSON", "list"])
def test_a_single_late_value_that_changes_the_pair_is_read(container: str, name: str, tmp_path: Path) -> None:
    prompt, late = LATE[name]
    rows = _rows(prompt, late, only=1400)
    (row,) = rows[1400:1401]
    alone = _said([row])
    found = _said(_in(container, rows, tmp_path))
    assert [r | {"row": 1} for r in found[0] if r["row"] == 1401] == alone[0]
    assert found[1] == {kind: [1401] for kind in alone[1]}


def test_a_null_column_whose_first_value_is_late_is_read(tmp_path: Path) -> None:
    for name, (prompt, late) in LATE.items():
        rows = [dict.fromkeys(late) | row for row in _rows(prompt, late)]
        bare = _said(_rows(prompt, late))
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        parquet.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
        for data in (jsonl(folder / "b.jsonl", rows), folder / "a.parquet", rows):
            assert _said(data)[:3] == bare[:3], name


def test_two_columns_that_come_one_after_the_other_are_read(tmp_path: Path) -> None:
    rows = _rows("prompt", {"system": "Be brief."})
    rows = [row | ({"kind": "benign"} if n >= 1300 else {}) for n, row in enumerate(rows)]
    for data in (rows, jsonl(tmp_path / "a.jsonl", rows)):
        found = _said(data)[0]
        assert [row["messages"] is not None for row in found] == [n >= FROM for n in range(COUNT)]
        assert [row["kind"] for row in found] == [None] * 1300 + ["benign"] * (COUNT - 1300)


def test_a_late_column_that_would_change_the_reading_is_said(tmp_path: Path) -> None:
    def talk(*texts: str) -> list[Row]:
        return [
            {"role": role, "content": text} for role, text in zip(("user", "assistant"), texts, strict=True)
        ]

    rows: list[Row] = [
        {"chosen": talk(f"{n}?", f"yes {n}"), "rejected": talk(f"{n}?", f"no {n}")} for n in range(COUNT)
    ]
    for n in range(FROM, COUNT):
        rows[n]["prompt"] = f"{n}?"
    for data in (rows, jsonl(tmp_path / "a.jsonl", rows)):
        opened = open_preferences(data)
        assert sum(map(len, opened.blocks())) == COUNT
        (note,) = opened.notes()
        assert "`prompt`" in note
        (number,) = re.findall(r"row ([\d,]+) has it", note)
        assert FROM < int(number.replace(",", "")) < FROM + 130


def test_a_late_part_of_the_prompt_that_is_not_read_is_counted(tmp_path: Path) -> None:
    rows = _rows("prompt", {"system": [1, 2]}, only=1400)
    for data in (rows, jsonl(tmp_path / "a.jsonl", rows)):
        assert _said(data)[1] == {"late column": [1401]}


def test_halves_of_pairs_have_late_columns_too(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"prompt": f"{n // 2}?", "completion": f"{n}", "label": n % 2 == 0} for n in range(COUNT)
    ]
    for n in range(FROM, COUNT):
        rows[n] |= {"model": f"m{n % 2}", "system": "Be brief."}
    for data in (rows, jsonl(tmp_path / "a.jsonl", rows)):
        found = _said(data)[0]
        assert len(found) == COUNT // 2
        assert [row["chosen_source"] for row in found] == [None] * (FROM // 2) + ["m0"] * (
            (COUNT - FROM) // 2
        )
        assert [row["messages"] is not None for row in found] == [n >= FROM // 2 for n in range(COUNT // 2)]


def test_an_unknown_late_column_changes_nothing(tmp_path: Path) -> None:
    rows = _rows("prompt", {"annotator": "a", "meta": {"x": np.pi}})
    for data in (rows, jsonl(tmp_path / "a.jsonl", rows)):
        found, defects, remarks, columns, _ = _said(data)
        assert len(found) == COUNT
        assert not defects
        assert not remarks
        assert columns.keys() == {"prompt", "chosen", "rejected"}


@pytest.mark.parametrize("container", ["JSON lines", "list"])
def test_a_late_kind_of_something_else_is_not_read_and_said(container: str, tmp_path: Path) -> None:
    opened = open_preferences(_in(container, _rows("prompt", {"kind": "code"}), tmp_path))
    assert sum(map(len, opened.blocks())) == COUNT
    assert "kind" not in opened.columns
    (note,) = opened.notes()
    assert "Column `kind` speaks neither of harmful nor of benign" in note


@pytest.mark.parametrize("container", ["JSON", "list"])
def test_a_late_kind_that_mixes_its_words_is_an_error_that_names_the_row(
    container: str, tmp_path: Path
) -> None:
    rows = _rows("prompt", {"kind": "harmful"})
    rows[1300]["kind"] = "code"
    with pytest.raises(InputError, match=r"row 1301 of .*'code'"):
        list(open_preferences(_in(container, rows, tmp_path)).blocks())


@pytest.mark.parametrize("from_row", [FROM, 1300])
def test_a_late_column_that_is_not_read_keeps_no_other_from_being_read(from_row: int, tmp_path: Path) -> None:
    rows = _rows("prompt", {"question": "The same."})
    for row in rows[from_row:]:
        row["system"] = "Be brief."
    for data in (rows, jsonl(tmp_path / "a.jsonl", rows)):
        opened = open_preferences(data)
        found = read(opened)
        assert [row["row"] for row in found if row["messages"] is not None] == [
            *range(from_row + 1, COUNT + 1)
        ]
        (note,) = opened.notes()
        assert "`question`" in note
        assert "system" not in note
