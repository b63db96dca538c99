"""A new kind of stage: its manifest, its dependency and its place in the schedule come from one list of inputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tiny_study import tiny_settings

from backfire.store import manifest_digest, read_json, write_json
from backfire.study import parse_study
from backfire.study.artifacts import PairsArtifact
from backfire.study.cells import Cell, RunFolder, grid
from backfire.study.graph import CELL, stages_of
from backfire.study.inputs import FileInput
from backfire.study.process_pool import ThisProcess
from backfire.study.schedule import run_stages
from backfire.study.stage import Job, Stage, dependencies


def count_stages(run: RunFolder, cell: Cell) -> Iterator[Stage[Any]]:
    if cell.recipe != "sft":
        inputs = [PairsArtifact("pairs", run.pairs(cell)), FileInput("stop words", "stop.txt")]
        yield Stage(run, "count", run.data(cell) / "count", {"unit": "word"}, inputs, _count)


def _count(job: Job[dict[str, str]]) -> None:
    stop = Path(job.input("stop words", FileInput).reference).read_text().split()
    texts = [pair.chosen.text for pair in job.input("pairs", PairsArtifact).read()]
    words = [word for text in texts for word in text.split() if word not in stop]
    write_json(job.folder / "count.json", {job.settings["unit"]: len(words)})


def test_a_new_stage_is_scheduled_after_what_it_is_made_from_and_made_again_when_that_changes(
    miniature_world: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stop.txt").write_text("the a")
    study = parse_study(tiny_settings(tmp_path, recipes=["gpt4o+self"], audit=None))
    run = RunFolder(tmp_path / "run", tmp_path / "run" / "ledger.db")
    run.root.mkdir()
    (cell,) = [cell for cell in grid(study) if cell.recipe != "sft"]
    stages = stages_of(run, [cell], cell=(count_stages, *CELL))

    names = [stage.name for stage in stages]
    pair, count = (f"{verb} {cell.data_name}" for verb in ("pair", "count"))
    assert dependencies(stages)[count] == (pair,)
    assert names.index(pair) < names.index(count) < names.index(f"train {cell.folder_name}")

    made = [stage for stage in stages if stage.verb in ("sample", "pair", "count")]
    assert not run_stages(made, ThisProcess(), say=lambda _: None).failed
    manifest = read_json(run.data(cell) / "count" / "manifest.json")
    assert manifest == {
        "stage": "count",
        "settings": {"unit": "word"},
        "inputs": {
            "pairs": manifest_digest(run.pairs(cell)),
            "stop words": FileInput("", "stop.txt").digest(),
        },
    }
    before = read_json(run.data(cell) / "count" / "count.json")["word"]
    assert all(stage.done() for stage in made)
    Path("stop.txt").write_text("")
    assert [stage.verb for stage in made if not stage.done()] == ["count"]
    run_stages(made, ThisProcess(), say=lambda _: None)
    assert read_json(run.data(cell) / "count" / "count.json")["word"] >= before > 0
