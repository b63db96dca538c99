"""What people expect of a repository is there and holds together: workflows, templates, hooks, the citation."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
YAML = sorted([*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff"])
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", YAML, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_is_yaml(path: Path) -> None:
    assert isinstance(read(path), dict)


def test_there_are_three_workflows() -> None:
    assert [path.stem for path in WORKFLOWS] == ["docs", "release", "tests"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_safe(path: Path) -> None:
    """Actions are pinned by commit, nothing may be written by default, no job runs for ever, and no secret is read."""
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 90
    for action in (step["uses"] for step in steps(path) if "uses" in step):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), f"{action} is not pinned by commit"
    assert "secrets." not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_what_there_is(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = "\n".join(step.get("run", "") for step in steps(path))
    for target in re.findall(r"\bmake ([\w-]+)", commands):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"make has no target {target}"
    for name in re.findall(r"\btests/\S+\.py", commands):
        assert (ROOT / name).is_file()


def test_every_python_is_tested_that_the_package_names() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    (tested,) = [
        job["strategy"]["matrix"]["python"]
        for job in read(ROOT / ".github/workflows/tests.yml")["jobs"].values()
    ]
    assert tested == named
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_only_publishing_gets_an_identity() -> None:
    jobs = read(ROOT / ".github/workflows/release.yml")["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["publish"]["needs"] == "build"
    assert "permissions" not in jobs["build"]


def test_templates_ask_for_what_is_needed() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("[bi]*.yml"):
        form = read(path)
        assert form["name"]
        assert form["description"]
        ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
        assert len(ids) == len(set(ids)) >= 3


def test_hooks_are_local() -> None:
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert all(hook["entry"].startswith(".venv/bin/") for hook in repository["hooks"])


def test_the_citation_is_of_this_version() -> None:
    citation = read(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [a["name"] for a in PROJECT["authors"]]
    (paper,) = citation["references"]
    assert "2504.02193" in paper["url"]


def test_no_url_of_a_repository_is_invented() -> None:
    """Nobody has said where this repository lies: pages and files link to one another."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *YAML, ROOT / "pyproject.toml"]
    for page in pages:
        assert not re.search(r"github\.com/[\w-]+/backfire\b", page.read_text(encoding="utf-8")), page


def needs_arguments(source: str) -> bool:
    """Whether a script's parser asks for something that has no default."""
    for node in ast.walk(ast.parse(source)):
        if not (
            isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".add_argument") and node.args
        ):
            continue
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        positional = not ast.literal_eval(node.args[0]).startswith("-")
        if given.get("required") == "True" or (positional and given.get("nargs") not in ("'*'", "'?'")):
            return True
    return False


def test_make_bench_runs_what_needs_no_model() -> None:
    listed = subprocess.run(
        ["make", "-n", "bench"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    left_out = {path.name for path in BENCHMARKS if path.name not in listed}
    assert left_out == {path.name for path in BENCHMARKS if needs_arguments(path.read_text("utf-8"))}
    assert left_out
