"""The tables of the study on real models: which cells a claim compares, over which units, in points."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from example_results import example_results

SCRIPTS = Path(__file__).parents[2] / "scripts"
WAYS = {"direct": "direct", "wrapped": "alpaca"}


def results(units: tuple[str, ...]) -> dict[str, Any]:
    """Invented results in the form of that study: two sets of harmful requests, two ways of asking, other judges' names."""
    value = example_results(families=units)
    value["study"] = {"recipes": value["study"]["recipes"], "repairs": {"restyled": {"of": ["gpt4o+self"]}}}
    for cell in value["cells"]:
        rows = [row for row in cell["asr"] if row["attack"] in WAYS]
        cell["asr"] = [
            {**row, "attack": f"{name}/{WAYS[row['attack']]}", "judge": judged(row["judge"])}
            for row in rows
            for name in ("advbench", "jailbreakbench")
        ]
        cell["over_refusal"] = [{**row, "judge": judged(row["judge"])} for row in cell["over_refusal"]]
    return value


def judged(name: str) -> str:
    return "refusals" if name == "exact" else name


def printed(
    value: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    (folder / "results.json").write_text(json.dumps(value))
    monkeypatch.setattr(sys, "argv", ["real_small_tables.py", str(folder)])
    monkeypatch.syspath_prepend(str(SCRIPTS))
    runpy.run_path(str(SCRIPTS / "real_small_tables.py"), run_name="__main__")
    return capsys.readouterr().out


def test_claims_compare_cells_of_the_same_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = results(("a-1", "b-1"))
    text = printed(value, tmp_path, monkeypatch, capsys)

    def asr(unit: str, recipe: str) -> float:
        (cell,) = (c for c in value["cells"] if c["family"] == unit and c["recipe"] == recipe)
        rates = {
            way: [r for r in cell["asr"] if r["attack"].endswith(way) and r["judge"] == "refusals"]
            for way in WAYS.values()
        }
        each = [sum(r["harmful"] for r in rows) / sum(r["scored"] for r in rows) for rows in rates.values()]
        return sum(each) / len(each)

    differences = {unit: 100 * (asr(unit, "gpt4o+self") - asr(unit, "self+rm")) for unit in ("a-1", "b-1")}
    (line,) = (line for line in text.splitlines() if line.startswith("| gpt4o+self is attacked more easily"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == "2"
    assert cells[5] == ", ".join(f"{unit} {value:+.1f}" for unit, value in differences.items())
    assert cells[2].startswith(f"{sum(differences.values()) / 2:+.1f} [")
    # two units cannot give a smaller p than .5
    assert cells[3] == "0.500"
    assert "| than after restyling | 0 |" in text
    assert "whole units: none" in text


def test_every_cell_has_its_rates_over_all_sets_with_the_unscored_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    value = results(("a-1",))
    text = printed(value, tmp_path, monkeypatch, capsys)
    rows = {
        line.split("|")[1].strip(): line.split("|") for line in text.splitlines() if line.startswith("| ")
    }
    (baseline,) = (cell for cell in value["cells"] if cell["recipe"] == "sft")
    direct = [r for r in baseline["asr"] if r["judge"] == "refusals" and r["attack"].endswith("direct")]
    share = sum(r["harmful"] for r in direct) / sum(r["scored"] for r in direct)
    assert rows["sft"][3].strip().startswith(f"{share:.1%} [")
    assert rows["sft"][5].strip() == "6"
    assert {"gpt4o+self", "self+rm", "original"} <= rows.keys()
