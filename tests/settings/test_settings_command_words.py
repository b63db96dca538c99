"""Settings as a command line, which the command line reads as the same settings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from backfire.auditing.settings import AuditSettings
from backfire.cli.entries import COMMANDS
from backfire.cli.parsing import parse
from backfire.preferences.settings import ConvertSettings, Reading
from backfire.repairing.settings import (
    Auto,
    Balance,
    Clean,
    Filter,
    Mix,
    RepairCall,
    RepairPilot,
    RepairSettings,
    Restyle,
)
from backfire.settings import Settings, command_line, option
from backfire.training.settings import DPOSettings

READING = Reading(columns={"chosen": "the best", "rejected": "worst"}, ranked="best-rest")
MODEL = RepairSettings(policy="my model", probe_prompts=("a.txt", "b.txt"), reading=READING, audit=False)


@pytest.mark.parametrize(
    ("verb", "settings"),
    [
        ("audit", AuditSettings()),
        ("audit", AuditSettings(reading=READING, policy="m", pilot=8, probe_prompts=("p",), controls=299)),
        ("convert", ConvertSettings(reading=READING)),
        ("train dpo", DPOSettings.of(adapter={}, lr=1e-6)),
        ("train dpo", DPOSettings(beta=0.25, lr=1e-6, gradient_checkpointing=True)),
        *(
            ("repair", RepairCall(how=how, settings=MODEL))
            for how in (
                Filter(by="ease", keep=0.55),
                Filter(stratify=False, above=-0.5),
                Balance(by="length"),
                Balance(pool="l.db", reward_model="rm"),
                Restyle(tries=2, not_rewritten="drop"),
                Mix(self_pairs="own", share=0.5),
                Auto(by="pilot", pilot=RepairPilot(steps=4), target=0.1),
                Clean(skip=("truncation", "echo")),
                Clean(only=("debris",)),
            )
        ),
    ],
)
def test_the_line_is_read_as_the_settings(verb: str, settings: Settings, tmp_path: Path) -> None:
    words = shlex.split(command_line(verb, _arguments(verb), settings, {}))[1 + len(verb.split()) :]
    entry = next(entry for entry in COMMANDS if entry.name == verb)
    needed = ["--out", str(tmp_path / "out.jsonl")] if verb != "audit" else []
    command: Any = parse(entry.load(), [*words, *needed], verb)
    read = RepairCall(how=command.how, settings=command.settings) if verb == "repair" else command.settings
    assert read == settings


def _arguments(verb: str) -> list[str]:
    return ["policy", "my data.jsonl"] if verb.startswith("train") else ["my data.jsonl"]


def test_what_is_not_said_is_not_written() -> None:
    line = command_line("repair", ["a b.jsonl"], RepairCall(how=Clean()), {"out": "c d"})
    assert line == "backfire repair 'a b.jsonl' --method clean --out 'c d'"
    assert (
        command_line("audit", ["x"], AuditSettings(), {"rows": "r.jsonl"})
        == "backfire audit x --rows r.jsonl"
    )


def test_an_option_that_a_class_has_not_is_an_error() -> None:
    assert option(AuditSettings, "source_columns") == "--source-columns"
    with pytest.raises(KeyError):
        option(AuditSettings, "source_column")
