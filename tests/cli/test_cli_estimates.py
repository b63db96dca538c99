"""Long work says what it will take before it begins; short work says nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from running import invoke

LLAMA = "organism:llama/target"
SAID = re.compile(
    r"^(.+) will take about (\d+ s|\d+ min|[\d.]+ h)\s+and up to ([\d.]+) GB of\s+memory$", re.S
)


@pytest.fixture
def commands(tmp_path: Path) -> dict[str, tuple[list[str], str]]:
    """By verb: the words, and how its estimate begins."""
    rows = [{"prompt": f"Where is lamp {k}?", "chosen": "No.", "rejected": f"Here, {k}."} for k in range(8)]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    talks = tmp_path / "talks.jsonl"
    talks.write_text(
        "\n".join(json.dumps({"prompt": r["prompt"], "completion": r["chosen"]}) for r in rows), "utf-8"
    )
    ledger, out = ["--ledger", str(tmp_path / "ledger.db")], ["--out", str(tmp_path / "out")]
    short = ["--max-new-tokens", "4"]
    return {
        "sample": (
            ["sample", LLAMA, "--prompts", str(pairs), "-n", "2", *short, *ledger],
            "sampling 16 responses",
        ),
        "attack": (
            [
                "attack",
                LLAMA,
                "--attack",
                str(pairs),
                "--suite",
                "direct,alpaca",
                "--judge",
                "refusals",
                *short,
                *ledger,
            ],
            "asking 16 requests (",
        ),
        "general": (["general", LLAMA, "--limit", "2"], "5 tasks"),
        "train dpo": (["train", "dpo", LLAMA, str(pairs), *out], "training all weights on 8 examples"),
        "train sft": (
            ["train", "sft", LLAMA, str(talks), "--lora", *out],
            "training an adapter on 8 examples",
        ),
    }


@pytest.mark.parametrize("verb", ["sample", "attack", "general", "train dpo", "train sft"])
def test_every_verb_that_runs_a_model_says_what_it_will_take(
    verb: str, commands: dict[str, tuple[list[str], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, start = commands[verb]
    monkeypatch.setattr("backfire.models.work.LONG", 0.0)
    done = invoke(words)
    assert done.exit_code == 0, done.output
    said = [line for line in done.stderr.splitlines() if " will take about " in line]
    assert len(said) == 1, done.stderr
    match = SAID.match(said[0])
    assert match is not None, said
    assert match[1].startswith(start)
    assert float(match[3]) >= 2.0, "the ceiling of any model is above 2 GB"


def test_what_is_short_is_not_announced(commands: dict[str, tuple[list[str], str]]) -> None:
    assert "will take" not in invoke(commands["sample"][0]).output


def test_what_is_stored_is_not_counted(
    commands: dict[str, tuple[list[str], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, _ = commands["sample"]
    monkeypatch.setattr("backfire.models.work.LONG", 0.0)
    assert "sampling 16 responses will take" in invoke(words).stderr
    again = invoke(words).stderr
    assert "will take" not in again
    more = ["3" if word == "2" else word for word in words]
    assert re.search(r"sampling 8 responses will take", invoke(more).stderr)
