"""CSV that a spreadsheet opens without computing anything."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.store import write_csv

ATTACKS = (
    "=HYPERLINK(\"http://x\")", "+1+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@SUM(1,1)", "\t=1+1", "\r=1+1", "\n=1+1", "＝1+1"
)  # fmt: skip


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("text", ATTACKS)
def test_a_cell_that_begins_like_a_formula_becomes_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    write_csv(path, pa.table({"text": [text, "plain", None], "=name": ["a", "b", "c"]}))
    rows = read(path)
    assert rows[0] == ["text", "'=name"]
    assert rows[1] == [f"'{text}", "a"]
    assert [row[0] for row in rows[2:]] == ["plain", ""]


def test_numbers_are_left_alone_in_whatever_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    table = pa.table({"n": [-1.5, 2.0], "i": [-3, 4], "text": ["-1.5", "+2e3"]})
    write_csv(path, table)
    assert read(path)[1:] == [["-1.5", "-3", "-1.5"], ["2", "4", "+2e3"]]


def test_dictionary_columns_are_text_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_csv(path, pa.table({"t": pa.array(["=1", "b", "=1"]).dictionary_encode()}))
    assert [row[0] for row in read(path)[1:]] == ["'=1", "b", "'=1"]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_no_text_begins_like_a_formula_and_none_is_changed_otherwise(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    write_csv(path, pa.table({"before": ["x"], "text": [text]}))
    cell = read(path)[1][1]
    assert cell in (text, f"'{text}")
    assert cell[:1] not in set("=@＝＋－＠\t\r\n")
