"""No estimate leaves its bounds, however separable, constant or repetitive the data are, rounding included."""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import backfire as bf
from backfire.auditing.probes.folds import make_split, too_few
from backfire.auditing.probes.held_out import measure
from backfire.auditing.probes.ranking import auroc, cells_of, swapped_aurocs
from backfire.statistics import Rate, clustered_wilson
from backfire.statistics.intervals import share_interval
from backfire.statistics.rank_correlation import spearman

SEEDS = st.integers(0, 2**31)


@settings(deadline=None, max_examples=300)
@given(SEEDS, st.integers(10, 400), st.integers(2, 7), st.integers(1, 4))
@example(3, 174, 5, 1)
def test_separated_scores_have_an_auroc_of_one_and_no_more(
    seed: int, m: int, folds: int, strata: int
) -> None:
    rng = np.random.default_rng(seed)
    chosen = rng.random(m) < rng.uniform(0.1, 0.9)
    cells = cells_of(rng.integers(0, folds, m), rng.integers(0, strata, m), chosen)
    if not cells:
        return
    labels = np.where(chosen, 1, -1).astype(np.int8)[:, None]
    for scores, expected in ((chosen.astype(float), 1.0), (-chosen.astype(float), 0.0), (np.zeros(m), 0.5)):
        values = (auroc(scores, chosen, cells)[0], float(swapped_aurocs(scores[:, None], labels, cells)[0]))
        assert all(0 <= value <= 1 for value in values)
        assert values == pytest.approx((expected, expected))


def test_the_weights_alone_would_go_beyond_one() -> None:
    """Without this, the test above would show nothing. (`sum` of Python 3.12 makes up for rounding.)"""
    sums = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        m = int(rng.integers(20, 400))
        chosen = rng.random(m) < 0.5
        weights = [cell.weight for cell in cells_of(rng.integers(0, 5, m), None, chosen)]
        sums.append(reduce(add, weights, 0.0))
    assert max(sums) > 1


@settings(deadline=None, max_examples=40)
@given(
    SEEDS,
    st.integers(15, 60),
    st.integers(0, 3),
    st.sampled_from(["separable", "constant", "copies", "noise"]),
)
def test_probes_of_odd_features_stay_in_bounds(seed: int, pairs: int, spare: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    features = np.zeros((2 * pairs, 2 + spare))
    if kind == "separable":
        features[:pairs, 0] = 1
    elif kind == "copies":
        features[:pairs] = rng.integers(0, 2, 2 + spare)
    elif kind == "noise":
        features = rng.normal(size=features.shape)
    split = make_split(rng.integers(0, pairs, pairs), controls=20, seed=seed % 7)
    if too_few(split):
        return
    found = measure(features, split)
    for estimate, value in (
        (found.pointwise, found.pointwise.auroc),
        (found.pointwise_accuracy, found.pointwise_accuracy.accuracy),
        (found.pairwise, found.pairwise.accuracy),
    ):
        assert 0 <= estimate.low <= estimate.high <= 1
        assert 0 <= value <= 1
        assert 0 <= estimate.control <= 1
    assert found.v_information.bits <= 1
    assert all(map(math.isfinite, (found.v_information.low, found.v_information.high)))


@pytest.mark.parametrize("count", [30, 74, 111])
@pytest.mark.parametrize("kind", ["separable", "constant", "one prompt", "swapped"])
def test_tiny_data_sets_of_odd_kinds_are_audited(count: int, kind: str) -> None:
    rows: list[dict[str, Any]] = [
        {
            "prompt": "One request." if kind == "one prompt" else f"Request number {i}.",
            "chosen": "Sure, here it is." if kind == "constant" else f"Sure, here is how. item {i}",
            "rejected": "I'm sorry, no."
            if kind == "constant"
            else f"I'm sorry, I can't help. piece {i} and more",
        }
        for i in range(count)
    ]
    if kind == "swapped":
        rows[::2] = [row | {"chosen": row["rejected"], "rejected": row["chosen"]} for row in rows[::2]]
    found = bf.audit(rows)
    assert found.pairs == count
    for probe in found.separability:
        assert 0 <= probe.pointwise.low <= probe.pointwise.auroc <= probe.pointwise.high <= 1


@given(st.integers(1, 10**9), st.integers(0, 10**6))
def test_rates_and_their_intervals_stay_in_bounds(scored: int, millionths: int) -> None:
    part = millionths / 1e6
    rate = Rate(round(part * scored), scored)
    assert rate.low is not None and rate.high is not None and rate.rate is not None  # noqa: PT018
    assert 0 <= rate.low <= rate.high <= 1
    low, high = clustered_wilson([part * 3, part * 5, part * 2], [3, 5, 2])
    assert 0 <= low <= high <= 1


@given(st.floats(0, 1), st.floats(0, 1), st.integers(2, 10**6))
def test_intervals_of_shares_stay_in_bounds(value: float, variance: float, clusters: int) -> None:
    low, high = share_interval(value, variance, clusters)
    assert 0 <= low <= high <= 1


@given(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=40))
def test_rank_correlations_stay_in_bounds(xs: list[float]) -> None:
    for ys in (xs, [-x for x in xs], [2 * x + 1 for x in xs]):
        rho = spearman(xs, ys)
        assert rho is None or -1 <= rho <= 1
