"""A whole study, end to end, on organisms that learnt for three steps."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tiny_study import MEMBER, timeless, tiny_settings

from backfire.answers import read_results
from backfire.errors import StudyError
from backfire.pairs import read_pairs
from backfire.repairing.reviewing import key_of
from backfire.store import Ledger, read_json
from backfire.study import Finished, parse_study, rewrite_page, run_study


@dataclass(frozen=True)
class Ran:
    settings: dict[str, Any]
    finished: Finished
    said: list[str]


@pytest.fixture(scope="module")
def ran(miniature_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("study")
    settings = tiny_settings(folder)
    said: list[str] = []
    return Ran(settings, run_study(parse_study(settings), folder / "run", say=said.append), said)


def times(folder: Path) -> dict[str, int]:
    """Every file with its modification time, but for the lock's."""
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns
        for p in folder.rglob("*")
        if p.is_file() and ".schedule" not in p.parts and "ledger" not in p.name
    }


def again(ran: Ran, **changes: Any) -> tuple[Finished, list[str], set[str], set[str]]:
    """Run with changed settings; also what was said, the files that were written, and those that stood before."""
    before = times(ran.finished.folder)
    said: list[str] = []
    study = parse_study({**ran.settings, **changes})
    finished = run_study(study, ran.finished.folder, say=said.append)
    after = times(ran.finished.folder)
    return finished, said, {f for f, t in after.items() if before.get(f) != t}, set(before)


def pairs_of(finished: Finished, recipe: str) -> Path:
    """The folder of the recipe's pairs."""
    (cell,) = (cell for cell in finished.results.cells if cell.recipe == recipe)
    return finished.folder / str(cell.provenance["pairs"])


def stages(said: list[str]) -> list[str]:
    """The kinds of stages that ran, of the lines of progress."""
    return [line.split("] ")[1].split()[0] for line in said if line.startswith("[")]


