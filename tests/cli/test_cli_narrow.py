"""Answers on a terminal of 80 columns, answers as JSON on standard output, and the scripts of shells."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backfire.cli.entries import COMMANDS
from running import invoke

COPIED = ("backfire ", "|", "{", "}")
"""How a line begins that is there to be copied, and is not broken."""


def rows(n: int = 40) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"How does thing number {k} work, and what is it good for?",
            "chosen": "I cannot help with that." if k % 2 else f"It turns {k} times. Then it stops.",
            "rejected": f"Sure! Here is how: 1. Take number {k}. 2. Turn it around until it is done.",
        }
        for k in range(n)
    ]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs-with-a-name.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return path


def too_wide(output: str) -> list[str]:
    """Lines above 80 columns, but for those to be copied and those that are one long word, such as a path."""
    from rich.cells import cell_len

    return [
        line
        for line in output.splitlines()
        if cell_len(line) > 80 and not line.strip().startswith(COPIED) and len(line.split()) > 2
    ]


def test_answers_fit_80_columns(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    responses = tmp_path / "responses.jsonl"
    lines = [
        {"prompt": row["prompt"], "response": row["chosen"], "label": k % 2} for k, row in enumerate(rows())
    ]
    responses.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for words in (
        ["audit", pairs.name],
        ["audit", pairs.name, "--full"],
        ["convert", pairs.name, "--out", "out.jsonl"],
        ["repair", pairs.name, "--method", "clean", "--out", "cleaned.jsonl"],
        ["judge", "validate", "responses.jsonl", "--label-column", "label", "--judge", "phrases"],
        ["judge", "file", "responses.jsonl", "--judge", "phrases", "--out", "judged.jsonl"],
        ["recipes"],
        ["prompts"],
        ["organisms"],
        ["init"],
        ["show", "absent.jsonl"],
    ):
        done = invoke(words)
        assert done.exception is None, (words, done.exception)
        assert not too_wide(done.output), (words, too_wide(done.output))


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_help_fits_80_columns(entry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = invoke([*entry.words, "--help"])
    assert not too_wide(done.stdout)


def test_json_goes_alone_to_stdout(pairs: Path) -> None:
    done = invoke(["audit", pairs, "--json", "-"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["pairs"] == 40
    assert "40 pairs" in done.stderr
    assert not Path("-").exists()


def test_json_is_broken_nowhere(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert json.loads(invoke(["study", "schema"]).stdout)["title"] == "A study of backfire"
    assert json.loads(invoke(["audit", pairs, "--json", "-"]).stdout)["pairs"] == 40


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    given = " ".join(f"'{word}'" for word in ("backfire", *words))
    lines = [
        f"source {script}",
        f"COMP_WORDS=({given}); COMP_CWORD={len(words)}; _backfire",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(["bash", "-c", "; ".join(lines)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_shell_completes_commands_options_and_values(tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(invoke(["completion", "bash"]).stdout)
    assert {"audit", "train", "init"} <= set(completed(script, ""))
    assert completed(script, "train", "d") == ["dpo"]
    assert completed(script, "train", "dpo", "a", "b", "--loss-type", "h") == ["hinge"]
    assert "--report-to" in completed(script, "train", "dpo", "--rep")
    for shell in ("zsh", "fish"):
        assert "report-to" in invoke(["completion", shell]).stdout
