"""Variances, intervals and controls of cross-fitted numbers, from what is known of their parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from backfire.auditing.probes.uncertainty import (
    Swapped,
    clustered_mean,
    control_of,
    variance_of,
)
from backfire.statistics import Rate
from backfire.statistics.clusters import clustered_variance
from backfire.statistics.intervals import mean_interval, share_interval

GROUPS = np.repeat(np.arange(200), 2)


def swapped_of(values: np.ndarray, held_out: float, noise: float) -> Swapped:
    return Swapped(values, np.full(20, held_out), noise, len(GROUPS))


def test_the_variance_of_a_sum_counts_groups() -> None:
    rng = np.random.default_rng(0)
    influence = rng.normal(size=400) / 400
    assert clustered_variance(influence, np.arange(400)) == pytest.approx(400 * influence.var(ddof=1))
    copies = np.repeat(influence[:200], 2)
    assert clustered_variance(copies, GROUPS) == pytest.approx(200 * (2 * influence[:200]).var(ddof=1))
    assert clustered_variance(copies, GROUPS[::-1] * 17 + 3) == pytest.approx(
        clustered_variance(copies[::-1], GROUPS)
    )


def test_where_nothing_is_told_the_variance_is_that_of_the_swaps() -> None:
    """Testing and training shares of the same interactions: their jackknife is twice the swaps' variance."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        testing = np.repeat(rng.normal(size=200), 2) / 400 * np.sqrt(0.5)
        training = np.repeat(rng.normal(size=200), 2) / 400 * np.sqrt(0.1) + testing * 0.9
        values = 0.5 + rng.normal(size=199) / np.sqrt(200)
        found.append(variance_of(testing, training, GROUPS, swapped_of(values, 0.5 / 200, 1.0)))
    assert np.mean(found) == pytest.approx(1 / 200, rel=0.06)
    assert np.std(found) < 0.2 / 200


def test_where_all_is_told_it_is_the_held_out_variance_and_what_the_fit_moves() -> None:
    rng = np.random.default_rng(2)
    testing = rng.normal(size=400) / 400
    values = 0.5 + rng.normal(size=199) * 0.05
    swapped = swapped_of(values, 0.002, 0.0)
    nothing = np.zeros(400)
    assert variance_of(testing, nothing, GROUPS, swapped) == pytest.approx(
        clustered_variance(testing, GROUPS)
    )
    moved = rng.normal(size=400) / 200
    whole = clustered_variance(testing + moved, GROUPS)
    assert 0.9 * whole < variance_of(testing, moved, GROUPS, swapped) < whole
    a_little = rng.normal(size=400) / 40_000
    by_chance = variance_of(testing, a_little, GROUPS, swapped)
    assert by_chance == pytest.approx(clustered_variance(testing, GROUPS), rel=0.01), (
        "hardly more than its own error"
    )


def test_the_interval_of_a_share_is_wilsons() -> None:
    for hits, scored in ((3, 40), (20, 40), (39, 40)):
        rate = Rate(hits, scored)
        value = hits / scored
        low, high = share_interval(value, value * (1 - value) / scored, scored)
        assert (low, high) == pytest.approx((rate.low, rate.high), abs=1e-12)
    low, high = share_interval(1.0, 0.0, 40)
    assert (low, high) == pytest.approx((Rate(40, 40).low, 1.0))
    low, high = share_interval(0.7, 0.02**2, 1_000)
    assert (low, high) == pytest.approx((0.7 - 1.96 * 0.02, 0.7 + 1.96 * 0.02), abs=2e-3)


def test_the_interval_of_a_mean_is_normal_and_counts_groups() -> None:
    assert mean_interval(2.0, 0.25) == pytest.approx(stats.norm(2, 0.5).interval(0.95), abs=1e-4)
    values = np.repeat(np.random.default_rng(3).normal(size=200), 2)
    mean, low, high = clustered_mean(values, GROUPS)
    assert mean == pytest.approx(values.mean())
    error = values[::2].std(ddof=1) / np.sqrt(200)
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=1e-4)


def test_a_control_counts_the_swaps_that_reach_the_value() -> None:
    swapped = swapped_of(np.arange(1, 200) / 200, 0.001, 1.0)
    found = control_of(0.75, swapped)
    assert found["p"] == pytest.approx((1 + 50) / 200)
    assert found["control"] == pytest.approx(0.5)
    assert found["control_high"] == pytest.approx(np.quantile(swapped.values, 0.95))
    assert (found["swaps"], found["control_pairs"]) == (199, 400)
    assert control_of(2.0, swapped)["p"] == 1 / 200
    assert control_of(0.0, swapped)["p"] == 1.0
