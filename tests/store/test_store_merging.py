"""Merging ledgers: everything once, the same again after a kill, and no conflict without a word."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.records import Prompt, Response, Score, Verdict
from backfire.store import Ledger, merge_ledgers, merging

TABLES = ("prompts", "responses", "scores", "verdicts")


def of(number: int) -> Prompt:
    return Prompt.of(f"Question {number}?", kind="harmful" if number % 2 else None)


def answer(number: int, text: str = "Because.", source: str = "self") -> Response:
    return Response(f"request {number:04}", of(number).id, "model", source, text, "eos", 3)


def written(path: Path, numbers: range) -> Path:
    responses = [answer(number) for number in numbers]
    with Ledger(path) as ledger:
        ledger.put_prompts([of(number) for number in numbers])
        ledger.put_responses(responses)
        ledger.put_scores([Score(r.id, scorer, 0.25) for r in responses for scorer in ("a", "b")])
        ledger.put_verdicts([Verdict(r.id, "exact", "j", None, True) for r in responses])
    return path


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with Ledger(path), sqlite3.connect(path) as db:
        return {table: sorted(db.execute(f"SELECT * FROM {table}"), key=repr) for table in TABLES}


def test_parts_become_one_ledger_and_merging_again_adds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "BATCH", 7)
    parts = [written(tmp_path / "a.db", range(60)), written(tmp_path / "b.db", range(40, 100))]
    whole = written(tmp_path / "whole.db", range(100))
    before = [content(part) for part in parts]
    seen: list[tuple[int, int]] = []
    merged = merge_ledgers(
        parts, tmp_path / "into.db", progress=lambda done, every: seen.append((done, every))
    )
    assert content(tmp_path / "into.db") == content(whole)
    assert [dict(part.added) for part in merged.parts] == [
        {"prompts": 60, "responses": 60, "scores": 120, "verdicts": 60},
        {"prompts": 40, "responses": 40, "scores": 80, "verdicts": 40},
    ]
    assert seen[-1] == (600, 600)
    again = merge_ledgers(parts, tmp_path / "into.db")
    assert sum(part.added.total() for part in again.parts) == 0
    assert content(tmp_path / "into.db") == content(whole)
    assert [content(part) for part in parts] == before


def test_a_kind_that_only_a_part_knows_is_taken_over(tmp_path: Path) -> None:
    for name, kind in (("into", None), ("part", "benign")):
        with Ledger(tmp_path / f"{name}.db") as ledger:
            ledger.put_prompts([Prompt.of("q", kind=kind)])  # type: ignore[arg-type]
    merge_ledgers([tmp_path / "part.db"], tmp_path / "into.db")
    with Ledger(tmp_path / "into.db") as ledger:
        assert [prompt.kind for prompt in ledger.prompts().values()] == ["benign"]


def test_another_response_to_the_same_request_is_an_error_or_a_decision(tmp_path: Path) -> None:
    into, part = written(tmp_path / "into.db", range(3)), tmp_path / "part.db"
    same, other = answer(1, source="another name"), answer(2, "For no reason.")
    with Ledger(part) as ledger:
        ledger.put_prompts([Prompt.of("Question 1?", kind="benign"), of(5)])
        ledger.put_responses([same, other, answer(5)])
        ledger.put_scores([Score(same.id, "a", 0.5), Score(other.id, "a", 0.125)])
        ledger.put_verdicts([Verdict(same.id, "exact", "j", False, True)])
    before = content(into)
    with pytest.raises(
        InputError, match=r"1 prompts, 1 responses, 1 scores, 1 verdicts.*nothing of it was stored"
    ):
        merge_ledgers([part], into)
    assert content(into) == before
    (one,) = merge_ledgers([part], into, conflicts="first").parts
    assert one.conflicts == {"prompts": 1, "responses": 1, "scores": 1, "verdicts": 1}
    assert (one.examples["responses"], one.renamed) == (["request 0002"], 1)
    with Ledger(into) as ledger:
        assert ledger.answered(["request 0002", "request 0005"]) == {
            "request 0002": answer(2),
            "request 0005": answer(5),
        }
        assert ledger.scores("a", [same.id, other.id]) == {same.id: 0.25, other.id: 0.125}
    with Ledger(part) as ledger:
        assert ledger.answered(["request 0002"]) == {"request 0002": other}


def test_two_parts_that_contradict_each_other_are_a_conflict(tmp_path: Path) -> None:
    for name, text in (("a", "one"), ("b", "two")):
        with Ledger(tmp_path / f"{name}.db") as ledger:
            ledger.put_prompts([of(0)])
            ledger.put_responses([answer(0, text)])
    with pytest.raises(InputError, match=r"b\.db has other versions of 1 responses"):
        merge_ledgers([tmp_path / "a.db", tmp_path / "b.db"], tmp_path / "into.db")


KILLED = """
import os, signal, sys
from backfire.store import merge_ledgers, merging
merging.BATCH = 7
def kill(done, every):
    if done > 20:
        os.kill(os.getpid(), signal.SIGKILL)
merge_ledgers(sys.argv[1:-1], sys.argv[-1], progress=kill)
"""


def test_a_merge_that_is_killed_goes_on(tmp_path: Path) -> None:
    part, into = written(tmp_path / "part.db", range(50)), tmp_path / "into.db"
    killed = subprocess.run([sys.executable, "-c", KILLED, part, into], env=dict(os.environ), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert 0 < len(content(into)["prompts"]) < 50
    merge_ledgers([part], into)
    assert content(into) == content(part)


def test_an_older_part_is_read(tmp_path: Path) -> None:
    part = written(tmp_path / "part.db", range(3))
    with sqlite3.connect(part) as db:
        db.execute("ALTER TABLE verdicts DROP COLUMN damage")
        db.execute("PRAGMA user_version=2")
    db.close()
    merge_ledgers([part], tmp_path / "into.db")
    assert content(tmp_path / "into.db") == content(written(tmp_path / "same.db", range(3)))


def test_what_cannot_be_merged_is_named(tmp_path: Path) -> None:
    into = written(tmp_path / "into.db", range(1))
    (tmp_path / "text.db").write_text("no ledger at all, but a text that is long enough to be looked at")
    with pytest.raises(InputError, match=r"there is no ledger .*nowhere\.db"):
        merge_ledgers([tmp_path / "nowhere.db"], into)
    with pytest.raises(InputError, match="into itself"):
        merge_ledgers([into], into)
    with pytest.raises(InputError, match="nothing is to be merged"):
        merge_ledgers([], into)
    with pytest.raises(InputError, match=r"text\.db is not a ledger"):
        merge_ledgers([tmp_path / "text.db"], into)
    assert not (tmp_path / "nowhere.db").exists()
