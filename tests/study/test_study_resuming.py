"""Worker processes, and a run that is killed: the same results as an undisturbed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from same_runs import compare
from tiny_study import MEMBER, tiny_settings

from backfire.store import read_json
from backfire.study import parse_study, run_study

PROGRAM = """
import sys
from backfire.study import run_study
run_study(sys.argv[1], sys.argv[2])
"""


@pytest.fixture(scope="module")
def study(miniature_world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return tiny_settings(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def undisturbed(study: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert not run_study(parse_study(study), folder, say=lambda _: None).failed
    return folder


@pytest.mark.slow
def test_two_workers_leave_what_one_leaves(study: dict[str, Any], undisturbed: Path, tmp_path: Path) -> None:
    said: list[str] = []
    finished = run_study(parse_study({**study, "workers": 2}), tmp_path / "run", say=said.append)
    assert not finished.failed
    assert len(said) == len(set(said)) == 1 + 12, "what is to be done, and each stage as it ends"
    compare(tmp_path / "run", undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "mark"),
    [(1, "samples/*/manifest.json"), (1, "cells/*/pairs/manifest.json"), (2, "cells/*/policy/manifest.json")],
)
def test_a_run_killed_on_the_way_goes_on_to_the_same_results(
    study: dict[str, Any], undisturbed: Path, tmp_path: Path, workers: int, mark: str
) -> None:
    folder = tmp_path / "run"
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({**study, "workers": workers}))
    command = [sys.executable, "-c", PROGRAM, str(path), str(folder)]
    started = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 180
        while not list(folder.glob(mark)):
            assert started.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < limit
            time.sleep(0.02)
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    assert not (folder / "results.json").exists()
    finished_before = [p for p in folder.rglob("manifest.json") if not p.parent.name.startswith(".")]
    kept = {p: p.stat().st_mtime_ns for p in finished_before}
    finished = run_study(path, folder, say=lambda _: None)
    assert not finished.failed
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert not list(folder.rglob(".*.[0-9]*"))
    compare(folder, undisturbed)


@pytest.mark.slow
def test_organisms_own_sets_judges_audit_and_general_tasks_run_in_a_study(
    miniature_world: Path, tmp_path: Path
) -> None:
    settings = tiny_settings(
        tmp_path,
        recipes=["original", "self+rm"],
        prompts=f"{MEMBER}prompts/train",
        human=f"{MEMBER}human",
        decoding={"max_new_tokens": 6},
        audit={"hidden": True, "max_pairs": 60},
        training={"lr": 1e-4, "batch_size": 32, "max_length": 128},
        attacks={
            "harmful": {"direct": f"{MEMBER}prompts/direct"},
            "benign": {"borderline": f"{MEMBER}prompts/borderline"},
            "judges": ["exact", "phrases"],
            "decoding": {"max_new_tokens": 6, "temperature": 0},
        },
        general={"tasks": "organism", "limit": 5},
    )
    finished = run_study(parse_study(settings), tmp_path / "run", say=lambda _: None)
    assert not finished.failed
    results = read_json(tmp_path / "run" / "results.json")
    assert [cell["recipe"] for cell in results["cells"]] == ["sft", "original", "self+rm"]
    for cell in results["cells"]:
        assert {(r["attack"], r["judge"]) for r in cell["asr"]} == {
            ("direct", "exact"),
            ("direct", "phrases"),
        }
        assert {r["scored"] + r["unscored"] for r in cell["asr"]} == {200}
        assert {r["scored"] + r["unscored"] for r in cell["over_refusal"]} == {120}
        assert {(t["task"], t["n"]) for t in cell["general"]} == {
            (f"{task}_organism", 5) for task in ("arc", "hellaswag", "mmlu", "truthfulqa", "winogrande")
        }
        if cell["recipe"] != "sft":
            assert [probe["probe"] for probe in cell["separability"]] == [
                "length",
                "surface",
                "words",
                "characters",
                "hidden",
            ]
    original = next(c for c in results["cells"] if c["recipe"] == "original")
    assert original["pairs"]["built"] > 550
    assert set(original["pairs"]["sources"]["chosen"]) == {"human"}
