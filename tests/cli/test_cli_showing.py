"""`show`: what stands on the terminal, with and without colour, and in its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from running import Result, invoke

ROWS = [
    {"prompt": "How is bread made?", "chosen": "Of flour.\nAnd water.", "rejected": "No."},
    {"prompt": "Name a river.", "chosen": "The Rhine.", "rejected": "The Rhine."},
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def show(data: Path, policy: Path, *more: object) -> Result:
    return invoke(["show", str(data), "--policy", str(policy), *map(str, more)])


def test_the_mark_of_the_loss_stands_before_every_trained_line(data: Path, tiny_llama: Path) -> None:
    done = show(data, tiny_llama, "--rows", "1,2")
    assert done.exit_code == 0, done.output
    assert "\x1b[" not in done.output
    lines = done.output.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("chosen ("))
    stop = next(n for n, line in enumerate(lines) if line.startswith("rejected ("))
    trained = [line for line in lines[start + 1 : stop] if line]
    assert len(trained) > 1
    assert all(line.startswith("┃ ") for line in trained)
    assert "«<|eot_id|>»" in trained[-1]
    prompt = next(n for n, line in enumerate(lines) if line.startswith("prompt ("))
    assert all(not line.startswith("┃") for line in lines[prompt:start])
    assert "(user)" in "".join(lines[prompt:start])
    assert "row 2 gives no pair: identical sides" in done.output


def test_the_page_and_the_json_are_written(data: Path, tiny_llama: Path, tmp_path: Path) -> None:
    done = show(data, tiny_llama, "--html", tmp_path / "a.html", "--json", tmp_path / "a.json")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert json.loads((tmp_path / "a.json").read_text())["as_trained"]["trained"] == 1


@pytest.mark.parametrize("rows", ["0", "a", "1,,2", "9"])
def test_odd_rows_are_refused(rows: str, data: Path, tiny_llama: Path) -> None:
    done = show(data, tiny_llama, "--rows", rows)
    assert done.exit_code == 2
    assert "row" in done.output


def test_an_endpoint_has_no_tokens_to_show(data: Path) -> None:
    done = show(data, Path("openai:gpt"))
    assert done.exit_code == 2
    assert "endpoint" in done.output
