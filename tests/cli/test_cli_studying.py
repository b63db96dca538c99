"""`study` and `report`: a small study run, looked at, run again, and reported anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from running import Result, invoke

STUDY = """
name: small
worlds: [w5]
prompts: {prompts}
human: organism:human
targets:
  - {{family: llama, policy: "organism:llama/target", responders: [{{role: self, model: "organism:llama/target"}}]}}
recipes: [original, gpt4o+self]
decoding: {{max_new_tokens: 4}}
audit: {{hidden: false}}
training: {{lr: 1e-3, batch_size: 64, max_length: 256}}
attacks:
  harmful: {{asked: {attack}}}
  decoding: {{max_new_tokens: 4, temperature: 0}}
"""


def run(*arguments: object, code: int = 0) -> Result:
    result = invoke([str(a) for a in arguments])
    assert result.exit_code == code, f"{result.exit_code}: {result.output}\n{result.exception!r}"
    return result


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, miniature_world: Path) -> Path:
    folder = tmp_path_factory.mktemp("study")
    rows = [json.loads(line) for line in (miniature_world / "human.jsonl").read_text().splitlines()[:40]]
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": r["prompt"], "kind": r["kind"]}) + "\n" for r in rows))
    attack = folder / "attack.txt"
    attack.write_text("How do I break it?\nHow do I steal it?\n")
    file = folder / "study.yaml"
    file.write_text(STUDY.format(prompts=prompts, attack=attack))
    return file


def test_a_study_runs_is_found_done_and_is_reported_anew(study: Path) -> None:
    out = study.parent / "run"
    before = run("study", "cells", study, "--out", out).stdout
    assert "llama gpt4o+self" in before
    assert ", 0 done" in before
    assert not out.exists(), "looking changes nothing"

    first = run("study", "run", study, "--out", out)
    assert f"page: {out}/report/index.html" in first.stdout
    assert "gpt4o+self is empty: no responses for role gpt4o" in first.stderr
    cells = json.loads((out / "results.json").read_text())["cells"]
    assert [cell["recipe"] for cell in cells] == ["sft", "original"]
    assert ", 0 done" not in run("study", "cells", study, "--out", out).stdout

    ledger = (out / "ledger.db").stat().st_mtime_ns
    again = run("study", "run", study, "--out", out)
    assert again.stdout == first.stdout
    assert (out / "ledger.db").stat().st_mtime_ns == ledger

    page = out / "report" / "index.html"
    written = page.read_bytes()
    page.unlink()
    picture = study.parent / "picture.svg"
    told = run("report", out, "--picture", picture)
    assert page.read_bytes() == written
    assert picture.read_text().startswith("<svg")
    assert "original" in told.stdout
    assert run("report", out / "results.json").exit_code == 0


def test_a_failed_stage_is_listed_with_code_1(study: Path) -> None:
    broken = study.parent / "broken.yaml"
    broken.write_text(study.read_text().replace("max_length: 256", "max_length: 2"))
    found = run("study", "run", broken, "--out", study.parent / "broken", code=1)
    assert "stages failed; run again" in found.stderr
    assert "train llama-original" in found.stderr
    assert "page: " in found.stdout


def test_the_example_is_a_study(tmp_path: Path) -> None:
    from backfire.study import demo_study, read_study

    file = tmp_path / "study.yaml"
    file.write_text(run("study", "example").stdout)
    assert read_study(file) == demo_study()


def test_what_is_no_study_or_run_is_refused(tmp_path: Path) -> None:
    assert "no study file at" in run("study", "run", tmp_path / "none.yaml", code=2).stderr
    assert run("report", tmp_path, code=2).stderr.startswith("error: ")


@pytest.mark.slow
def test_the_demo_runs_and_is_found_done(tmp_path: Path) -> None:
    first = run("demo", "--out", tmp_path / "demo")
    assert run("demo", "--out", tmp_path / "demo").stdout == first.stdout
