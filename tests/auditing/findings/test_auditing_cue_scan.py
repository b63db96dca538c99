"""Many cues at once: AUROCs against scikit-learn's, family-wise p-values against simulated nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from backfire.answers.estimates import Estimate
from backfire.auditing.findings.cue_scan import (
    effect,
    interval_alone,
    presence_differences,
    rank_differences,
    scan,
)
from backfire.auditing.probes.folds import make_split


def test_rank_differences_are_the_aurocs_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    values = np.round(rng.normal(size=(2 * 90, 3)), 1)
    values[:90, 1] += 0.5
    split = make_split(np.arange(90))
    found = rank_differences(values, split)
    labels = np.repeat([1, 0], 90)
    for fold in range(5):
        inside = split.folds == fold
        both = np.tile(inside, 2)
        for cue in range(3):
            expected = roc_auc_score(labels[both], values[both, cue])
            assert 0.5 + found[inside, cue].mean() == pytest.approx(expected, abs=1e-6)


def test_a_word_and_its_rank_agree() -> None:
    rng = np.random.default_rng(1)
    has = (rng.random((2 * 80, 4)) < 0.3).astype(np.float32)
    split = make_split(np.arange(80))
    dense, thin = rank_differences(has, split), presence_differences(sparse.csr_matrix(has), 80)
    assert np.allclose(dense, thin.toarray(), atol=1e-6)
    one, other = scan([dense], split), scan([thin], split)
    assert np.allclose(one.aurocs, other.aurocs, atol=1e-6)
    assert np.array_equal(one.p, other.p)


def test_held_out_direction_by_a_plain_loop() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(2 * 60, 1))
    values[:60] -= 0.4
    split = make_split(np.arange(60), controls=19)
    apart = rank_differences(values, split)[:, 0].astype(np.float64)
    for column, swap in enumerate([np.ones(60, dtype=np.int8), *split.swaps.T]):
        expected = 0.0
        for fold in range(5):
            inside = split.folds == fold
            others = (apart * swap)[~inside].sum()
            expected += np.sign(others) * (apart * swap)[inside].sum() / 60
        if column == 0:
            assert scan([apart[:, None]], split).aurocs[0] == pytest.approx(0.5 + expected, abs=1e-6)
            assert expected > 0.05, "below on the chosen side tells the label as well"


@pytest.mark.parametrize("family", [1, 40])
def test_without_a_cue_the_family_has_a_false_alarm_in_a_twentieth(family: int) -> None:
    sets, alarms = 400, 0
    for seed in range(sets):
        rng = np.random.default_rng(seed)
        shared = rng.normal(size=(2 * 60, 1))
        values = shared + rng.normal(size=(2 * 60, family))
        split = make_split(np.arange(60) // 2, controls=99, seed=seed)
        alarms += bool((scan([rank_differences(values, split)], split).p <= 0.05).any())
    assert alarms / sets < 0.05 + 3 * np.sqrt(0.05 * 0.95 / sets)


def test_a_rare_cue_is_found_beside_common_noise() -> None:
    rng = np.random.default_rng(3)
    pairs = 1000
    has = rng.random((2 * pairs, 200)) < 0.5
    has[:, 0] = False
    has[: pairs // 25, 0] = True
    split = make_split(np.arange(pairs))
    found = scan([presence_differences(sparse.csr_matrix(has.astype(np.float32)), pairs)], split)
    assert found.aurocs[0] == pytest.approx(0.52, abs=1e-6)
    assert found.p[0] <= 0.01
    assert found.p[1:].min() > 0.05


def test_copies_of_pairs_are_no_evidence() -> None:
    """Ten prompts in thirty copies each say no more than ten prompts."""
    rng = np.random.default_rng(4)
    values = np.repeat(rng.normal(size=(2, 10)), 30, axis=1).reshape(-1, 1)
    split = make_split(np.repeat(np.arange(10), 30), controls=199)
    assert scan([rank_differences(values, split)], split).p[0] > 0.01
    alone = make_split(np.arange(300))
    low, high = interval_alone(values[:, 0], 1.0, split)
    first, last = interval_alone(values[:, 0], 1.0, alone)
    assert high - low > 2 * (last - first)


def test_effect_and_its_interval_against_a_bootstrap() -> None:
    rng = np.random.default_rng(5)
    pairs = 400
    values = rng.normal(size=2 * pairs)
    values[:pairs] += 0.5
    split = make_split(np.arange(pairs))
    found, control = effect(values, split)
    assert found is not None
    apart = values[:pairs] - values[pairs:]
    assert found.value == pytest.approx(apart.mean() / apart.std(), abs=1e-12)
    drawn = apart[rng.integers(0, pairs, (2000, pairs))]
    first, last = np.quantile(drawn.mean(axis=1) / drawn.std(axis=1), [0.025, 0.975])
    assert found.low == pytest.approx(first, abs=0.02)
    assert found.high == pytest.approx(last, abs=0.02)
    swapped = [(apart * swap).mean() / (apart * swap).std() for swap in split.swaps.T]
    assert control == pytest.approx(np.mean(swapped), abs=1e-9)


def test_a_cue_that_never_differs_has_no_effect() -> None:
    assert effect(np.ones(80), make_split(np.arange(40))) == (Estimate(value=0, low=0, high=0), 0)


def test_a_cue_of_every_chosen_response_and_of_no_other_has_no_effect_size() -> None:
    """Its differences do not vary, so that there is no standard deviation to measure them by; it tells the label, though."""
    split = make_split(np.arange(400), folds=5, controls=199, seed=0)
    flag = np.repeat([0.0, 1.0], 400)
    found, control = effect(flag, split)
    assert found is None
    assert abs(control) < 0.05
    nearly = flag.copy()
    nearly[500] = 0
    almost, _ = effect(nearly, split)
    assert almost is not None
    assert almost.value == pytest.approx(-(399**0.5))
    told = scan([rank_differences(np.stack([flag, np.arange(800.0)], axis=1), split)], split)
    assert told.aurocs.tolist() == [1, 1]
