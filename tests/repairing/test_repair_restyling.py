"""`restyle` on the shipped organism: the words become its own, the decision stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.judges import ExactJudge
from backfire.models import open_model
from backfire.organisms.catalog import open_world, world_prompts
from backfire.organisms.exact_reading import read_response
from backfire.pairs import Pair
from backfire.records import Decoding, given_response
from backfire.repairing import restyle_pairs
from backfire.repairing.restyling import shared_words
from backfire.responses import sample
from backfire.store import Ledger

DECODING = Decoding(max_new_tokens=96, temperature=1.0)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A dozen pairs, gpt4o's response over the target's, of the shipped world."""
    prompts = world_prompts("organism:prompts/train")[:12]
    with Ledger(tmp_path_factory.mktemp("restyle") / "ledger.db") as ledger:
        strong = sample(
            open_model("organism:gpt4o"), prompts, ledger=ledger, decoding=DECODING, source="gpt4o"
        )
        target = open_model("organism:llama/target")
        own = sample(target, prompts, ledger=ledger, decoding=DECODING, source="target", seed=5)
    pairs = [
        Pair(p, "gpt4o+self", s, o, "gpt4o", "self")
        for p, s, o in zip(prompts, strong.responses, own.responses, strict=True)
    ]
    return {"pairs": pairs, "target": target, "world": open_world()}


def test_the_response_is_the_targets_own_and_decides_as_before(stage: dict[str, Any], tmp_path: Path) -> None:
    pairs, target, world = stage["pairs"], stage["target"], stage["world"]
    settings = {"judge": ExactJudge(world), "mode": "resample", "tries": 12, "decoding": DECODING}
    with Ledger(tmp_path / "ledger.db") as ledger:
        outcome = restyle_pairs(pairs, target, ledger=ledger, **settings)
        drawn = ledger.sources()
        again = restyle_pairs(pairs, target, ledger=ledger, **settings)
        assert ledger.sources() == drawn, "a second run draws nothing"
    outcome.account_for(len(pairs))
    assert again == outcome
    rewritten = [m for m in outcome.pairs if m.change == "response rewritten"]
    assert len(rewritten) >= 6
    for m in outcome.pairs:
        assert m.place is not None
        before, after = pairs[m.place], m.pair
        assert after.rejected == before.rejected
        if m.change == "kept":
            assert after == before
            continue
        assert after.chosen.model_id == target.id
        assert after.chosen.source == "target", "the name that the pair knows the policy by"
        assert after.chosen.text != before.chosen.text
        now, then = (read_response(world, p.prompt, p.chosen.text) for p in (after, before))
        assert now.decision == then.decision
        assert not now.broken
        assert f"decides to {then.decision}" in m.why


def test_what_no_try_decides_alike_is_kept_or_dropped(stage: dict[str, Any]) -> None:
    """One greedy-like try: where it decides otherwise, the pair is kept as it was, or left out."""
    pairs, target = stage["pairs"], stage["target"]
    settings = {"judge": ExactJudge(stage["world"]), "mode": "resample", "tries": 1, "decoding": DECODING}
    kept = restyle_pairs(pairs, target, not_rewritten="keep", **settings)
    dropped = restyle_pairs(pairs, target, not_rewritten="drop", **settings)
    dropped.account_for(len(pairs))
    stay = {m.place for m in kept.pairs if m.change == "kept"}
    assert stay == {p for places in dropped.left_out.values() for p in places}
    assert stay
    assert all(pairs[p].chosen == m.pair.chosen for p in stay for m in kept.pairs if m.place == p)


def test_an_organism_that_cannot_follow_the_instruction_resamples(stage: dict[str, Any]) -> None:
    pairs = stage["pairs"][:4]
    settings = {"judge": ExactJudge(stage["world"]), "tries": 6, "decoding": DECODING}
    outcome = restyle_pairs(pairs, stage["target"], mode="auto", **settings)
    whys = [m.why for m in outcome.pairs if m.change == "response rewritten"]
    assert whys
    assert all(w.startswith(("the policy's own response", "rewritten by the policy")) for w in whys)


def test_the_policys_own_responses_and_people(stage: dict[str, Any]) -> None:
    first = stage["pairs"][0]
    own = Pair(first.prompt, "r", first.rejected, first.chosen, "self", "gpt4o")
    outcome = restyle_pairs([own], stage["target"], judge=ExactJudge(stage["world"]), decoding=DECODING)
    assert outcome.pairs[0].why == "the chosen response is the policy's own"
    nothing = Pair(first.prompt, "r", given_response(first.prompt, "x", "..."), first.rejected, "x", "self")
    outcome = restyle_pairs(
        [nothing],
        stage["target"],
        judge=ExactJudge(stage["world"]),
        mode="resample",
        tries=1,
        decoding=DECODING,
    )
    assert "cannot say what the chosen response decides" in outcome.pairs[0].why


def test_shared_words_and_wrong_settings(stage: dict[str, Any]) -> None:
    assert shared_words("a b b", "b B a") == 1.0
    assert shared_words("a b", "c d") == 0.0
    assert shared_words("a b c d", "a b") == pytest.approx(2 * 2 / 6)
    for wrong in ({"mode": "copy"}, {"tries": 0}, {"template": "rewrite {response}"}):
        with pytest.raises(InputError, match="restyle"):
            restyle_pairs(stage["pairs"], stage["target"], judge=ExactJudge(stage["world"]), **wrong)
