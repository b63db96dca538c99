"""`backfire compare` on attack files of real attacks, and on what it cannot use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backfire.cli.app import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def attacked(
    tiny_llama: Path, tiny_qwen2: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, Path]:
    """Two attack files and their prompts, which have a behaviour each."""
    folder = tmp_path_factory.mktemp("compared")
    prompts = folder / "asks.jsonl"
    lines = [{"prompt": f"Tell me {k} about lamps.", "behaviour": f"b{k // 2}"} for k in range(12)]
    prompts.write_text("".join(json.dumps(line) + "\n" for line in lines))
    files = []
    for name, model in (("one", tiny_llama), ("two", tiny_qwen2)):
        files.append(folder / f"{name}.json")
        options = ("--attack", f"asks={prompts}", "--max-new-tokens", 8, "--json", files[-1])
        done = run("attack", model, "--ledger", folder / "ledger.db", *options)
        assert done.exit_code == 0, done.output
    return files[0], files[1], prompts


def test_two_attack_files_are_compared(attacked: tuple[Path, Path, Path], tmp_path: Path) -> None:
    one, two, _ = attacked
    out = tmp_path / "compared.json"
    done = run("compare", one, two, "--cluster", "behaviour", "--json", out)
    assert done.exit_code == 0, done.output
    assert "These checkpoints" in done.stdout
    row, learned = json.loads(out.read_text())["differences"]
    assert (row["judge"], learned["judge"]) == ("phrases", "refusals")
    first, second = (json.loads(file.read_text())["asr"][0] for file in (one, two))
    assert (row["unit"], row["units"], row["n"]) == ("behaviour", 6, 12)
    assert row["first_rate"] == pytest.approx(first["rate"])
    assert row["second_rate"] == pytest.approx(second["rate"])
    assert row["difference"] == pytest.approx(second["rate"] - first["rate"])
    plain = run("compare", one, two, "--markdown")
    assert "| 12 prompts | 12 |" in plain.stdout


def test_a_difference_of_settings_is_warned_of(attacked: tuple[Path, Path, Path], tmp_path: Path) -> None:
    one, two, _ = attacked
    other = json.loads(two.read_text())
    other["seed"] = 5
    (tmp_path / "two.json").write_text(json.dumps(other))
    done = run("compare", one, tmp_path / "two.json")
    assert done.exit_code == 0, done.output
    assert "seed differs: 0 in" in done.stderr


def test_what_cannot_be_compared_is_said(attacked: tuple[Path, Path, Path], tmp_path: Path) -> None:
    one, two, prompts = attacked
    for arguments, said in [
        ((one,), "give one run folder, or two or more files"),
        ((tmp_path,), "results.json"),
        ((one, two, "--cluster", "colour"), "12 of 12 prompts have no 'colour'"),
        ((one, prompts), "cannot be read"),
    ]:
        done = run("compare", *arguments)
        assert done.exit_code == 2, done.output
        assert said in done.stderr
