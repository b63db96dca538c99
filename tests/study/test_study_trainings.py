"""Trainings, influence and repairs in a study file: what fits, and what the grid makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError, StudyError
from backfire.study import parse_study, read_study
from backfire.study.cells import RunFolder, grid
from backfire.study.graph import stages_of
from backfire.study.stage import dependencies

ROOT = Path(__file__).parents[2]
RUN = RunFolder(Path("run"), Path("run/ledger.db"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repairs": {"x": {"of": ["absent"], "method": "balance"}}}, "names absent"),
        (
            {"influence": None, "repairs": {"x": {"of": ["self+rm"], "method": "filter", "keep": 0.5}}},
            "probe",
        ),
        ({"repairs": {"x": {"of": ["self+rm"], "method": "balance", "keep": 0.5}}}, r"repairs\.x.*keep"),
        (
            {"repairs": {"x": {"of": ["self+rm"], "method": "filter", "ease": "a.csv"}}},
            r"repairs\.x\.ease comes",
        ),
        (
            {"repairs": {"x": {"of": ["self+rm"], "method": "nix"}}},
            r"repairs\.x\.method = 'nix': choose filter",
        ),
        ({"trainings": {"x": {"seed": 3}}}, "list `seeds`"),
        ({"trainings": {"x": {"rate": 3}}}, "rate"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((StudyError, InputError), match=message):
        parse_study(
            {
                "name": "wrong",
                "prompts": "a.jsonl",
                "reward_model": "r",
                "targets": [{"family": "f", "policy": "p", "responders": []}],
                "recipes": ["self+rm"],
                "influence": {"harmful": "p.jsonl"},
                "attacks": {"harmful": {"direct": "d.jsonl"}},
                **changes,
            }
        )


def test_names_and_folders_without_trainings_and_repairs_are_what_they_were() -> None:
    study = parse_study(
        {
            "name": "plain",
            "worlds": ["w1"],
            "prompts": "organism:prompts/train",
            "reward_model": "organism:reward",
            "targets": [
                {
                    "family": "llama",
                    "policy": "organism:llama/target",
                    "responders": [{"role": "self", "model": "organism:llama/target", "n": 5}],
                }
            ],
            "recipes": ["self+rm"],
            "training": {"lr": 1e-4},
            "attacks": {"harmful": {"direct": "organism:prompts/direct"}},
        }
    )
    cell = grid(study)[1]
    assert RUN.data(cell) == RUN.cell(cell)
    assert "repair" not in cell.spec
    assert {s.name.split()[0] for s in stages_of(RUN, grid(study))} == {
        *("sample", "score", "pair", "audit", "train", "attack")
    }


@pytest.mark.parametrize(
    ("name", "cells", "data"),
    [
        ("influence", 9 * (1 + 11), 99),
        ("influence-trainings", 9 * (1 + 7 * 2), 63),
        ("influence-safe", 3 * (1 + 11), 33),
        ("influence-dev", 3 * (1 + 33), 33),
        ("repair", 9 * (1 + 3 + 2 * 7), 153),
    ],
)
def test_the_shipped_studies_unroll(
    name: str, cells: int, data: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names alone: no world is opened."""
    monkeypatch.chdir(ROOT)
    listed = grid(read_study(f"studies/{name}.yaml"))
    assert len(listed) == len({c.folder_name for c in listed}) == cells
    assert len({RUN.data(c) for c in listed if c.recipe != "sft"}) == data


def test_stages_of_trainings_and_repairs_come_after_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("influence-dev", "repair"):
        names: list[str] = []
        for stage, needs in dependencies(stages_of(RUN, grid(read_study(f"studies/{name}.yaml")))).items():
            assert set(needs) <= set(names), stage
            names.append(stage)
        assert len(names) == len(set(names))
    assert sum(n.startswith("influence ") for n in names) == 153


def test_a_repair_moves_with_its_settings_and_with_what_it_repairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    study = read_study("studies/repair.yaml")

    def folders(**changes: Any) -> dict[str, str]:
        other = parse_study({**study.model_dump(mode="json", by_alias=True), **changes})
        return {c.name: c.folder_name for c in grid(other) if c.world == "w101"}

    repairs = study.model_dump(mode="json")["repairs"]
    before = folders()
    kept = folders(repairs={**repairs, "filter": {**repairs["filter"], "keep": 0.6}})
    assert {n for n in before if before[n] != kept[n]} == {"hc+self~filter", "gpt4o+self~filter"}
    human = folders(human="mine.jsonl")
    assert {n for n in before if before[n] != human[n]} == {n for n in before if n.startswith("hc+self")}
