"""`ledger merge`: what it prints, and how it ends."""

from __future__ import annotations

from pathlib import Path

from backfire.records import Prompt, Response
from backfire.store import Ledger
from running import invoke


def written(path: Path, text: str) -> Path:
    prompt = Prompt.of("Why?")
    with Ledger(path) as ledger:
        ledger.put_prompts([prompt])
        ledger.put_responses([Response("request", prompt.id, "model", "self", text, "eos", 1)])
    return path


def test_parts_are_counted_and_a_conflict_is_an_error_until_it_is_decided(tmp_path: Path) -> None:
    parts = [written(tmp_path / "a.db", "one"), written(tmp_path / "b.db", "two")]
    into = tmp_path / "into.db"
    done = invoke(["ledger", "merge", parts[0], "--into", into])
    assert (done.exit_code, "1 of 1 new" in done.stdout) == (0, True)
    refused = invoke(["ledger", "merge", *parts, "--into", into])
    assert refused.exit_code == 2
    assert "b.db has other versions of 1 responses" in refused.stderr
    assert "--conflicts first keeps what" in refused.stderr
    decided = invoke(["ledger", "merge", *parts, "--into", into, "--conflicts", "first"])
    assert decided.exit_code == 0
    assert "has other versions of these and keeps them: responses 1; such as request" in decided.stderr
    with Ledger(into) as ledger:
        assert ledger.answered(["request"])["request"].text == "one"


def test_a_ledger_is_not_merged_into_itself(tmp_path: Path) -> None:
    part = written(tmp_path / "a.db", "one")
    done = invoke(["ledger", "merge", part, "--into", part])
    assert done.exit_code == 2
    assert "each needs a file of its own" in done.stderr
