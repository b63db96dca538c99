"""One rule says what a column of kinds means, in every source and on the fast path as on the exact one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from preference_rows import PAIRS, jsonl, read, standard

from backfire.errors import InputError
from backfire.preferences import open_preferences

ROWS = [standard(f"Question {n}?", f"Yes {n}.", f"No {n}.") for n in range(4)]


def stored(folder: Path, where: str, column: str, values: list[Any]) -> Any:
    rows = [row | {column: value} for row, value in zip(ROWS, values, strict=True)]
    if where == "lines":
        return jsonl(folder / "a.jsonl", rows)
    if where == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
        return folder / "a.parquet"
    return rows


@pytest.mark.parametrize("where", ["lines", "parquet", "memory"])
@pytest.mark.parametrize(
    ("column", "values", "kinds"),
    [
        ("Kind", ["HARMFUL", " safe", "", None], ["harmful", "benign", None, None]),
        ("is_harmful", [True, False, None, True], ["harmful", "benign", None, "harmful"]),
        ("is_harmful", [1, 0, None, 1], ["harmful", "benign", None, "harmful"]),
        ("kind", ["chat", "code", "", None], [None] * 4),
    ],
)
def test_kinds_are_read_alike(
    tmp_path: Path, where: str, column: str, values: list[Any], kinds: list[str | None]
) -> None:
    preferences = open_preferences(stored(tmp_path, where, column, values))
    assert [row["kind"] for row in read(preferences)] == kinds
    ignored = [note for note in preferences.notes() if "not read as the kind" in note]
    assert len(ignored) == (values[0] == "chat")


@pytest.mark.parametrize("where", ["lines", "parquet", "memory"])
def test_a_mixture_names_row_and_value(tmp_path: Path, where: str) -> None:
    with pytest.raises(InputError, match=r"row 3 of .*column 'kind' holds 'chat'"):
        open_preferences(stored(tmp_path, where, "kind", ["harmful", "", "chat", None]))


def test_a_column_asked_for_has_to_say_it() -> None:
    rows = [row | {"topic": "chat"} for row in ROWS]
    with pytest.raises(InputError, match=r"row 1 of .*column 'topic' holds 'chat'"):
        open_preferences(rows, columns={"kind": "topic"})


def test_another_word_far_below_is_found(tmp_path: Path) -> None:
    rows = [standard(f"{n}?", f"a {n}", f"b {n}") | {"kind": "benign"} for n in range(3000)]
    rows[2500]["kind"] = "chat"
    preferences = open_preferences(jsonl(tmp_path / "a.jsonl", rows))
    with pytest.raises(InputError, match=r"row 2501 of .*'chat'"):
        list(preferences.blocks())


def test_labelled_completions_have_kinds() -> None:
    rows = [
        {"prompt": "a?", "completion": text, "label": label, "kind": "Harmful"}
        for text, label in zip(PAIRS[0][1:], (True, False), strict=True)
    ]
    assert [row["kind"] for row in read(open_preferences(rows))] == ["harmful"]
