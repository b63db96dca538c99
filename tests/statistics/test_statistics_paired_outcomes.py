"""Paired comparisons against scipy, enumeration, and simulated data whose truth is known."""

from __future__ import annotations

import random
from itertools import product

import pytest
from scipy.stats import binomtest

from backfire.statistics.exact_tests import swap_p
from backfire.statistics.paired_outcomes import bootstrap_interval, compare_outcomes


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 1), (10, 2), (60, 31), (400, 300)])
def test_swaps_of_single_prompts_are_exact_mcnemar(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert swap_p([1] * gained + [-1] * lost + [0] * 7) == pytest.approx(expected, rel=1e-9)


def test_swaps_of_clusters_are_those_enumerated() -> None:
    differences = [3, -1, 2, 2, 0, -4, 5]
    seen = abs(sum(differences))
    flips = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=7)
    ]
    assert swap_p(differences) == pytest.approx(sum(f >= seen for f in flips) / 2**7)


def test_a_table_by_hand() -> None:
    first = {"a": True, "b": True, "c": False, "d": False, "e": None, "f": True}
    second = {"a": True, "b": False, "c": True, "d": True, "e": True, "f": None}
    found = compare_outcomes(first, second)
    assert (found.n, found.unscored, found.gained, found.lost) == (4, 2, 2, 1)
    assert (found.first, found.second, found.difference) == (0.5, 0.75, 0.25)
    # e adds 0 or 1, f adds -1 or 0, to the sum of 1 over six prompts
    assert (found.lowest, found.highest) == (pytest.approx(0 / 6), pytest.approx(2 / 6))
    assert found.mcnemar == found.p == pytest.approx(binomtest(2, 3).pvalue)
    assert found.clusters == 4


def test_nothing_scored_has_bounds_only() -> None:
    found = compare_outcomes({"a": None}, {"a": False})
    assert (found.n, found.difference, found.low, found.p) == (0, None, None, None)
    assert (found.lowest, found.highest) == (-1.0, 0.0)


def test_no_difference_has_an_interval_all_the_same() -> None:
    outcomes: dict[str, bool | None] = {str(k): k % 3 == 0 for k in range(40)}
    found = compare_outcomes(outcomes, outcomes)
    assert found.low is not None
    assert found.high is not None
    assert -0.1 < found.low < 0 < found.high < 0.1
    assert found.p == 1.0


def both(gained: int, lost: int, same: int, each: int = 1) -> tuple[float, float, float]:
    """low, high and p of clusters that were wholly gained, lost or kept."""
    changes = [1] * gained + [-1] * lost + [0] * same
    first: dict[str, bool | None] = {}
    second: dict[str, bool | None] = {}
    clusters = {}
    for k, change in enumerate(changes):
        for j in range(each):
            first[f"{k}-{j}"], second[f"{k}-{j}"] = change < 0, change > 0
            clusters[f"{k}-{j}"] = str(k)
    found = compare_outcomes(first, second, clusters)
    assert found.low is not None
    assert found.high is not None
    assert found.p is not None
    return found.low, found.high, found.p


def test_where_all_differ_alike_the_interval_says_how_many_others_there_could_be() -> None:
    low, high, p = both(200, 0, 0)
    assert (high, p < 1e-50) == (1.0, True)
    assert low == pytest.approx(1 - 2 * (1 - 0.025 ** (1 / 200)))
    assert both(0, 200, 0)[:2] == (-1.0, pytest.approx(-low))
    assert both(40, 0, 0, each=5)[0] == pytest.approx(1 - 2 * (1 - 0.025 ** (1 / 40)))


@pytest.mark.parametrize(
    ("gained", "lost", "same"), [(1, 0, 1), (3, 0, 0), (5, 0, 0), (5, 0, 40), (2, 3, 10), (0, 5, 3)]
)
def test_fewer_than_six_that_differ_exclude_nothing(gained: int, lost: int, same: int) -> None:
    low, high, p = both(gained, lost, same)
    assert low <= 0 <= high
    assert p > 0.05


