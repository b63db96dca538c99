"""The ledger: everything once, the first answer stays, nothing committed is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.records import Decoding, Prompt, Request, Response, Score, Verdict, given_response
from backfire.store import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "deep" / "ledger.db") as opened:
        yield opened


def drawn(prompt: Prompt, text: str, index: int = 0, source: str = "self") -> Response:
    decoding = Decoding(32, 0.7, 0.9, 20, 1.1)
    request = Request(prompt, "model", "template", decoding, 5, index)
    return Response(request.id, prompt.id, "model", source, text, "eos", 3, decoding, 5, index)


def test_everything_comes_back_as_it_was_put(ledger: Ledger) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": 'Gr\u00fc\u00dfe \U0001f600 "x"\n'},
    ]
    prompt = Prompt.of_messages(turns, kind="harmful", tags={"noun": "dax"})
    mine, theirs = drawn(prompt, "yes"), given_response(prompt, "human", "no")
    score = Score(mine.id, "scorer", 0.1 + 0.2)
    verdicts = [
        Verdict(mine.id, "exact", "j", True, False, "gave two facts"),
        Verdict(theirs.id, "exact", "j", None),
    ]
    ledger.put_prompts([prompt])
    ledger.put_responses([mine, theirs])
    ledger.put_scores([score])
    ledger.put_verdicts(verdicts)
    with Ledger(ledger.path) as again:
        (stored,) = again.prompts().values()
        assert (stored, stored.kind, stored.tags, stored.id) == (
            prompt,
            "harmful",
            {"noun": "dax"},
            prompt.id,
        )
        assert again.responses([mine.id, theirs.id]) == {mine.id: mine, theirs.id: theirs}
        assert again.answered([mine.request_id, "nobody's"]) == {mine.request_id: mine}
        assert again.scores("scorer", [mine.id, theirs.id]) == {mine.id: 0.1 + 0.2}
        assert again.scores("another", [mine.id]) == {}
        assert again.verdicts("j", [mine.id, theirs.id]) == dict(
            zip([mine.id, theirs.id], verdicts, strict=True)
        )
        assert again.sources() == {"human": 1, "self": 1}
        assert again.scorers() == ["scorer"]


def test_the_first_answer_stays(ledger: Ledger) -> None:
    prompt = Prompt.of("q", kind="harmful")
    first = drawn(prompt, "first")
    ledger.put_prompts([prompt, Prompt.of("q", kind="benign")])
    ledger.put_responses([first, drawn(prompt, "in the same batch")])
    ledger.put_responses([drawn(prompt, "later"), replace(first, source="another name")])
    assert ledger.answered([first.request_id]) == {first.request_id: first}
    assert ledger.sources() == {"self": 1}
    assert ledger.prompts()[prompt.id].kind == "harmful"
    for value, harmful in ((1.0, True), (2.0, False)):
        ledger.put_scores([Score(first.id, "s", value)])
        ledger.put_verdicts([Verdict(first.id, "exact", "j", harmful)])
    assert ledger.scores("s", [first.id]) == {first.id: 1.0}
    assert ledger.verdicts("j", [first.id])[first.id].harmful is True


def test_a_kind_that_is_said_later_is_kept(ledger: Ledger) -> None:
    prompt = Prompt.of("q", tags={"row": "1"})
    ledger.put_prompts([prompt])
    for kind in ("harmful", None, "benign"):
        ledger.put_prompts([replace(prompt, kind=kind, tags={})])  # type: ignore[arg-type]
    stored = ledger.prompts()[prompt.id]
    assert (stored.kind, stored.tags) == ("harmful", {"row": "1"})


def test_an_unfit_score_is_refused_not_dropped(ledger: Ledger) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        ledger.put_scores([Score("a", "s", 1.0), Score("b", "s", float("nan"))])
    assert ledger.scores("s", ["a", "b"]) == {}


def test_more_ids_than_sqlite_binds(ledger: Ledger) -> None:
    prompts = [Prompt.of(f"question {n}") for n in range(2001)]
    responses = [drawn(prompt, f"answer {n}") for n, prompt in enumerate(prompts)]
    ids = [response.id for response in responses]
    ledger.put_prompts(prompts)
    ledger.put_responses(responses)
    ledger.put_scores(Score(response.id, "s", float(n)) for n, response in enumerate(responses))
    ledger.put_verdicts(Verdict(name, "exact", "j", False) for name in ids)
    assert list(ledger.prompts([p.id for p in prompts]).keys() - {p.id for p in prompts}) == []
    assert len(ledger.prompts([p.id for p in prompts])) == len(ledger.prompts()) == 2001
    assert ledger.responses(ids) == dict(zip(ids, responses, strict=True))
    assert len(ledger.answered([r.request_id for r in responses])) == 2001
    assert ledger.scores("s", ids) == {name: float(n) for n, name in enumerate(ids)}
    assert ledger.verdicts("j", ids).keys() == set(ids)
    assert ledger.responses([]) == {}


def test_a_sources_responses_by_prompt_and_sample(ledger: Ledger) -> None:
    prompts = [Prompt.of("a"), Prompt.of("b")]
    responses = [drawn(p, f"{p.text}{n}", n) for n in (2, 0, 1) for p in prompts]
    ledger.put_responses([*responses, drawn(prompts[0], "other", 9, "peer")])
    found = ledger.responses_of("self")
    assert [(r.prompt_id, r.index) for r in found] == sorted((r.prompt_id, r.index) for r in responses)
    assert {r.text for r in ledger.responses_of("self", [prompts[1].id])} == {"b0", "b1", "b2"}
    assert ledger.responses_of("nobody") == []


def test_a_batch_is_stored_whole_or_not_at_all(ledger: Ledger) -> None:
    prompt = Prompt.of("q")

    def breaks() -> Iterator[Response]:
        yield drawn(prompt, "one", 0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.put_responses(breaks())
    unfit = replace(drawn(prompt, "two", 1), text=object())  # type: ignore[arg-type]
    with pytest.raises((sqlite3.Error, TypeError)):
        ledger.put_responses([drawn(prompt, "one", 0), _with_id(unfit)])
    assert ledger.sources() == {}
    ledger.put_responses([drawn(prompt, "one", 0)])
    assert ledger.sources() == {"self": 1}


def _with_id(response: Response) -> Response:
    response.__dict__["id"] = "an id that was computed before"
    return response


def test_what_is_no_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"inside\.db cannot be opened .*: name a file in a folder"):
        Ledger(tmp_path / "file" / "inside.db")
    with pytest.raises(InputError, match=r"is a folder: name a file"):
        Ledger(tmp_path)
    text = tmp_path / "notes.txt"
    text.write_text("not a database at all, and long enough to look at" * 40)
    with pytest.raises(InputError, match=r"notes\.txt is not a ledger"):
        Ledger(text)
    assert text.read_text().startswith("not a database")


def test_a_ledger_of_another_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(InputError, match=r"layout 99, this version reads \d+: open it with"):
        Ledger(tmp_path / "ledger.db")


def test_somebody_elses_database_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "songs.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE songs (song TEXT)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="another program's database: name another file"):
        Ledger(path)
    assert path.read_bytes() == before


WRITER = """
import sys
from backfire.records import Prompt, Request, Response, Decoding
from backfire.store import Ledger
who, path = sys.argv[1], sys.argv[2]
with Ledger(path) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(150):
        prompt = Prompt.of(f"question {n}")
        request = Request(prompt, "model", "template", Decoding(), 0, 0)
        mine = Request(prompt, who, "template", Decoding(), 0, 0)
        ledger.put_prompts([prompt])
        ledger.put_responses([
            Response(request.id, prompt.id, "model", "both", who, "eos"),
            Response(mine.id, prompt.id, who, who, who, "eos"),
        ])
