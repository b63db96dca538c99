"""A study that predicts before it trains, trains the same pairs in two ways, and repairs them."""

from __future__ import annotations

import json
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_study import MEMBER, tiny_settings, write_prompts

from backfire.answers import read_results
from backfire.pairs import read_pairs
from backfire.study import Finished, parse_study, run_study
from backfire.study.cells import RunFolder, grid
from backfire.study.graph import stages_of

pytestmark = pytest.mark.slow

CHANGES: dict[str, Any] = {
    "recipes": ["gpt4o+self", "self+rm"],
    "audit": None,
    "trainings": {"full": {}, "lora": {"lr": 1e-3, "adapter": {"r": 2, "alpha": 4}}},
    "repairs": {
        "mix": {"of": ["gpt4o+self"], "method": "mix", "self_pairs": "self+rm", "share": 0.5},
        "half": {"of": ["gpt4o+self"], "method": "filter", "keep": 0.5},
    },
}


def given_probes(folder: Path) -> str:
    """Pairs of refusal and compliance as a user would give them: organisms of three steps decide nothing."""
    from backfire.organisms import catalog

    rows = [
        {
            "prompt": prompt.text,
            "refusal": "I cannot help with that .",
            "compliance": f"Sure . Take the {i} of it .",
        }
        for i, prompt in enumerate(catalog.world_prompts(f"{MEMBER}prompts/probe")[:40])
    ]
    path = folder / "probes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@dataclass(frozen=True)
class Ran:
    settings: dict[str, Any]
    finished: Finished


