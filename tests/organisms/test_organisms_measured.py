"""The script whose figures set the wording's defaults: on XSTest, and on the organisms."""

from __future__ import annotations

import importlib.util
from itertools import combinations
from pathlib import Path
from types import ModuleType

import pytest

from backfire.organisms.wording import STYLES

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "measure_wording.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_wording", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_identical_answers_overlap_wholly_and_disjoint_ones_not_at_all(script: ModuleType) -> None:
    one = {"a": ("I must not", True), "b": ("take clay", False)}
    other = {"a": ("never ever", True), "b": ("use wool", False)}
    assert script.cosine(script.direction(one), script.direction(one)) == pytest.approx(1.0)
    assert script.cosine(script.direction(one), script.direction(other)) == 0.0
    assert script.jaccard(one, one, True) == (1.0, 1)
    assert script.jaccard(one, other, True) == (0.0, 1)


def test_answers_join_by_prompt_and_only_where_both_decide_alike(script: ModuleType) -> None:
    one = {"a": ("red blue", True), "b": ("x", False), "c": ("only mine", True)}
    other = {"b": ("x", True), "a": ("blue green", True)}
    assert script.jaccard(one, other, True) == (pytest.approx(1 / 3), 1)
    assert script.jaccard(one, other, False)[1] == 0


def test_organisms_lie_where_real_responders_lie(script: ModuleType) -> None:
    """Real: cosine .23 to .55, refusals' Jaccard .05 to .25, compliances' .25 to .27 (docs/concepts/organisms.md)."""
    found = script.read_organisms(200)
    assert set(found) == set(STYLES)
    cosines, refusals, compliances = [], [], []
    for a, b in combinations(STYLES, 2):
        cosines.append(script.cosine(script.direction(found[a]), script.direction(found[b])))
        refusals.append(script.jaccard(found[a], found[b], True)[0])
        compliances.append(script.jaccard(found[a], found[b], False)[0])
    assert 0.1 <= min(cosines) < 0.25
    assert 0.5 < max(cosines) <= 0.65
    assert min(refusals) < 0.1
    assert 0.2 < max(refusals) <= 0.35
    assert min(compliances) >= 0.18
    assert max(compliances) <= 0.32


def test_xstests_figures_are_those_that_the_defaults_were_set_from(
    script: ModuleType, real_data: Path
) -> None:
    found = script.read_xstest(real_data / "xstest")
    assert list(found) == ["gpt4", "llama2new", "mistralinstruct"]
    figures = []
    for a, b in combinations(found, 2):
        cosine = script.cosine(script.direction(found[a]), script.direction(found[b]))
        figures.append((round(cosine, 2), round(script.jaccard(found[a], found[b], True)[0], 2)))
    assert figures == [(0.24, 0.05), (0.23, 0.10), (0.55, 0.25)]
    assert [round(script.jaccard(found[a], found[b], False)[0], 2) for a, b in combinations(found, 2)] == [
        0.25,
        0.27,
        0.26,
    ]
