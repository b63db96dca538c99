"""A resume file's numbers are taken only where a task's functions and local data are what they were."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from backfire.answers.general import GeneralResult
from backfire.evaluation import general
from backfire.evaluation.task_sources import local_files, plain
from backfire.models import LocalModel, open_model

TASK = (
    "task: mine\ntest_split: test\noutput_type: multiple_choice\ndoc_to_text: '{{question}}'\n"
    "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"
)
BY_COLUMN = "doc_to_choice: '{{[a, b]}}'\ndoc_to_target: '{{answer}}'\n"


@pytest.fixture(scope="module")
def model(tiny_llama: Path) -> LocalModel:
    opened = open_model(tiny_llama, dtype="float32")
    assert isinstance(opened, LocalModel)
    return opened


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    where = tmp_path / "tasks"
    where.mkdir()
    return where


def write(path: Path, text: str) -> None:
    """With a time of its own: the harness tells a changed module by it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    now = max(path.stat().st_mtime_ns, before + 1_000_000_000)
    os.utime(path, ns=(now, now))


def table(answer: int) -> str:
    return "question,a,b,answer\n" + "".join(f"Which is {n}?,brass,a lamp,{answer}\n" for n in range(4))


def run(model: LocalModel, folder: Path, file: str = "kept.json") -> GeneralResult:
    return general(model, folder, resume=folder.parent / file)


def asked_again(model: LocalModel, folder: Path) -> None:
    """The next run asks, and gives what a run without the file gives; the one after it takes that."""
    found = run(model, folder)
    assert found.resumed == []
    assert found.scores == general(model, folder).scores
    assert run(model, folder).resumed == ["mine"]


def test_a_function_that_changed_is_asked_again(model: LocalModel, folder: Path) -> None:
    write(folder / "t.jsonl", "".join(json.dumps({"question": f"Which is {n}?"}) + "\n" for n in range(4)))
    write(
        folder / "mine.yaml",
        f"{TASK}dataset_path: json\ndataset_kwargs: {{data_files: {{test: t.jsonl}}}}\n"
        "doc_to_choice: [brass, a lamp]\ndoc_to_target: !function reading.right\n",
    )
    values = []
    for right in (0, 1):
        write(folder / "reading.py", f"def right(doc):\n    return {right}\n")
        asked_again(model, folder)
        values.append(run(model, folder).scores[0].value)
    assert sum(v for v in values if v is not None) == pytest.approx(1)
    write(folder / "words.py", "BESIDE = 1\n")
    asked_again(model, folder)
    moved = folder.rename(folder.with_name("moved"))
    assert run(model, moved).resumed == ["mine"]


@pytest.mark.parametrize(
    "named",
    ["{test: HERE/c0.csv}", "{test: [HERE/c0.csv, HERE/c1.csv]}", "{test: HERE/c*.csv}"],
    ids=["file", "list", "glob"],
)
def test_files_of_another_format_that_changed_are_asked_again(
    model: LocalModel, folder: Path, named: str
) -> None:
    for name in ("c0.csv", "c1.csv"):
        write(folder / name, table(0))
    files = named.replace("HERE", str(folder))
    write(
        folder / "mine.yaml",
        f"{TASK}{BY_COLUMN}dataset_path: csv\ndataset_kwargs: {{data_files: {files}}}\n",
    )
    asked_again(model, folder)
    write(folder / "c0.csv", table(1))
    asked_again(model, folder)


def test_a_folder_of_data_that_changed_is_asked_again(model: LocalModel, folder: Path) -> None:
    write(folder / "mine.yaml", f"{TASK}{BY_COLUMN}dataset_path: {folder / 'data'}\n")
    for answer in (0, 1):
        write(folder / "data" / "test.csv", table(answer))
        asked_again(model, folder)
    write(folder / "data" / ".index", "hidden")
    assert run(model, folder).resumed == ["mine"]


def test_what_cannot_be_looked_at_is_asked_each_time_and_said(model: LocalModel, folder: Path) -> None:
    write(folder / "mine.yaml", f"{TASK}{BY_COLUMN}custom_dataset: !function reading.rows\n")
    write(
        folder / "reading.py",
        "from datasets import Dataset\n\ndef rows(**_):\n"
        "    row = {'question': 'Which?', 'a': 'brass', 'b': 'a lamp', 'answer': 0}\n"
        "    return {'test': Dataset.from_list([row])}\n",
    )
    for _ in range(2):
        found = run(model, folder)
        assert found.resumed == []
        assert found.not_resumable == {"mine": "its custom_dataset may read anything"}
    assert not (folder.parent / "kept.json").exists()
    assert general(model, folder).not_resumable == {}


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        (
            {"dataset_path": "csv", "dataset_kwargs": {"data_files": "https://x.org/a.csv"}},
            "not on this disk",
        ),
        ({"dataset_path": "csv"}, "neither data_files nor data_dir"),
        ({"dataset_path": "some/name", "dataset_kwargs": {"data_files": "https://x.org/a.csv"}}, ""),
        ({"dataset_path": "csv", "dataset_kwargs": {"data_files": "absent.csv"}}, ""),
    ],
)
def test_only_files_on_this_disk_are_looked_for(configuration: dict[str, Any], said: str) -> None:
    files, gap = local_files(configuration, rows_known=False)
    assert files == []
    assert gap.endswith(said) if not said else said in gap


def test_data_dir_and_prompt_files_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "within").mkdir()
    for name in ("within/a.csv", "prompts.yaml"):
        (tmp_path / name).write_text("x")
    configuration = {
        "use_prompt": f"{tmp_path}/prompts.yaml:one",
        "dataset_path": "csv",
        "dataset_kwargs": {"data_dir": str(tmp_path / "within")},
    }
    files, gap = local_files(configuration, rows_known=False)
    assert ([name for name, _ in files], gap) == (["prompts.yaml", "a.csv"], "")
    assert [name for name, _ in local_files(configuration, rows_known=True)[0]] == ["prompts.yaml"]


def test_functions_of_installed_modules_are_known_by_their_files() -> None:
    (name, files) = plain({"by": json.dumps}, {"by": "/nowhere/json.dumps"})["by"]
    assert name == "json.dumps"
    assert "__init__.py" in dict(files)
    (name, version) = plain(len, "/nowhere/builtins.len")
    assert name == "builtins.len"
    assert "3." in version
    assert plain([1, "a", None, print]) == [1, "a", None, "builtins.print"]
