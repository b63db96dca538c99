"""The entry point: fast help, exit codes, clean errors, and what an interruption leaves."""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from backfire.cli import help_store
from backfire.cli.collecting import Sample, ScoreStored
from backfire.cli.entries import COMMANDS
from backfire.cli.help_page import about_of
from backfire.cli.parsing import parse
from backfire.cli.repairing import RepairDataset
from backfire.repairing import Auto
from running import invoke

BACKFIRE = [sys.executable, "-m", "backfire"]


def spawn(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BACKFIRE, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, **options
    )


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    before = os.times()
    found = spawn("--help")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 3, "seconds of computing, which a busy machine does not stretch"
    assert found.returncode == 0
    assert "sample" in found.stdout
    assert "--policy-pairs" in spawn("audit", "--help").stdout
    heavy = [
        "torch",
        "transformers",
        "datasets",
        "trl",
        "sklearn",
        "scipy",
        "lm_eval",
        "altair",
        "numpy",
        "pydantic",
        "yaml",
    ]
    code = f"""
import sys
from backfire.cli import main
for words in (["--help"], ["audit", "--help"], ["train", "--help"]):
    try:
        main(words)
    except SystemExit:
        pass
print([m for m in {heavy} if m in sys.modules])
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.splitlines()[-1] == "[]"


def test_a_stored_help_of_other_files_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (audit,) = [entry for entry in COMMANDS if entry.name == "audit"]
    stored = help_store.stored("audit")
    assert stored is not None, "python scripts/write_cli_docs.py"
    assert stored.text(100) == help_store.made(audit).text(100)
    pages = json.loads(help_store.FILE.read_text(encoding="utf-8"))
    pages["audit"]["usage"] = "Usage: of another version"
    for number in (1, 2):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(pages), encoding="utf-8")
        monkeypatch.setattr(help_store, "FILE", file)
        shown = invoke(["audit", "--help"]).stdout.splitlines()[0]
        assert shown == ("Usage: of another version", "Usage: backfire audit [OPTIONS] DATASET")[number - 1]
        pages["audit"]["sources"]["auditing/settings.py"] += 1


def test_the_list_of_commands_says_what_their_help_says() -> None:
    for entry in COMMANDS:
        if ":" in entry.target:
            assert entry.about == about_of(entry.load()), entry.name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["convrt"], "backfire has no command convrt: did you mean convert?"),
        (["train", "dop"], "backfire train has no command dop: did you mean dpo?"),
        (["show", "x", "--polcy", "y"], "backfire show has no option --polcy: did you mean --policy?"),
        (["recipes", "--hlp"], "did you mean --help?"),
        (["show", "x", "--wibble"], "no option --wibble: `backfire show --help` lists the options"),
        (["show", "x", "y", "--policy", "z"], "backfire show has no place for 'y'"),
        (["show", "x", "--policy"], "--policy has no value: give one after it"),
        (["show"], "DATASET is missing: give it; --policy is missing: give it"),
    ],
)
def test_a_word_without_a_place_is_one_line_with_a_suggestion(words: list[str], said: str) -> None:
    found = invoke(words)
    assert found.exit_code == 2
    assert said in found.stderr
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1


def test_values_may_begin_with_a_hyphen_or_a_tilde_and_options_repeat() -> None:
    words = ["my.db", "--source", "-x", "--source=a=b", "--ledger", "~l.db", "--max-length", "9"]
    command = parse(ScoreStored, [*words, "--max-length=7"], "backfire score")
    assert isinstance(command, ScoreStored)
    assert command.source == ("-x", "a=b")
    assert command.ledger == Path("~l.db")
    assert command.settings.opening.max_length == 7, "of an option that takes one value the last is meant"
    repair = parse(
        RepairDataset, ["x", "--out", "-y", "--method", "auto", "--target", "-2.5"], "backfire repair"
    )
    assert isinstance(repair, RepairDataset)
    assert (repair.out, repair.how) == (Path("-y"), Auto(target=-2.5))
    assert parse(
        Sample, ["-n", "3", "--prompts", "p", "--ledger", "l", "--", "-m"], "backfire sample"
    ).model_dump(include={"model"}) == {"model": "-m"}


def test_the_version() -> None:
    from importlib.metadata import version

    assert spawn("--version").stdout == f"backfire {version('backfire')}\n"


def test_a_wrong_input_is_one_line_and_code_2(tmp_path: Path) -> None:
    found = spawn(
        "sample", "./nowhere", "--prompts", "none.jsonl", "--ledger", tmp_path / "l.db", cwd=tmp_path
    )
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr.startswith("error: there is no file none.jsonl")
    assert found.stderr.count("\n") == 1


def test_a_wrong_option_is_code_2() -> None:
    assert invoke(["audit", "x.jsonl", "--contrls", "3"]).exit_code == 2


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ModuleNotFoundError("no", name="trl.trainer"), "pip install 'backfire[train]'"),
        (sqlite3.OperationalError("disk I/O error"), "the ledger cannot be used (disk I/O error)"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "/x/y: Permission denied"),
    ],
)
def test_what_the_machine_refuses_is_a_clean_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, raised: Exception, said: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("backfire.prompts.prompts_of", refuse)
    found = invoke(["sample", "x", "--prompts", "p", "--ledger", str(tmp_path / "l.db")])
    assert found.exit_code == 2
    assert found.stderr.startswith("error: ")
    assert said in found.stderr


def test_a_defect_of_the_program_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def break_(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("backfire.prompts.prompts_of", break_)
    found = invoke(["sample", "x", "--prompts", "p", "--ledger", str(tmp_path / "l.db")])
    assert isinstance(found.exception, ZeroDivisionError)


def test_failures_are_counted_with_their_reason_and_code_1(tmp_path: Path, tiny_llama: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Short one.\n" + "long " * 400 + "\n")
    ledger = tmp_path / "l.db"
    command = ["sample", tiny_llama, "--prompts", prompts, "--ledger", ledger, "--max-new-tokens", 4, "-n", 2]
    found = invoke([str(a) for a in command])
    assert found.exit_code == 1
    assert "2 responses to 1 prompts" in found.stdout
    assert "2 without a response" in found.stderr
    assert "exceed the context of 512" in found.stderr


def test_a_source_that_was_stored_under_another_name_is_named(tmp_path: Path, tiny_llama: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("One.\nTwo.\n")
    command = [
        "sample",
        tiny_llama,
        "--prompts",
        prompts,
        "--ledger",
        tmp_path / "l.db",
        "--max-new-tokens",
        4,
    ]
    first = invoke([*map(str, command), "--source", "mine"])
    assert "2 of source 'mine'" in first.stdout
    again = invoke([*map(str, command), "--source", "yours"])
    assert again.exit_code == 0
    assert "2 were stored before as 'mine'" in again.stderr


def test_an_interrupted_command_keeps_its_batches_and_goes_on(tmp_path: Path, tiny_llama: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"Tell me about thing {n}.\n" for n in range(400)))
    ledger = tmp_path / "l.db"
    command = [*BACKFIRE, "sample", str(tiny_llama), "--prompts", str(prompts), "--ledger", str(ledger)]
    command += ["--max-new-tokens", "40", "--batch-size", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while stored(ledger) < 4 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert f"interrupted: every finished batch is in {ledger}" in " ".join(errors.split())
    assert "Traceback" not in errors
    kept = stored(ledger)
    assert 4 <= kept < 400
    assert kept % 2 == 0


def stored(ledger: Path) -> int:
    if not ledger.is_file():
        return 0
    try:
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=5) as db:
            (count,) = db.execute("SELECT COUNT(*) FROM responses").fetchone()
            return int(count)
    except sqlite3.OperationalError:
        return 0
