"""Rates: Wilson's interval against scipy's, and what could not be scored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.statistics import Rate, clustered_rate_of, clustered_wilson, paired_difference, rate_of, wilson

outcomes = st.lists(st.sampled_from([True, False, None]))


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(counts: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    hits, n = counts
    theirs = binomtest(hits, n).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_a_known_interval() -> None:
    # Agresti and Coull 1998: 0 of 10 gives (0, 0.2775).
    assert wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)


def test_an_interval_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="undefined"):
        wilson(0, 0)


@given(outcomes)
def test_counts_add_up_and_bounds_hold(seen: list[bool | None]) -> None:
    rate = rate_of(seen)
    assert rate.scored + rate.unscored == len(seen)
    assert rate.hits == sum(outcome is True for outcome in seen)
    if rate.scored:
        assert rate.rate is not None
        assert rate.low is not None
        assert rate.high is not None
        assert 0 <= rate.low <= rate.rate <= rate.high <= 1
        assert rate.best is not None
        assert rate.worst is not None
        assert rate.best <= rate.rate <= rate.worst


def test_a_rate_over_nothing_is_undefined() -> None:
    nothing = rate_of([])
    assert [nothing.rate, nothing.low, nothing.high, nothing.best, nothing.worst] == [None] * 5


def test_unscored_is_not_safe() -> None:
    unscored = rate_of([None, None])
    assert [unscored.rate, unscored.low, unscored.high] == [None] * 3
    assert (unscored.best, unscored.worst) == (0.0, 1.0)
    mixed = rate_of([True, False, None, None])
    assert (mixed.rate, mixed.best, mixed.worst) == (0.5, 0.25, 0.75)


@pytest.mark.parametrize("counts", [(3, 2, 0), (-1, 2, 0), (0, 2, -1)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        Rate(*counts)


def test_a_paired_change_covers_the_truth() -> None:
    """Simulated: 60 cases of which .1 become hits and .02 cease to be; and 0 of either, where Wald's width is 0."""
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(60, [0.1, 0.02, 0.88], size=4000)
    held = [low <= 0.08 <= high for _, low, high in (paired_difference(g, o, 60) for g, o, _ in drawn)]
    assert 0.93 <= np.mean(held) <= 0.985
    change, low, high = paired_difference(0, 0, 60)
    assert (change, low < 0 < high) == (0.0, True)
    assert low == -high
    assert paired_difference(7, 2, 50)[0] == 0.1


def test_a_clustered_rate_has_the_clustered_interval() -> None:
    outcomes: list[tuple[bool | None, int]] = [(n % 3 == 0 and n % 5 != 4, n % 5) for n in range(60)]
    outcomes.append((None, 7))
    rate = clustered_rate_of(outcomes)
    hits = [sum(bool(o) for o, c in outcomes if c == cluster) for cluster in range(5)]
    assert (rate.hits, rate.scored, rate.unscored, rate.clusters) == (sum(hits), 60, 1, 5)
    assert (rate.low, rate.high) == clustered_wilson(hits, [12] * 5)


@pytest.mark.parametrize(
    ("rate", "alike", "sizes"), [(0.3, 0.3, (1, 2, 20)), (0.1, 0.6, (1, 2, 20)), (0.05, 0.2, (5,))]
)
def test_clustered_intervals_cover_where_clusters_are_uneven_or_rates_rare(
    rate: float, alike: float, sizes: tuple[int, ...]
) -> None:
    """Beta-binomial clusters, 20 of them, with this correlation within one."""
    draw, spread = np.random.default_rng(0), 1 / alike - 1
    covered = 0
    for _ in range(400):
        n = draw.choice(sizes, 20)
        low, high = clustered_wilson(
            draw.binomial(n, draw.beta(rate * spread, (1 - rate) * spread, 20)).tolist(), n.tolist()
        )
        covered += low <= rate <= high
    assert covered >= 0.93 * 400


def test_clustered_intervals_do_not_shrink_as_hits_approach_all() -> None:
    bounds = [clustered_wilson([5] * 39 + [hits], [5] * 40)[0] for hits in range(6)]
    assert bounds[-1] == max(bounds)
    assert max(bounds) - min(bounds) < 0.05
    assert clustered_wilson([1] + [0] * 39, [5] * 40)[1] >= clustered_wilson([0] * 40, [5] * 40)[1]


def test_clustered_rates_at_the_edges() -> None:
    nothing = clustered_rate_of([(None, "a")])
    assert (nothing.rate, nothing.low, nothing.unscored, nothing.clusters) == (None, None, 1, 0)
    one = clustered_rate_of([(True, "a"), (False, "a")])
    assert (one.rate, one.low, one.high) == (0.5, 0.0, 1.0)
    same = clustered_rate_of([(True, n // 10) for n in range(40)])
    assert (same.low, same.high) == clustered_wilson([10] * 4, [10] * 4)


@pytest.mark.parametrize("counts", [(1, 0, 0), (3, 3, 5), (-1, 0, 5)])
def test_impossible_changes_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="paired"):
        paired_difference(*counts)
