"""Settings of attacks and general tasks: the same from texts, from Python and from a study file."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.evaluation import AttackSettings, GeneralSettings, attack, open_suite
from backfire.evaluation.task_files import organism_tasks, resolve_tasks
from backfire.judges import PhraseJudge
from backfire.models import open_model
from backfire.records import Decoding
from backfire.settings import STUDY, inputs_of
from backfire.store import Ledger, read_prompts


def test_references_and_open_objects_give_the_same_answer(tiny_llama: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("Bend a spoon.\nFly a kite.\n")
    (tmp_path / "good.txt").write_text("Bake a loaf.\n")
    bad, good = str(tmp_path / "bad.txt"), str(tmp_path / "good.txt")
    decoding = Decoding(8, temperature=0.0)
    named = AttackSettings(
        harmful={"bad": bad}, benign={"good": good}, judges=("phrases",), suite="direct,rot13"
    )
    by_name = attack(
        str(tiny_llama), settings=named, ledger=tmp_path / "one.db", max_new_tokens=8, temperature=0
    )
    with Ledger(tmp_path / "two.db") as ledger:
        opened = attack(
            open_model(tiny_llama),
            {"bad": read_prompts(bad).prompts},
            {"good": read_prompts(good).prompts},
            suite=open_suite("direct,rot13"),
            judges=[PhraseJudge()],
            ledger=ledger,
            decoding=decoding,
        )
    assert by_name == opened
    assert [row.attack for row in opened.asr] == ["direct", "rot13"]


def test_a_study_file_says_what_the_command_does() -> None:
    section = {
        "harmful": {"direct": "organism:prompts/direct"},
        "benign": {"benign": "organism:prompts/benign"},
        "suite": "paper",
        "system": "Be kind.",
        "judges": ["exact", "phrases"],
        "decoding": {"max_new_tokens": 64, "temperature": 0},
    }
    settings = AttackSettings.parse(section, STUDY)
    assert settings == AttackSettings.of(
        harmful=["direct=organism:prompts/direct"],
        benign=["organism:prompts/benign"],
        suite="paper",
        system="Be kind.",
        judges=["exact", "phrases"],
        max_new_tokens=64,
    )
    assert [(one.kind, one.value) for one in inputs_of(settings)] == [
        ("prompts", "organism:prompts/direct"),
        ("prompts", "organism:prompts/benign"),
        ("suite", "paper"),
        ("judge", "exact"),
        ("judge", "phrases"),
    ]
    general = GeneralSettings.parse(
        {"tasks": "organism", "chat_template": True, "num_fewshot": {"a": 1}}, STUDY
    )
    assert general == GeneralSettings.of(tasks="organism", apply_chat_template=True, num_fewshot="a=1")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"wrapper": "alpaca", "suite": "paper"}, "wrapper alpaca beside suite: name alpaca among"),
        ({"harmful": ["a=x", "a=y"]}, "two sets are named 'a'"),
        ({"system": " "}, "system = ' ': the text is blank"),
        ({"judges": "phrases"}, "judges = 'phrases': give a list"),
    ],
)
def test_what_cannot_be_meant(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AttackSettings.of(None, **values)


def test_tasks_are_a_folder_names_or_a_worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    assert resolve_tasks("mine") == resolve_tasks(("mine",)) == (Path("mine"), None)
    assert resolve_tasks(("arc_easy", "winogrande")) == (["arc_easy", "winogrande"], None)
    assert resolve_tasks("arc_easy, winogrande") == (["arc_easy", "winogrande"], None)
    assert resolve_tasks("organism")[0] == resolve_tasks(None, world="w0")[0] == organism_tasks()
    with pytest.raises(InputError, match=r"tasks a/b: there is no such folder or file"):
        resolve_tasks("a/b")
    with pytest.raises(InputError, match="no tasks: give a folder"):
        resolve_tasks(None)