def test_six_of_six_exclude_no_difference() -> None:
    low, _, p = both(6, 0, 0)
    assert low > 0
    assert p < 0.05


def test_the_same_seed_gives_the_same_interval() -> None:
    first: dict[str, bool | None] = {str(k): k % 3 == 0 for k in range(60)}
    second: dict[str, bool | None] = {str(k): k % 2 == 0 for k in range(60)}
    once, again = compare_outcomes(first, second), compare_outcomes(first, second)
    other = compare_outcomes(first, second, seed=1)
    assert once == again
    assert (other.low, other.high) != (once.low, once.high) or other == once
    assert other.low == pytest.approx(once.low, abs=0.03)


def simulated(draw: random.Random, behaviours: int, each: int, gain: float) -> tuple[bool, bool, bool]:
    """Whether the interval covers the true difference, and whether p < .05, by behaviour and by prompt alone."""
    first: dict[str, bool | None] = {}
    second: dict[str, bool | None] = {}
    clusters = {}
    for k in range(behaviours):
        lean = draw.random() < 0.5  # the whole behaviour leans to one policy
        p, q = (0.2, 0.7 + gain) if lean else (0.7, 0.2 + gain)
        for j in range(each):
            prompt = f"{k}-{j}"
            first[prompt], second[prompt] = draw.random() < p, draw.random() < q
            clusters[prompt] = str(k)
    by_cluster, alone = compare_outcomes(first, second, clusters), compare_outcomes(first, second)
    assert by_cluster.low is not None
    assert by_cluster.high is not None
    assert by_cluster.p is not None
    assert alone.p is not None
    covered = by_cluster.low <= gain <= by_cluster.high
    return covered, by_cluster.p < 0.05, alone.p < 0.05


@pytest.mark.slow
def test_clusters_keep_the_level_that_single_prompts_lose() -> None:
    draw = random.Random(7)
    runs = [simulated(draw, 40, 5, 0.0) for _ in range(300)]
    covered, by_cluster, alone = (sum(column) / 300 for column in zip(*runs, strict=True))
    assert covered > 0.90
    assert by_cluster < 0.08
    assert alone > 0.15


@pytest.mark.slow
@pytest.mark.parametrize(("clusters", "sizes"), [(6, (20,)), (10, (20,)), (15, (2, 3, 5, 40))])
def test_the_interval_covers_with_few_and_uneven_clusters(clusters: int, sizes: tuple[int, ...]) -> None:
    draw = random.Random(3)
    covered = beside = 0
    for _ in range(200):
        n = [draw.choice(sizes) for _ in range(clusters)]
        rates = [(draw.betavariate(1.2, 2.8), draw.betavariate(2.4, 1.6)) for _ in n]
        sums = [
            sum((draw.random() < q) - (draw.random() < p) for _ in range(k))
            for k, (p, q) in zip(n, rates, strict=True)
        ]
        low, high = bootstrap_interval(sums, n, seed=0)
        assert low is not None
        assert high is not None
        covered += low <= 0.3 <= high
        beside += (low > 0 or high < 0) and swap_p(sums) >= 0.05
    assert covered >= 0.91 * 200
    assert beside <= 0.15 * 200


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "loss"), [(0.02, 0.0), (0.03, 0.03), (0.2, 0.05)])
def test_the_interval_covers_where_few_prompts_change(gain: float, loss: float) -> None:
    draw = random.Random(11)
    covered = 0
    for _ in range(200):
        changes = [
            draw.choices(["gain", "loss", "same"], [gain, loss, 1 - gain - loss])[0] for _ in range(100)
        ]
        first: dict[str, bool | None] = {str(k): c == "loss" for k, c in enumerate(changes)}
        second: dict[str, bool | None] = {str(k): c == "gain" for k, c in enumerate(changes)}
        found = compare_outcomes(first, second)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= gain - loss <= found.high
    assert covered >= 0.91 * 200


def test_what_is_not_paired_is_refused() -> None:
    with pytest.raises(ValueError, match="the same prompts"):
        compare_outcomes({"a": True}, {"b": True})
    with pytest.raises(ValueError, match="the same prompts"):
        compare_outcomes({}, {})
