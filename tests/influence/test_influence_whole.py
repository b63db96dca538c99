"""Whole answers on the shipped organisms: planted data move the probes the way that they must."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backfire.errors import InputError
from backfire.influence.margins import Contrast, probe_contrasts
from backfire.influence.pilot import run_pilot
from backfire.influence.predicting import safety_influence_of
from backfire.influence.probes import ProbeSet, ProbeSets
from backfire.influence.shards import shards_of, whole_groups
from backfire.influence.word_cosine import wording_cosine
from influence.hand_probes import pairs, placebo, policy, probe_set


def answer(conversations: list, count: int = 40, **options: object):  # type: ignore[no-untyped-def]
    rows = np.arange(1, len(conversations) + 1)
    sets = ProbeSets(probe_set(count), None, placebo(count))
    return safety_influence_of(policy(), conversations, rows, rows - 1, sets, **options)  # type: ignore[arg-type]


def test_refusals_chosen_and_rejected_are_mirror_images() -> None:
    towards, away = answer(pairs(30)), answer(pairs(30, chosen="comply", rejected="refuse"))
    assert towards.refusal.cosine is not None
    assert away.refusal.cosine is not None
    assert towards.refusal.cosine.low > 0.1
    assert away.refusal.cosine.high < -0.1
    assert towards.cosine == towards.refusal.cosine.value
    assert towards.probes == 40
    assert set(towards.strata) == {"direct", "wrapped"}
    assert towards.epsilon_agrees
    assert away.damage is not None
    assert 0 < away.damage.share < 0.5 <= away.damage.of_damage
    assert towards.wording is not None
    assert away.wording is not None
    assert towards.wording > 0 > away.wording
    assert towards.placebo is not None
    assert towards.placebo.cosine is not None
    assert abs(towards.placebo.cosine.value) < towards.refusal.cosine.low


def test_few_probes_or_little_coverage_give_no_conclusion() -> None:
    few = answer(pairs(40), count=12)
    assert few.cosine is None
    assert few.refusal.undetermined is not None
    assert "fewer than 30" in few.refusal.undetermined
    whole = probe_set(40)
    sets = ProbeSets(ProbeSet("refusal", whole.probes, {"direct": 200, "wrapped": 100}))
    rows = np.arange(1, 31)
    sparse = safety_influence_of(policy(), pairs(30), rows, rows - 1, sets)
    assert sparse.refusal.undetermined is not None
    assert "coverage 0.13" in sparse.refusal.undetermined
    with pytest.raises(InputError, match="no probe"):
        safety_influence_of(
            policy(), pairs(30), rows, rows - 1, ProbeSets(ProbeSet("refusal", (), {"all": 9}))
        )


@pytest.mark.parametrize("parameters", ["lora"])
def test_other_parameters_agree_on_the_sign(parameters: str) -> None:
    found = answer(pairs(40), parameters=parameters)
    assert found.refusal.cosine is not None
    assert found.refusal.cosine.low > 0


def test_adams_metric_agrees_on_the_sign() -> None:
    found = answer(pairs(40), precondition="adam")
    assert found.refusal.cosine is not None
    assert found.refusal.cosine.low > 0
    assert "Adam" in found.parameters


def test_a_pilot_moves_the_margin_and_leaves_the_policy() -> None:
    model = policy()
    before = [p.detach().clone() for p in model.model.parameters()]
    up = run_pilot(model, pairs(40), probe_set(20), steps=3, lr=1e-4, batch_size=16)
    down = run_pilot(
        model, pairs(40, chosen="comply", rejected="refuse"), probe_set(20), steps=3, lr=1e-4, batch_size=16
    )
    assert len(up.margins) == 4
    assert len(up.changes) == 20
    assert np.mean(up.changes) == pytest.approx(up.margin_change)
    chosen_moved, rejected_moved = np.array(up.moved).T
    assert len(up.moved) == 40
    assert (chosen_moved - rejected_moved).mean() > 0
    rare = run_pilot(model, pairs(40), probe_set(20), steps=3, lr=1e-4, batch_size=16, every=2)
    assert rare.margins == (up.margins[0], up.margins[2], up.margins[3])
    assert up.margins[0] == pytest.approx(down.margins[0], abs=1e-4)
    assert up.margin_change > 0.1
    assert down.margin_change < -0.1
    assert all((a == b).all() for a, b in zip(before, model.model.parameters(), strict=True))
    with pytest.raises(InputError, match="steps 0"):
        run_pilot(model, pairs(4), probe_set(3), steps=0)


def test_wording_is_blind_to_the_policy_and_sees_words() -> None:
    probes = probe_contrasts(probe_set(10))
    assert wording_cosine(probes, probes) == pytest.approx(1.0)
    swapped = [Contrast(c.prompt, c.minus, c.plus) for c in probes]
    assert wording_cosine(swapped, probes) == pytest.approx(-1.0)
    same = [Contrast(c.prompt, c.plus[:1], c.plus[:1]) for c in probes]
    assert np.isnan(wording_cosine(same, probes))


def test_shards_keep_groups_whole() -> None:
    groups = np.repeat(np.arange(30), 3)
    parts = shards_of(groups, 8, seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(90))
    assert all(len(set(groups[a]) & set(groups[b])) == 0 for a in parts for b in parts if a is not b)
    assert max(map(len, parts)) <= 2 * min(map(len, parts))
    kept = whole_groups(groups, 31, seed=0)
    assert len(kept) == 30
    assert len(set(groups[kept])) == 10


def test_from_a_file_of_pairs_and_a_file_of_given_probes(tmp_path: Path) -> None:
    import backfire as bf

    data = tmp_path / "pairs.jsonl"
    rows = [{"prompt": p.text, "chosen": c, "rejected": r} for p, c, r in pairs(40)]
    known = rows[0]["prompt"]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = tmp_path / "given.jsonl"
    probes = [
        {"prompt": p.prompt.text, "refusal": p.toward[0], "compliance": p.away[0], "stratum": p.stratum}
        for p in probe_set(36).probes
    ]
    given.write_text("".join(json.dumps(row) + "\n" for row in probes))
    found = bf.safety_influence(data, policy(), given, pairs=30)
    assert found.pairs == 30
    assert found.refusal.probes == 36
    assert found.refusal.sampled == 0
    assert found.low is not None
    assert found.low > 0
    assert found.placebo is None
    drawn = bf.safety_influence(
        data, policy(), [*[p.prompt for p in probe_set(3).probes], bf.Prompt.of(known)], judge=None, pairs=30
    )
    assert drawn.refusal.asked == 3, "a prompt of the training data is no probe"
    assert drawn.cosine is None


def test_a_rate_that_nobody_gave_is_higher_where_auto_trains_an_adapter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def rate(chosen: str, parameters: str = "auto", lr: float | None = None) -> float:
        monkeypatch.setattr("backfire.influence.parameters.chosen_parameters", lambda *_: chosen)
        return run_pilot(
            policy(), pairs(8), probe_set(3), steps=1, lr=lr, batch_size=4, parameters=parameters
        ).lr

    assert rate("all") == 1e-6
    assert rate("lora") == 1e-5
    assert rate("lora", lr=3e-6) == 3e-6
    assert rate("all", parameters="lora") == 1e-6
