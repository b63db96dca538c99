"""What a command writes never takes the place of what it reads, nor of what else it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from running import invoke

PAIR = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "prefs.jsonl"
    file.write_text(json.dumps(PAIR) + "\n")
    return file


@pytest.mark.parametrize(
    ("words", "first", "second"),
    [
        ("audit {} --rows {}", "DATASET", "--rows"),
        ("audit {} --per-pair {}", "DATASET", "--per-pair"),
        ("audit {} --json {}", "DATASET", "--json"),
        ("audit {} --html {}", "DATASET", "--html"),
        ("audit {} --markdown {}", "DATASET", "--markdown"),
        ("audit data --compare {} --html {}", "--compare", "--html"),
        ("audit data --rows {} --per-pair {}", "--per-pair", "--rows"),
        ("convert {} --out {}", "DATASET", "--out"),
        ("repair {} --method clean --out {}", "DATASET", "--out"),
        ("judge file {} --out {}", "FILE", "--out"),
        ("judge train {} --out {}", "LABELLED", "--out"),
        ("compare {} --json {}", "RUN_OR_JSON", "--json"),
        ("sample model --prompts {} --ledger {}", "--prompts", "--ledger"),
        ("attack model --attack other --ledger {} --json {}", "--ledger", "--json"),
        ("general model --tasks arc_easy --resume {} --json {}", "--resume", "--json"),
        ("show data --policy model --html {} --json {}", "--html", "--json"),
    ],
)
def test_no_output_takes_the_place_of_an_input_or_of_another_output(
    path: Path, words: str, first: str, second: str
) -> None:
    before = path.read_bytes()
    refused = invoke(words.format(path, path.parent / "." / path.name).split())
    assert refused.exit_code == 2, refused.output
    assert f"{first} and {second} both name {path}: each needs a file of its own" in refused.stderr
    assert path.read_bytes() == before
