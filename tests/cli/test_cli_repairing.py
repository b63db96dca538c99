"""`repair` as a command: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backfire import repair
from backfire.errors import InputError
from backfire.pairs import Built, find_recipe, read_pairs, write_pairs
from repairing.repair_pairs import pair
from running import Result, invoke
from synthetic_pairs import rows


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
    refused = run(*shared[:-1], tmp_path / "newer", "--target", 100, code=2).stderr
    assert refused.startswith("error: auto: no change is predicted")
    assert not (tmp_path / "newer").exists()


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
        (("--method", "clean", "--only", "typos"), "--only typos: choose contradictions, duplicates"),
        (
            ("--method", "clean", "--only", "echo", "--skip", "echo"),
            "--only and --skip leave no fault to take out",
        ),
        (("--method", "mix"), "--self-pairs is missing: give it; --share is missing: give it"),
        (
            ("--keep", "0.5"),
            "--method is missing: choose filter, switch, balance, restyle, mix, auto, clean or review",
        ),
        (
            ("--method", "polish"),
            "--method polish: choose filter, switch, balance, restyle, mix, auto, clean or review",
        ),
    ],
)
def test_what_is_missing_is_one_line(
    folder: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    told = run(folder, *options, "--out", tmp_path / "new", code=2)
    assert told.stderr.startswith("error: ")
    assert said in told.stderr
    assert not (tmp_path / "new").exists()


def test_clean_says_how_many_rows_went_for_which_reason(tmp_path: Path) -> None:
    rows = [{"prompt": f"question {n}", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(40)]
    rows += [rows[3], rows[4], rows[5] | {"chosen": "yes <|im_end|>"}, rows[6] | {"chosen": ""}]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = file.read_text().splitlines()
    told = run(file, "--method", "clean", "--no-audit", "--out", tmp_path / "b.jsonl").stdout
    assert "clean: 40 pairs in" in told
    assert "kept 40, left out 3" in told
    assert "left out: 2 (rows 41, 42): duplicates: an earlier pair is the same" in told
    assert "left out: 1 (row 43): debris: ChatML marks" in told
    assert "rows that gave no pair: blank side 1" in told
    assert "read: 44 rows, digest " in told
    assert (tmp_path / "b.jsonl").read_text().splitlines() == lines[:40]
    told = run(
        file, "--method", "clean", "--only", "duplicates", "--no-audit", "--out", tmp_path / "c"
    ).stdout
    assert "kept 41, left out 2" in told
    assert len(read_pairs(tmp_path / "c").pairs) == 41


def test_a_method_that_changes_rows_has_no_file_to_write_them_to(folder: Path, tmp_path: Path) -> None:
    told = run(folder, "--method", "balance", "--out", tmp_path / "b.jsonl", code=2)
    assert "balance changes rows: name a folder" in told.stderr
    assert not (tmp_path / "b.jsonl").exists()


def test_a_filter_says_that_it_leaves_duplicates_and_debris_in(tmp_path: Path) -> None:
    given = rows(60, 1)
    given += [given[n] for n in range(5)] + [given[9] | {"chosen": given[9]["chosen"] + " <|im_end|>"}]
    file = tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in given))
    values = tmp_path / "v.jsonl"
    values.write_text(
        "".join(json.dumps({"row": n + 1, "safety_influence": 1.0 * n}) + "\n" for n in range(66))
    )
    filtered = tmp_path / "filtered.jsonl"
    told = run(file, "--method", "filter", "--above", -1, "--influence", values, "--out", filtered).stdout
    assert "leaves faults of single pairs in (" in told
    assert "duplicates 5" in told
    assert "debris 1" in told
    assert f"`backfire repair {filtered} --method clean --out filtered-clean` takes them out" in told
    told = run(filtered, "--method", "clean", "--out", tmp_path / "clean.jsonl").stdout
    assert "leaves faults" not in told
    assert "length alone ranks right, of the pairs" in told


def test_a_folder_that_is_read_is_never_replaced(folder: Path, values: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    refusals = {
        folder: f"DATASET and --out both name {folder}: each needs a folder of its own",
        folder / "train.parquet": f"--out {folder} holds what DATASET names: name another folder",
    }
    for dataset, refusal in refusals.items():
        options = ("--method", "filter", "--keep", 0.5, "--influence", values, "--out", folder)
        assert refusal in run(dataset, *options, code=2).stderr
    with pytest.raises(InputError, match="is the data set itself"):
        repair(folder, method="balance", out=folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_pairs_of_an_earlier_run_are_replaced_and_it_is_said(
    folder: Path, values: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    options = ("--method", "filter", "--influence", values, "--no-audit", "--out", new)
    assert "replaced" not in run(folder, *options, "--keep", 0.5).stderr
    assert (
        f"{new} is there already, and is replaced if this command succeeds"
        in run(folder, *options, "--keep", 0.25).stderr
    )
    assert len(read_pairs(new).pairs) == 10
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("words")
    told = run(folder, "--method", "balance", "--out", other, code=2).stderr
    assert "holds something that is not pairs: name a new folder" in told
    assert (other / "thesis.txt").read_text() == "words"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--method", "filter", "--control"), "--control of backfire repair is called --at-random now"),
        (
            ("--method", "restyle", "--when-changed", "drop"),
            "--when-changed of backfire repair is called --not-rewritten now",
        ),
    ],
)
def test_an_option_that_was_renamed_is_told_by_its_new_name(
    folder: Path, tmp_path: Path, options: tuple[str, ...], error: str
) -> None:
    result = run(folder, *options, "--out", tmp_path / "out", code=2)
    assert error in result.stderr
    assert result.stderr.count("\n") == 1
