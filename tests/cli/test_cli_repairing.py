"""`repair` as a command: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "repair"))
from backfire.pairs import Built, find_recipe, read_pairs, write_pairs
from repairing.repair_pairs import pair
from running import Result, invoke


def run(*arguments: object, code: int = 0) -> Result:
    result = invoke(["repair", *map(str, arguments)])
    assert result.exit_code == code, f"{result.exit_code}: {result.output}\n{result.exception!r}"
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pairs = tuple(pair(n, kind="benign" if n % 2 else "harmful") for n in range(40))
    return write_pairs(tmp_path / "pairs", Built(find_recipe("gpt4o+self"), pairs, {}, {}, ()))


@pytest.fixture
def values(tmp_path: Path) -> Path:
    file = tmp_path / "values.jsonl"
    file.write_text(
        "".join(json.dumps({"row": n + 1, "safety_influence": n - 10.0}) + "\n" for n in range(40))
    )
    return file


def test_before_and_after_stand_side_by_side(folder: Path, values: Path, tmp_path: Path) -> None:
    told = run(
        folder, "--method", "filter", "--keep", 0.75, "--influence", values, "--out", tmp_path / "new"
    ).stdout
    assert "filter: 30 pairs in" in told
    assert "kept 30, left out 10" in told
    for part in (
        "before",
        "after",
        "separability, words",
        "decision-matched",
        "source leak",
        "mean influence",
    ):
        assert part in told
    assert "strong < self 40" in told
    assert "strong < self 30" in told
    assert "20 of 20" in told, "harmful pairs whose chosen refuses and rejected complies"
    assert len(read_pairs(tmp_path / "new").pairs) == 30


def test_auto_says_which_step_was_taken_or_that_none_does(folder: Path, values: Path, tmp_path: Path) -> None:
    shared = (folder, "--method", "auto", "--influence", values, "--no-audit", "--out", tmp_path / "new")
    told = run(*shared, "--target", 8).stdout
    assert "the smallest change predicted to lie above 8:" in told
    assert run(*shared, "--target", 100, code=2).stderr.startswith("error: auto: no change is predicted")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "restyle"), "name the model to be trained by --policy"),
        (("--method", "balance"), "more than one response of a source to a prompt"),
        (("--method", "filter", "--keep", "0.5"), "each pair's influence is needed"),
        (("--method", "filter", "--judge", "exact"), "named by --world"),
        (("--method", "restyle", "--keep", "0.5"), "--keep belongs to --method filter"),
        (
            ("--method", "filter", "--tries", "4", "--lr", "1"),
            "--tries belongs to --method restyle; --lr belongs to --method auto",
        ),
        (("--method", "auto", "--lr", "1e-4"), "--lr is of the pilot: choose --by pilot"),
        (("--method", "mix"), "--self-pairs is missing: give it; --share is missing: give it"),
        (("--keep", "0.5"), "--method is missing: choose filter, balance, restyle, mix or auto"),
        (("--method", "polish"), "--method polish: choose filter, balance, restyle, mix or auto"),
    ],
)
def test_what_is_missing_is_one_line(
    folder: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    told = run(folder, *options, "--out", tmp_path / "new", code=2)
    assert told.stderr.startswith("error: ")
    assert said in told.stderr
    assert not (tmp_path / "new").exists()
