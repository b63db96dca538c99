"""Scoring: each score once, by response id, resumable."""

from __future__ import annotations

import pytest

from backfire.errors import InputError
from backfire.models import open_reward_model
from backfire.records import Prompt, given_response
from backfire.responses import score
from backfire.store import Ledger

PROMPTS = {p.id: p for p in (Prompt.of(f"question {k} " * (1 + k % 5)) for k in range(20))}
RESPONSES = [given_response(p, who, f"{who} says {p.text}") for p in PROMPTS.values() for who in "ab"]


@pytest.fixture(scope="module")
def judge(tiny_reward):
    return open_reward_model(tiny_reward)


def test_scores_join_by_response_id(judge, tmp_path):
    seen = []
    with Ledger(tmp_path / "ledger.db") as ledger:
        found = score(
            judge, PROMPTS, RESPONSES, ledger=ledger, batch_size=2, progress=lambda *at: seen.append(at)
        )
        assert ledger.scores(judge.id, [r.id for r in RESPONSES]) == found
    assert list(found) == [r.id for r in RESPONSES]
    assert seen == [(16, 40), (32, 40), (40, 40)]
    for response in RESPONSES[::7]:
        alone = judge.score([(PROMPTS[response.prompt_id], response.text)])[0]
        assert found[response.id] == pytest.approx(alone, abs=1e-4)


def test_a_stopped_run_goes_on_and_ends_the_same(judge, tmp_path):
    with Ledger(tmp_path / "whole.db") as ledger:
        whole = score(judge, PROMPTS, RESPONSES, ledger=ledger, batch_size=2)

    def stop(done, total):
        if done > 16:
            raise KeyboardInterrupt

    with Ledger(tmp_path / "stopped.db") as ledger:
        with pytest.raises(KeyboardInterrupt):
            score(judge, PROMPTS, RESPONSES, ledger=ledger, batch_size=2, progress=stop)
        assert len(ledger.scores(judge.id, list(whole))) == 32
        assert score(judge, PROMPTS, RESPONSES, ledger=ledger, batch_size=2) == whole


def test_stored_scores_are_not_computed_again(judge, tmp_path, monkeypatch):
    with Ledger(tmp_path / "ledger.db") as ledger:
        first = score(judge, PROMPTS, RESPONSES, ledger=ledger)
        monkeypatch.setattr(judge, "score", lambda *a, **k: pytest.fail("scored again"))
        assert score(judge, PROMPTS, RESPONSES + RESPONSES[:3], ledger=ledger) == first


def test_a_response_without_its_prompt(judge, tmp_path):
    with (
        Ledger(tmp_path / "ledger.db") as ledger,
        pytest.raises(InputError, match="40 responses answer prompts"),
    ):
        score(judge, {}, RESPONSES, ledger=ledger)
