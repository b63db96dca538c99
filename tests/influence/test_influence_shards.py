"""The data's gradient is that of all its pairs, each once, and a part that fails leaves the others standing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from backfire.errors import ModelError
from backfire.influence import predicting
from backfire.influence.margins import Contrast, encode
from backfire.influence.predicting import read_influence_of, safety_influence_of
from backfire.influence.probes import ProbeSets
from influence.hand_probes import pairs, policy, probe_set

GROUPS = np.arange(46) // 2


def asked() -> ProbeSets:
    return ProbeSets(probe_set(32), None, None)


def test_every_pair_is_in_one_shard_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    real = predicting.gradient_products

    def spy(model: Any, shards: Any, of_data: Any, *args: Any, **options: Any) -> Any:
        seen.extend(shard for shard, data in zip(shards, of_data, strict=True) if data)
        return real(model, shards, of_data, *args, **options)

    monkeypatch.setattr(predicting, "gradient_products", spy)
    model = policy()
    conversations = pairs(46)
    safety_influence_of(model, conversations, np.arange(1, 47), GROUPS, asked())
    rows = Counter(tuple(ids) for shard in seen for ids, _ in shard.rows)
    whole = encode(model, [Contrast(p, (chosen,), (rejected,)) for p, chosen, rejected in conversations])
    assert rows == Counter(tuple(ids) for ids, _ in whole.rows)
    assert sum(shard.count for shard in seen) == 46


def test_lora_gives_the_same_values_with_the_answer_as_alone() -> None:
    from backfire.influence.two_pass import pair_influence

    model, conversations = policy(), pairs(46)
    found = read_influence_of(model, conversations, np.arange(1, 47), GROUPS, asked(), parameters="lora")
    alone = pair_influence(model, conversations, asked().refusal, parameters="lora")
    assert found.values == pytest.approx(alone.values, rel=1e-3, abs=1e-6)
    assert found.answer.epsilon_agrees is None


def test_a_pilot_that_fails_leaves_the_influence_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes.")

    monkeypatch.setattr(predicting, "piloted", broken)
    found = safety_influence_of(policy(), pairs(46), np.arange(1, 47), GROUPS, asked(), pilot=1)
    assert found.refusal.cosine is not None or found.refusal.undetermined is not None
    assert found.trained > 0
    assert found.pilot is None
    assert found.failed is not None
    assert "memory ran out" in found.failed["pilot"]


def test_gradients_that_fail_leave_the_pilot_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ModelError("the gradients do not fit")

    monkeypatch.setattr(predicting, "gradient_products", broken)
    given: Any = (policy(), pairs(46), np.arange(1, 47), GROUPS, asked())
    found = safety_influence_of(*given, pilot=1)
    assert found.pilot is not None
    assert found.refusal.undetermined == "the gradients do not fit"
    assert found.failed == {"influence": "the gradients do not fit"}
    by_states = safety_influence_of(*given)
    assert by_states.predictors is not None
    assert by_states.failed == {"influence": "the gradients do not fit"}
    monkeypatch.setattr(predicting, "measured", lambda *_: {})
    with pytest.raises(ModelError, match="do not fit"):
        safety_influence_of(*given)


def test_a_defect_of_the_program_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(predicting, "piloted", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        safety_influence_of(policy(), pairs(46), np.arange(1, 47), GROUPS, asked(), pilot=1)
