"""Every script of examples/ runs, on the organisms, and does what it says."""

from __future__ import annotations

import importlib
import json
import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RUN = ("audit_and_act", "beside_trl", "own_recipe", "pipeline")
SHOWN = ("own_attack", "own_judge")
"""Run by tests/test_extending.py."""


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


def test_every_example_is_run_and_listed() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(RUN + SHOWN)
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\]\(([\w.]+)\)", page))
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".yaml", ".ipynb")} <= listed


@pytest.mark.slow
def test_audit_and_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = example("audit_and_act", monkeypatch).main(tmp_path, prompts=32)
    best = [max(probe.pointwise.auroc for probe in report.separability) for report in (before, after)]
    assert best[0] > 0.9 > best[1], "the other model's style is what told the sides apart"
    assert (tmp_path / "after.html").is_file()


@pytest.mark.slow
def test_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = example("pipeline", monkeypatch).main(tmp_path, prompts=8, epochs=0.5)
    assert len(rates) == 4, "two attacks, two judges"
    assert all(row.scored > 0 for row in rates)
    assert json.loads((tmp_path / "policy" / "training.json").read_text())["steps"] >= 1


def test_own_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = example("own_recipe", monkeypatch)
    pairs = module.main(tmp_path, prompts=6)
    assert len(pairs) == 6
    assert {pair.chosen.text for pair in pairs} == {module.ANSWER}


def test_beside_trl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = example("beside_trl", monkeypatch).main(tmp_path, prompts=8, steps=1)
    assert (tmp_path / "policy" / "model.safetensors").is_file()
    assert row.scored == 8, "the organism still speaks after one step"


NOTEBOOK = json.loads((EXAMPLES / "first_audit.ipynb").read_text(encoding="utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_shows_its_outputs() -> None:
    assert len(CELLS) >= 5
    for cell in CELLS:
        (output,) = cell["outputs"]
        assert output["output_type"] == "stream"
        assert output["name"] == "stdout"


@pytest.mark.slow
def test_the_notebook_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells one after the other, in its folder; each prints as many lines as it shows."""
    monkeypatch.chdir(EXAMPLES)
    names: dict[str, object] = {}
    for cell in CELLS:
        with redirect_stdout(StringIO()) as printed:
            exec("".join(cell["source"]), names)
        shown = "".join(cell["outputs"][0]["text"])
        assert len(printed.getvalue().splitlines()) == len(shown.splitlines()), shown