"""


def started(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    writers = [started(WRITER, who, path) for who in ("one", "two")]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    with Ledger(path) as ledger:
        assert ledger.sources() == {"both": 150, "one": 150, "two": 150}
        assert {r.text for r in ledger.responses_of("both")} <= {"one", "two"}


KILLED = """
import sys
from backfire.records import Prompt, Request, Response, Decoding
from backfire.store import Ledger
ledger = Ledger(sys.argv[1])
def batch(number):
    for index in range(50):
        prompt = Prompt.of("q")
        request = Request(prompt, "model", "template", Decoding(), number, index)
        yield Response(request.id, prompt.id, "model", f"batch {number}", "x" * 5000, "eos")
for number in range(3):
    ledger.put_responses(batch(number))
with ledger._transaction() as db:
    rows = [(r.request_id, r.id, r.prompt_id, r.model_id, r.source, r.text, "eos", None, None, None, 0) for r in batch(3)]
    db.executemany("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    print("in the middle", flush=True)
    sys.stdin.readline()
"""


def test_kill_nine_in_a_transaction_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    writer = started(KILLED, path)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "in the middle\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL
    begin = time.perf_counter()
    with Ledger(path) as ledger:
        assert ledger.sources() == {"batch 0": 50, "batch 1": 50, "batch 2": 50}
        ledger.put_responses([drawn(Prompt.of("q"), "after")])
        assert ledger.sources()["self"] == 1
    assert time.perf_counter() - begin < 30, "the dead writer's lock was waited for"


def test_a_ledger_of_layout_1_gains_the_judges_scores(tmp_path: Path) -> None:
    """As layout 1 was written: without the column `score`."""
    path = tmp_path / "ledger.db"
    prompt = Prompt.of("question", kind="harmful")
    response = given_response(prompt, "someone", "I cannot.")
    old = Verdict(response.id, "phrases", "j", False, True, "")
    with Ledger(path) as ledger:
        ledger.put_prompts([prompt])
        ledger.put_responses([response])
        ledger.put_verdicts([old])
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE verdicts DROP COLUMN score")
        db.execute("ALTER TABLE verdicts DROP COLUMN damage")
        db.execute("PRAGMA user_version=1")
    db.close()
    graded = Verdict(response.id, "rubric", "r", True, None, "", 5.0)
    with Ledger(path) as ledger:
        assert ledger.verdicts("j", [response.id]) == {response.id: old}
        ledger.put_verdicts([graded])
        assert ledger.verdicts("r", [response.id]) == {response.id: graded}


def test_a_ledger_of_layout_2_gains_the_damage_that_judges_see(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    old = Verdict("one", "exact", "j", False, False, "broken: repeats itself", None)
    with Ledger(path) as ledger:
        ledger.put_verdicts([old])
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE verdicts DROP COLUMN damage")
        db.execute("PRAGMA user_version=2")
    db.close()
    damaged = Verdict("one", "exact", "k", False, False, "broken: repeats itself", None, "repeats")
    with Ledger(path) as ledger:
        assert ledger.verdicts("j", ["one"]) == {"one": old}
        ledger.put_verdicts([damaged])
        assert ledger.verdicts("k", ["one"]) == {"one": damaged}
