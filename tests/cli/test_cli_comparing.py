"""`backfire compare` on attack files of real attacks, and on what it cannot use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from running import Result, invoke


def run(*arguments: object) -> Result:
    return invoke(list(map(str, arguments)))


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
    assert "| 6 behaviours | 12 |" in run("compare", one, two, "--markdown").stdout
    assert "| 12 prompts | 12 |" in run("compare", one, two, "--markdown", "--cluster", "prompt").stdout


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


def changed(file: Path, folder: Path, **parts: object) -> Path:
    found = json.loads(file.read_text())
    for name, value in parts.items():
        found[name] = value(found[name]) if callable(value) else value
    out = folder / "changed.json"
    out.write_text(json.dumps(found))
    return out


def test_another_judge_of_the_same_name_is_warned_of(
    attacked: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    one, two, _ = attacked
    other = changed(two, tmp_path, judges=lambda judges: {**judges, "phrases": "0" * 64})
    done = run("compare", one, other)
    assert done.exit_code == 0, done.output
    assert "the judge phrases is not the same" in done.stderr


def test_what_one_side_lacks_is_named(attacked: tuple[Path, Path, Path], tmp_path: Path) -> None:
    one, two, _ = attacked
    other = changed(two, tmp_path, outcomes=lambda sets: {"asks": {"phrases": sets["asks"]["phrases"]}})
    done = run("compare", one, other)
    assert done.exit_code == 0, done.output
    assert "on one side only, and not compared: asks by refusals" in done.stderr
    assert "no benign prompts" in done.stderr


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ({"asks": {"phrases": {"a": 7}}}, "'a' in 'asks' by 'phrases' is 7"),
        ({"asks": {"phrases": {"a": "yes"}}}, "is 'yes'"),
        ({"asks": {"phrases": {"a": float("nan")}}}, "is nan"),
        ({"asks": {"phrases": {}}}, "hold no prompt"),
        ({"asks": [1]}, "no object of judges"),
    ],
)
def test_outcomes_that_are_none(
    outcomes: object, said: str, attacked: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    one, two, _ = attacked
    done = run("compare", one, changed(two, tmp_path, outcomes=outcomes))
    assert done.exit_code == 2, done.output
    assert said in done.stderr


@pytest.mark.parametrize(
    "parts",
    [{"asr": [{}]}, {"asr": 5}, {"clusters": [1]}, {"judges": [1]}, {"any_attack": [{"attack": "x"}]}],
)
def test_files_that_are_not_whole(
    parts: dict[str, object], attacked: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    one, two, _ = attacked
    done = run("compare", one, changed(two, tmp_path, **parts))
    assert done.exit_code == 2, done.output
    assert "is no whole file" in done.stderr
