"""The sampler: each response once, in order, resumable to the byte."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from backfire.errors import InputError, TemplateError
from backfire.models import open_model
from backfire.records import Decoding, Prompt
from backfire.responses import sample
from backfire.store import Ledger

PROMPTS = [Prompt.of("tell me about " + "the sea and " * (k % 7) + str(k)) for k in range(20)]
DECODING = Decoding(max_new_tokens=24, temperature=1.2, top_p=0.95)

SCRIPT = """
import os, signal, sys, threading
sys.path.insert(0, sys.argv[3])
from test_responses_sampler import sample_many
def progress(done, total):
    if done == 24:
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGKILL)).start()
sample_many(sys.argv[1], sys.argv[2], progress)
"""
"""Is killed in the middle of a batch some time after the sixth."""


def sample_many(folder, path, progress=None):
    prompts = [Prompt.of(f"word {k} " * (1 + k % 9)) for k in range(48)]
    with Ledger(path) as ledger:
        sample(open_model(folder), prompts, ledger=ledger, n=2, decoding=Decoding(32), seed=5, batch_size=4,
               progress=progress)  # fmt: skip


@pytest.fixture(scope="module")
def model(tiny_llama):
    return open_model(tiny_llama)


def rows(path: Path) -> list[tuple]:
    with sqlite3.connect(path) as db:
        return [tuple(r) for r in db.execute("SELECT * FROM responses ORDER BY request_id")]


def test_n_responses_to_each_prompt_in_order(model, ledger):
    found = sample(model, PROMPTS, ledger=ledger, n=3, decoding=DECODING, seed=7, batch_size=8)
    assert found.failures == []
    assert [(r.prompt_id, r.index) for r in found.responses] == [(p.id, i) for p in PROMPTS for i in range(3)]
    assert len({r.text for r in found.responses}) > 50
    assert ledger.prompts().keys() == {p.id for p in PROMPTS}
    response = found.responses[4]
    assert (response.source, response.model_id) == (model.name, model.id)
    assert (response.decoding, response.seed, response.index) == (DECODING, 7, 1)
    assert response.stop_reason in ("eos", "length")
    assert response.tokens is not None


def test_a_stored_response_is_not_drawn_again(model, ledger, monkeypatch):
    first = sample(model, PROMPTS, ledger=ledger, n=2, decoding=DECODING, batch_size=8)
    monkeypatch.setattr(model, "generate", lambda batch: pytest.fail("drawn again"))
    assert sample(model, PROMPTS, ledger=ledger, n=2, decoding=DECODING, batch_size=8) == first


def test_decoding_seed_and_n_make_other_requests(model, ledger):
    settings = [(1, DECODING, 0), (1, DECODING, 1), (1, Decoding(24, temperature=0), 0), (2, DECODING, 0)]
    for n, decoding, seed in settings:
        sample(model, PROMPTS[:4], ledger=ledger, n=n, decoding=decoding, seed=seed)
    assert ledger.sources() == {model.name: 16}


def test_a_batch_with_a_missing_answer_is_redone_whole(model, tmp_path):
    with Ledger(tmp_path / "whole.db") as ledger:
        whole = sample(model, PROMPTS, ledger=ledger, n=2, decoding=DECODING, batch_size=8)
    with Ledger(tmp_path / "holed.db") as ledger:
        ledger.put_prompts(PROMPTS)
        ledger.put_responses(whole.responses[::3])
        assert sample(model, PROMPTS, ledger=ledger, n=2, decoding=DECODING, batch_size=8) == whole
    assert rows(tmp_path / "holed.db") == rows(tmp_path / "whole.db")


def test_repeated_prompts_count_once(model, ledger):
    twice = [PROMPTS[0], PROMPTS[1], Prompt.of(PROMPTS[0].text, kind="harmful")]
    found = sample(model, twice, ledger=ledger, n=2, decoding=DECODING)
    assert [r.prompt_id for r in found.responses] == [PROMPTS[0].id] * 2 + [PROMPTS[1].id] * 2


def test_a_prompt_beyond_the_context_fails_with_its_reason(model, ledger):
    seen = []
    long = Prompt.of("long " * 600)
    found = sample(model, [long, *PROMPTS[:3]], ledger=ledger, n=2, decoding=DECODING,
                   progress=lambda *at: seen.append(at))  # fmt: skip
    assert len(found.responses) == 6
    assert [f.request.prompt.id for f in found.failures] == [long.id] * 2
    assert "exceed the context of 512" in found.failures[0].reason
    assert seen[-1] == (8, 8)


def test_no_prompts_no_responses(model, ledger):
    assert sample(model, [], ledger=ledger, decoding=DECODING).responses == []


def test_the_source_may_be_named(model, ledger):
    found = sample(model, PROMPTS[:2], ledger=ledger, decoding=DECODING, source="target")
    assert {r.source for r in found.responses} == {"target"}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"n": 0}, "n = 0: give at least 1"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"decoding": Decoding(max_new_tokens=0)}, "max_new_tokens = 0"),
        ({"decoding": Decoding(temperature=-0.1)}, r"temperature = -0\.1"),
        ({"decoding": Decoding(top_p=0.0)}, r"top_p = 0\.0"),
        ({"decoding": Decoding(top_k=-1)}, "top_k = -1"),
        ({"decoding": Decoding(repetition_penalty=0.0)}, r"repetition_penalty = 0\.0"),
        ({"decoding": Decoding(temperature=float("inf"))}, "temperature = inf"),
        ({"decoding": Decoding(temperature=float("nan"))}, "temperature = nan"),
        ({"decoding": Decoding(repetition_penalty=float("inf"))}, "repetition_penalty = inf"),
        ({"seed": 2**63}, "seed = 9223372036854775808: give"),
        ({"seed": -(2**63) - 1}, "seed = -9223372036854775809"),
    ],
)
def test_settings_out_of_range(model, ledger, bad, message):
    with pytest.raises(InputError, match=message):
        sample(model, PROMPTS, ledger=ledger, **({"decoding": DECODING} | bad))


def test_a_template_error_stores_nothing(tiny_mistral, ledger):
    system = Prompt.of_messages([{"role": "system", "content": "Hm."}, {"role": "user", "content": "Hi"}])
    with pytest.raises(TemplateError, match="refuses"):
        sample(open_model(tiny_mistral), [PROMPTS[0], system], ledger=ledger, decoding=DECODING)
    assert ledger.sources() == {}


def test_killed_in_the_middle_and_resumed_equals_undisturbed(tiny_llama, tmp_path):
    whole, broken = tmp_path / "whole.db", tmp_path / "broken.db"
    command = [sys.executable, "-c", SCRIPT, str(tiny_llama), str(broken), str(Path(__file__).parent)]
    assert subprocess.run(command, check=False, timeout=300).returncode == -signal.SIGKILL
    left = len(rows(broken))
    assert 24 <= left < 96, f"{left} of 96 responses at the kill"
    assert left % 4 == 0, "half a batch was committed"
    sample_many(tiny_llama, broken)
    sample_many(tiny_llama, whole)
    assert rows(broken) == rows(whole)
    assert len(rows(whole)) == 96
