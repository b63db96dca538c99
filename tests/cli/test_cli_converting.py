"""`convert`: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

from running import Result, invoke

ROWS = [
    {"question": "How is bread made?", "good": "Of flour.", "bad": "No.", "by": "x"},
    {"question": "Name a river.", "good": "The Rhine.", "bad": " ", "by": "y"},
    {"question": "Name a hill.", "good": "Arthur's Seat.", "bad": "Arthur's Seat.", "by": "z"},
]
ROLES = "prompt=question, chosen=good, rejected=bad"


def convert(folder: Path, rows: list[dict[str, str]], *more: object, name: str = "out.jsonl") -> Result:
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["convert", folder / "in.jsonl", "--out", folder / name, *more]
    return invoke(list(map(str, arguments)))


def test_it_says_what_was_read_written_and_left_out(tmp_path: Path) -> None:
    done = convert(tmp_path, ROWS, "--columns", ROLES)
    assert done.exit_code == 0, done.output
    assert "1 pair from 3 rows" in done.output
    assert "1 blank side (row 2)" in done.output
    assert "1 identical sides (row 3)" in done.output
    (row,) = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert row == {
        "prompt": [{"role": "user", "content": "How is bread made?"}],
        "chosen": [{"role": "assistant", "content": "Of flour."}],
        "rejected": [{"role": "assistant", "content": "No."}],
        "row": 1,
        "by": "x",
    }


def test_no_pair_is_exit_code_2_and_no_file(tmp_path: Path) -> None:
    done = convert(tmp_path, ROWS[1:2], "--columns", ROLES)
    assert done.exit_code == 2
    assert "blank side" in done.output
    assert "row 1" in done.output
    assert not (tmp_path / "out.jsonl").exists()


def test_the_ending_decides_before_any_work(tmp_path: Path) -> None:
    done = convert(tmp_path, ROWS, name="out.xlsx")
    assert done.exit_code == 2
    assert ".parquet" in done.output
