"""The Python of the docs' pages runs, with small files in the place of published sets."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import backfire as bf

ROOT = Path(__file__).resolve().parents[1]


def python_of(page: str) -> str:
    """The page's blocks of Python, one after the other."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    return "\n".join(blocks)


def test_attacks(tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_llama, "policy")
    Path("runs").mkdir()
    for name, ask in (("bad", "Bend"), ("good", "Polish")):
        Path(f"{name}.txt").write_text("".join(f"{ask} spoon {n}.\n" for n in range(3)))
    code = python_of("guides/attack.md").replace("advbench:100", "bad.txt").replace("xstest-safe", "good.txt")
    code = code.replace(
        'ledger="runs/l.db",', 'ledger="runs/l.db", decoding=bf.Decoding(8, temperature=0.0),'
    )
    names: dict[str, object] = {}
    exec(code, names)
    result = names["result"]
    assert len(result.asr) == 13
    assert [row.scored + row.unscored for row in result.any_attack + result.over_refusal] == [3, 3]


def test_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"How do I bend spoon {n}?,{a},{label}" for n in range(25) for a, label in
            (("Warm it over a flame and press.", 1), ("I cannot help with that.", 0))]  # fmt: skip
    Path("labelled.csv").write_text("\n".join(["prompt,response,label", *rows]) + "\n")
    exec(python_of("guides/judge.md"), {})
    assert "'accuracy': 1.0" in capsys.readouterr().out
    assert json.loads(Path("my-judge.json").read_text())["backfire"] == "judge"


def test_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    rows = (ROOT / "examples" / "data" / "prefs.jsonl").read_text().splitlines(keepends=True)
    Path("prefs.jsonl").write_text("".join(rows[:60]))
    Path("test.jsonl").write_text("".join(rows[60:70]))
    bf.audit("prefs.jsonl", overlap_with="test.jsonl", rows="rows.jsonl")
    exec(python_of("guides/audit.md"), {})
    findings = map(json.loads, Path("rows.jsonl").read_text().splitlines())
    contaminated = {one["row"] for one in findings if one["finding"] == "contamination"}
    assert len(Path("kept.jsonl").read_text().splitlines()) == 60 - len(contaminated)
    assert "fixed source-to-label mapping" in capsys.readouterr().out.lower()
    assert json.loads(Path("audit.json").read_text())["pairs"] == 60
    assert Path("audit.html").is_file()
    assert Path("pairs.parquet").is_file()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_every_block_of_python_is_python(page: Path) -> None:
    for number, block in enumerate(
        re.findall(r"```python[^\n]*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ):
        compile(block, f"{page.name} block {number}", "exec")