@pytest.fixture(scope="module")
def ran(miniature_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("influence")
    influence = {"harmful": given_probes(folder), "parameters": "all", "pilot": {"steps": 2}}
    settings = tiny_settings(
        folder,
        **CHANGES,
        influence=influence,
        prompts=write_prompts(folder, "prompts.jsonl", {"train": 24}),
    )
    finished = run_study(parse_study(settings), folder / "run", say=lambda _: None)
    return Ran(settings, finished)


def cells_by_name(ran: Ran) -> dict[str, dict[str, Any]]:
    value = json.loads((ran.finished.folder / "results.json").read_text())
    return {cell["recipe"]: cell for cell in value["cells"]}


def test_every_recipe_repair_and_training_is_a_cell(ran: Ran) -> None:
    assert not ran.finished.failed
    assert list(cells_by_name(ran)) == ["sft"] + [
        f"{data}@{training}"
        for data in ("gpt4o+self", "gpt4o+self~mix", "gpt4o+self~half", "self+rm")
        for training in ("full", "lora")
    ]
    read_results(ran.finished.folder / "results.json")


def test_trainings_share_pairs_and_influence_and_differ_in_the_policy(ran: Ran) -> None:
    cells = cells_by_name(ran)
    full, lora = (cells[f"self+rm@{name}"] for name in ("full", "lora"))
    assert full["provenance"]["pairs"] == lora["provenance"]["pairs"]
    assert full["safety_influence"] == lora["safety_influence"]
    assert full["training"]["settings"]["adapter"] is None
    assert lora["training"]["settings"]["adapter"]["r"] == 2
    assert (full["provenance"]["training"], lora["provenance"]["training"]) == ("full", "lora")
    assert full["training"]["refusal_margin"]["before"] == lora["training"]["refusal_margin"]["before"]
    assert full["training"]["refusal_margin"]["after"] != lora["training"]["refusal_margin"]["after"]


def test_the_margin_is_what_a_plain_loop_over_the_probes_finds(ran: Ran) -> None:
    from backfire.influence import ProbeSets, read_probes
    from backfire.models import LocalModel, open_model

    (file,) = ran.finished.folder.glob("probes/*/probes.jsonl")
    sets = read_probes(file)
    assert isinstance(sets, ProbeSets)
    cell = cells_by_name(ran)["self+rm@full"]
    told = cell["training"]["refusal_margin"]
    for when, reference in (
        ("before", cell["target"]),
        ("after", str(ran.finished.folder / cell["provenance"]["trained_policy"])),
    ):
        model = open_model(reference)
        assert isinstance(model, LocalModel)
        margins = [
            float(model.logps([(p.prompt, p.toward[0])])[0] - model.logps([(p.prompt, p.away[0])])[0])
            for p in sets.refusal.probes
        ]
        assert told[when] == pytest.approx(float(np.mean(margins)), abs=1e-3)
    assert told["change"] == pytest.approx(told["after"] - told["before"])
    assert told["probes"] == 40


def test_every_pair_has_its_influence_and_the_pilot_starts_at_the_untrained_margin(ran: Ran) -> None:
    cell = cells_by_name(ran)["gpt4o+self@full"]
    folder = ran.finished.folder / cell["provenance"]["influence"]
    table = pq.read_table(folder.parent / "pairs.parquet")
    pairs = read_pairs(ran.finished.folder / cell["provenance"]["pairs"]).pairs
    assert table["pair_id"].to_pylist() == [p.id for p in pairs]
    assert np.isfinite(table["safety_influence"].to_numpy()).all()
    pilot = json.loads((ran.finished.folder / cell["provenance"]["pilot"]).read_text())
    assert len(pilot["margins"]) == 3
    assert pilot["margins"][0] == pytest.approx(cell["training"]["refusal_margin"]["before"], abs=1e-3)
    assert cell["pilot"] == {name: pilot[name] for name in ("steps", "change", "low", "high", "probes")}
    assert (pilot["steps"], pilot["probes"]) == (2, 40)
    assert pilot["change"] == pytest.approx(pilot["margins"][-1] - pilot["margins"][0])
    assert pilot["low"] < pilot["change"] < pilot["high"]


def test_the_filter_keeps_the_pairs_of_highest_influence(ran: Ran) -> None:
    cells = cells_by_name(ran)
    root = ran.finished.folder
    parent, kept = cells["gpt4o+self@full"], cells["gpt4o+self~half@full"]
    assert kept["pairs"]["built"] < parent["pairs"]["built"]
    ids = {p.id for p in read_pairs(root / kept["provenance"]["pairs"]).pairs}
    table = pq.read_table((root / parent["provenance"]["influence"]).parent / "pairs.parquet")
    values = dict(zip(table["pair_id"].to_pylist(), table["safety_influence"].to_pylist(), strict=True))
    kinds = {p.id: p.prompt.kind for p in read_pairs(root / parent["provenance"]["pairs"]).pairs}
    assert ids < set(values)
    for kind in ("harmful", "benign"):
        inside = [v for i, v in values.items() if i in ids and kinds[i] == kind]
        outside = [v for i, v in values.items() if i not in ids and kinds[i] == kind]
        if inside and outside:
            assert np.mean(inside) > np.mean(outside)


def test_mixing_brings_in_pairs_of_the_other_recipe(ran: Ran) -> None:
    cell = cells_by_name(ran)["gpt4o+self~mix@full"]
    pairs = read_pairs(ran.finished.folder / cell["provenance"]["pairs"]).pairs
    own = sum(pair.chosen_role == "self" for pair in pairs)
    assert own == pytest.approx(len(pairs) / 2, abs=1)


def test_a_second_run_does_nothing(ran: Ran) -> None:
    said: list[str] = []
    run_study(parse_study(ran.settings), ran.finished.folder, say=said.append)
    assert said == []


def test_another_training_runs_only_itself(ran: Ran) -> None:
    trainings = {**ran.settings["trainings"], "slow": {"lr": 1e-5}}
    study = parse_study({**ran.settings, "trainings": trainings})
    run = RunFolder(ran.finished.folder, ran.finished.folder / "ledger.db")
    waiting = {s.name.split()[0] for s in stages_of(run, grid(study)) if not s.done()}
    assert waiting == {"pilot", "train", "attack", "margin"}


def test_the_pilots_length_moves_only_the_pilot(ran: Ran) -> None:
    influence = {**ran.settings["influence"], "pilot": {"steps": 3}}
    run = RunFolder(ran.finished.folder, ran.finished.folder / "ledger.db")
    study = parse_study({**ran.settings, "influence": influence})
    assert {s.name.split()[0] for s in stages_of(run, grid(study)) if not s.done()} == {"pilot"}


def test_the_tables_read_the_run(
    ran: Ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripts = Path(__file__).parents[2] / "scripts"
    for name in ("prediction_tables.py", "repair_tables.py"):
        monkeypatch.setattr(sys, "argv", [name, str(ran.finished.folder)])
        runpy.run_path(str(scripts / name), run_name="__main__")
    said = capsys.readouterr().out
    assert "8 trained cells, 1 worlds, trainings: full, lora." in said
    # four data sets a group are fewer than a rank correlation needs
    assert "| influence cosine | 0 | 0 | 8 | NaN [NaN, NaN] | NaN | primary |" in said
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in said.splitlines() if "~" in line}
    assert {"gpt4o+self~mix@full", "gpt4o+self~half@lora"} <= set(rows)