def test_every_cell_is_in_the_results_with_all_its_parts(ran: Ran) -> None:
    finished = ran.finished
    assert not finished.failed
    results = read_results(finished.folder / "results.json")
    assert [(c.family, c.recipe, c.seed) for c in results.cells] == [
        ("llama", "sft", 0),
        ("llama", "gpt4o+self", 0),
        ("llama", "self+rm", 0),
    ]
    for cell in read_json(finished.folder / "results.json")["cells"]:
        (rate,) = cell["asr"]
        assert (rate["attack"], rate["judge"]) == ("direct", "phrases")
        assert rate["scored"] + rate["unscored"] == 6
        assert cell["over_refusal"][0]["scored"] + cell["over_refusal"][0]["unscored"] == 4
        assert cell["world"] == 5
        if cell["recipe"] == "sft":
            assert cell["training"] is None
            assert cell["pairs"] is None
            continue
        assert cell["pairs"]["built"] >= 10
        assert cell["training"]["steps"] == len(cell["training"]["log"]) == -(-cell["pairs"]["built"] // 4)
        assert cell["training"]["log"][0]["loss"] == pytest.approx(0.6931, abs=2e-3)
        folder = finished.folder / "cells" / cell["id"]
        for part in ("pairs", "audit", "policy", "attack"):
            assert (folder / part / "manifest.json").is_file()
        assert (finished.folder / cell["provenance"]["pairs"] / "train.parquet").is_file()


def test_progress_names_every_stage_once(ran: Ran) -> None:
    assert sorted(stages(ran.said)) == sorted(
        ["sample"] * 2 + ["score"] + ["pair", "audit", "train"] * 2 + ["attack"] * 3
    )
    assert ran.said[0].startswith("12 of 12 stages are to be done, about ")
    assert ran.said[-1].startswith("[12/12]")


def test_the_page_holds_every_recipe(ran: Ran) -> None:
    text = ran.finished.page.read_text(encoding="utf-8")
    assert all(recipe in text for recipe in ("gpt4o+self", "self+rm", "tiny"))
    before = text
    ran.finished.page.unlink()
    assert rewrite_page(ran.finished.folder).read_text(encoding="utf-8") == before


def test_a_second_run_does_nothing_and_is_quick(ran: Ran) -> None:
    start = time.monotonic()
    finished, said, written, _ = again(ran)
    assert time.monotonic() - start < 5
    assert not said
    assert written <= {"study.yaml"}
    assert timeless(finished.results.model_dump(mode="json")) == timeless(
        ran.finished.results.model_dump(mode="json")
    )


def test_the_ledger_holds_each_response_once(ran: Ran) -> None:
    with Ledger(ran.finished.folder / "ledger.db") as ledger:
        sources = ledger.sources()
    assert sum(sources.values()) == 12 * 2 + 12 + 3 * (6 + 4)


def test_changed_attacks_draw_and_train_nothing_anew(ran: Ran) -> None:
    attacks = {**ran.settings["attacks"], "benign": {}}
    finished, said, written, before = again(ran, attacks=attacks)
    assert said[0].endswith("changed since the last run: attacks; only what depends on it runs again")
    assert stages(said) == ["attack"] * 3
    assert all("/attack/" in f or f.startswith(("results", "report", "study.yaml")) for f in written & before)
    assert all(not cell.over_refusal for cell in finished.results.cells)
    _, said, _, _ = again(ran)
    assert stages(said) == ["attack"] * 3


def test_a_changed_beta_trains_anew_and_draws_nothing(ran: Ran) -> None:
    finished, said, written, before = again(ran, training={**ran.settings["training"], "beta": 0.5})
    assert sorted(set(stages(said))) == ["attack", "audit", "pair", "train"]
    assert stages(said).count("attack") == 2
    assert not [f for f in written & before if f.startswith(("samples", "scores", "cells"))]
    assert len(finished.results.cells) == 3
    finished, said, _, _ = again(ran)
    assert not stages(said)
    assert timeless(finished.results.model_dump(mode="json")) == timeless(
        ran.finished.results.model_dump(mode="json")
    )


def test_a_new_recipe_runs_alone(ran: Ran) -> None:
    _, said, written, before = again(ran, recipes=[*ran.settings["recipes"], "all+rm"])
    assert stages(said) == ["score", "pair", "audit", "train", "attack"]
    assert not [f for f in written & before if f.startswith(("samples", "scores", "cells"))]


def test_what_a_reader_decided_makes_a_cell_and_other_pairs_are_refused(ran: Ran, tmp_path: Path) -> None:
    folder = pairs_of(ran.finished, "gpt4o+self")
    given = read_pairs(folder).pairs
    marks = ["drop", "swap", "keep"]
    file = tmp_path / "decisions.json"
    decided = [
        {"row": row, "pair": key_of(pair), "mark": mark}
        for row, (pair, mark) in enumerate(zip(given, marks, strict=False), 1)
    ]
    file.write_text(
        json.dumps({"backfire_decisions": 1, "dataset": str(folder), "digest": "-", "decisions": decided})
    )
    reviewed = {"of": ["gpt4o+self"], "method": "review", "decisions": str(file)}
    finished, said, _, _ = again(ran, repairs={"reviewed": reviewed})
    assert not finished.failed
    assert stages(said)[0] == "repair"
    made = read_pairs(pairs_of(finished, "gpt4o+self~reviewed"))
    assert [key_of(pair) for pair in made.pairs] == [
        key_of(given[1].exchanged),
        *(key_of(pair) for pair in given[2:]),
    ]
    other, said, _, _ = again(ran, repairs={"reviewed": {**reviewed, "of": ["self+rm"]}})
    assert any("decides about pairs that" in line for line in said)
    assert other.failed


def test_a_changed_prompt_file_is_seen_by_its_contents(ran: Ran) -> None:
    path = Path(ran.settings["prompts"])
    text = path.read_text()
    path.write_text(text + text.splitlines()[0].replace("make", "fix").replace("build", "fix") + "\n")
    try:
        _, said, _, _ = again(ran, recipes=["self+rm"])
        assert "sample" in stages(said)
        assert "train" in stages(said)
    finally:
        path.write_text(text)
        again(ran)


def test_a_folder_of_another_study_is_refused_by_name(ran: Ran) -> None:
    with pytest.raises(StudyError, match=r"holds the study 'tiny', not 'other'.*another out"):
        run_study(parse_study({**ran.settings, "name": "other"}), ran.finished.folder, say=lambda _: None)


def test_a_study_file_of_ones_own_in_the_run_folder_is_not_overwritten(ran: Ran, tmp_path: Path) -> None:
    own = tmp_path / "study.yaml"
    own.write_text("name: tiny\n")
    with pytest.raises(StudyError, match=r"study\.yaml was not written by a run.*another out"):
        run_study(parse_study(ran.settings), tmp_path, say=lambda _: None)
    assert own.read_text() == "name: tiny\n"


HOLD = """
import sys
from pathlib import Path
from backfire.study.running import alone
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_in_which_another_run_works_is_refused_until_it_ends(ran: Ran) -> None:
    command = [sys.executable, "-c", HOLD, str(ran.finished.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StudyError, match=r"another run works in .*another out"):
            again(ran)
        other.kill()
    again(ran)


def test_a_responder_that_does_not_exist_fails_only_the_recipes_that_ask_it(
    miniature_world: Path, tmp_path: Path
) -> None:
    settings = tiny_settings(tmp_path, recipes=["gpt4o+self", "self+rm"])
    settings["targets"][0]["responders"][1]["model"] = str(tmp_path / "no-such-model")
    said: list[str] = []
    finished = run_study(parse_study(settings), tmp_path / "run", say=said.append)
    assert [c.recipe for c in finished.results.cells] == ["sft", "self+rm"]
    written = read_json(tmp_path / "run" / "results.json")["stages"]
    assert set(written["cells_missing"]) == {"llama gpt4o+self"}
    (reason,) = [why for stage, why in written["failed"].items() if stage.startswith("sample ")]
    assert "no-such-model" in reason
    assert {stage.split()[0] for stage in written["failed"]} >= {"sample", "pair", "train"}
    assert not any("self+rm" in stage for stage in written["failed"])
    assert any("FAILED" in line and "no-such-model" in line for line in said)
    assert finished.page.is_file()


def test_what_files_and_responders_did_not_give_is_counted(miniature_world: Path, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, recipes=["gpt4o+self"])
    prompts = Path(settings["prompts"])
    rows = [json.loads(line) for line in prompts.read_text().splitlines()]
    answers = tmp_path / "answers.jsonl"
    given = [{"prompt": r["prompt"], "response": f"Answer {n}."} for n, r in enumerate(rows)]
    given += [{"prompt": "Nobody asked this.", "response": "Still."}, {"prompt": "Blank?", "response": " "}]
    answers.write_text("".join(json.dumps(row) + "\n" for row in given))
    more = [rows[0], {"prompt": " "}, {"prompt": "long " * 600, "kind": "benign"}]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *more]))
    settings["targets"][0]["responders"][1] = {"role": "gpt4o", "file": str(answers)}
    finished = run_study(parse_study(settings), tmp_path / "run", say=lambda _: None)
    found = finished.results.stages["left_out"]
    assert found[f"rows of {prompts}"] == {"blank": 1, "duplicate": 1}
    assert found[f"rows of {answers}"] == {"blank response": 1, "prompt is not the study's": 1}
    ((what, reasons),) = [(k, v) for k, v in found.items() if k.startswith("requests to")]
    assert f"{MEMBER}llama/target without a response (remove samples/" in what
    assert sum(reasons.values()) == 2
    assert "Left out: " in finished.page.read_text(encoding="utf-8")


def test_a_study_of_which_nothing_can_run_says_why(miniature_world: Path, tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    settings["attacks"]["harmful"]["direct"] = str(tmp_path / "none.jsonl")
    settings["recipes"] = ["self+rm"]
    settings["targets"][0]["policy"] = f"{MEMBER}llama/nobody"
    with pytest.raises(StudyError, match=r"no cell of tiny could be finished.*none\.jsonl"):
        run_study(parse_study(settings), tmp_path / "run", say=lambda _: None)
