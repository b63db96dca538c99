"""`backfire report`: tables, figures and two studies from the command line, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from example_results import example_results
from running import Result, invoke


def run(*arguments: object) -> Result:
    return invoke(list(map(str, arguments)))


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(example_results()))
    return tmp_path / "a", tmp_path / "b"


def test_tables_and_figures_are_written_beside_the_page(runs: tuple[Path, Path], tmp_path: Path) -> None:
    table, figures = tmp_path / "t.csv", tmp_path / "figures"
    done = run("report", runs[0], "--table", table, "--figures", figures)
    assert done.exit_code == 0, done.output
    assert f"table: {table}" in done.stdout
    assert len(table.read_text().splitlines()) == 9
    assert f"{len(list(figures.iterdir()))} files in {figures}" in done.stdout


def test_two_studies_are_compared(runs: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    done = run("report", "compare", *runs, "--json", out)
    assert done.exit_code == 0, done.output
    assert "llama self+rm, world 0, seed 0" in done.stdout
    assert "not paired: " in done.stderr
    rows = json.loads(out.read_text())["rows"]
    assert {row["difference"] for row in rows} == {0.0}
    assert "| measured | A | B |" in run("report", "compare", *runs, "--markdown").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("report", "{a}", "--table", "t.xlsx"), "--table t.xlsx: the file's name has to end in .csv"),
        (
            ("report", "{a}", "--picture", "p.png"),
            "--picture p.png: the file's name has to end in .svg, .pdf",
        ),
        (("report", "compare", "{a}", "{a}"), "is given twice: name two studies"),
        (("report", "compare", "{a}", "{a}/none"), "is not there: name a results.json"),
        (("report", "inspect", "{a}/results.json"), "--ledger is missing: name the ledger"),
    ],
)
def test_what_cannot_be_used_ends_with_code_2(
    runs: tuple[Path, Path], words: tuple[str, ...], told: str
) -> None:
    done = run(*(word.format(a=runs[0]) for word in words))
    assert done.exit_code == 2, done.output
    assert told in done.stderr
