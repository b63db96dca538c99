"""Activation contrast: planted directions are found, noise adds nothing, and organisms' data point the way that they must."""

from __future__ import annotations

import numpy as np
import pytest

from backfire.influence.activations import agreement, differences
from backfire.influence.margins import Contrast, encode, probe_contrasts
from backfire.influence.predicting import read_influence_of
from backfire.influence.probes import ProbeSets
from influence.hand_probes import pairs, placebo, policy, probe_set


def read(conversations: list, others: list | tuple = (), count: int = 40, **options: object):  # type: ignore[no-untyped-def,type-arg]
    rows = np.arange(1, len(conversations) + 1)
    sets = ProbeSets(probe_set(count), None, placebo(count))
    options = {"parameters": "none", **options}
    return read_influence_of(policy(), conversations, rows, rows - 1, sets, others=others, **options)  # type: ignore[arg-type]


def test_agreement_is_the_common_part_of_squared_length_without_noise() -> None:
    rng = np.random.default_rng(0)
    common = np.zeros(60)
    common[0] = 3.0
    noisy = np.array([agreement(common + rng.normal(size=(40, 60))) for _ in range(200)])
    assert noisy.mean() == pytest.approx(9 / 69, abs=0.01)
    nothing = np.array([agreement(rng.normal(size=(40, 60))) for _ in range(200)])
    assert abs(nothing.mean()) < 0.005
    assert agreement(np.tile(common, (5, 1))) == pytest.approx(1.0)
    assert agreement(np.array([common, np.full(60, np.nan)])) == 0.0


def test_differences_are_of_mean_states_over_a_sides_own_tokens() -> None:
    model = policy()
    probes = probe_set(3)
    contrasts = probe_contrasts(probes)
    layers = [1, model.layers - 1]
    found = differences(model, encode(model, contrasts), layers)
    for got, contrast in zip(found, contrasts, strict=True):
        sides = [
            np.mean([model.hidden_states([(contrast.prompt, y)], layers)[0] for y in side], axis=0)
            for side in (contrast.plus, contrast.minus)
        ]
        assert got == pytest.approx(sides[0] - sides[1], abs=1e-4)


def test_a_contrast_that_does_not_fit_is_no_number() -> None:
    model = policy()
    (prompt, chosen, rejected), *_ = pairs(1)
    long = Contrast(prompt, (chosen,), (rejected,))
    encoded = encode(model, [long], max_length=2)
    assert not encoded.usable.any()
    assert np.isnan(differences(model, encoded, [1])).all()


def test_refusals_chosen_and_rejected_are_mirror_images() -> None:
    towards = read(pairs(30), others=pairs(40)[30:])
    away = read(pairs(30, chosen="comply", rejected="refuse"))
    found = towards.answer.activations
    mirrored = away.answer.activations
    assert found is not None
    assert mirrored is not None
    assert found.refusal.contrast is not None
    assert mirrored.refusal.contrast is not None
    assert found.placebo is not None
    assert found.placebo.contrast is not None
    assert 0.5 < found.refusal.contrast.low < found.refusal.contrast.high < 1.5
    assert mirrored.refusal.contrast.value == pytest.approx(-found.refusal.contrast.value, abs=0.1)
    assert abs(found.placebo.contrast.value) < 0.2
    assert found.refusal.cosine is not None
    assert found.refusal.cosine.value > 0.7
    assert (found.layer, found.layers) == (mirrored.layer, policy().layers - 1)
    assert towards.contrasts.mean() == pytest.approx(found.refusal.contrast.value, abs=0.05)
    assert (towards.contrasts > 0).all()
    assert towards.other_contrasts.shape == (10,)
    assert (towards.other_contrasts > 0).all()


def test_without_gradients_there_is_no_cosine_and_the_reason_is_said() -> None:
    found = read(pairs(30))
    assert found.answer.cosine is None
    assert found.answer.trained == 0
    assert "parameters none" in (found.answer.refusal.undetermined or "")
    assert np.isnan(found.values).all()


def test_too_few_probes_give_no_contrast() -> None:
    found = read(pairs(30), count=12).answer.activations
    assert found is not None
    assert found.refusal.contrast is None
    assert "fewer than 30" in (found.refusal.undetermined or "")


def test_gradients_and_hidden_states_stand_side_by_side() -> None:
    found = read(pairs(30), parameters="all").answer
    assert found.cosine is not None
    assert found.activations is not None
    assert found.activations.refusal.contrast is not None
