"""Differences of independent samples: published numbers, an exact test by enumeration, and coverage by simulation."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from backfire.statistics.independent import (
    difference_of_estimates,
    difference_of_shares,
    fisher_exact,
    p_of_difference,
)


def test_newcombe_is_as_published() -> None:
    """Newcombe 1998, table II, method 10: 56/70 against 48/80, and 9/10 against 3/10."""
    assert difference_of_shares((48, 80), (56, 70)) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert difference_of_shares((3, 10), (9, 10)) == pytest.approx((0.6, 0.1705, 0.8090), abs=5e-5)
    assert difference_of_shares((0, 10), (10, 10)) == pytest.approx((1.0, 0.6075, 1.0), abs=5e-5)


@pytest.mark.parametrize(("before", "after"), [((3, 10), (9, 12)), ((0, 20), (4, 15)), ((5, 9), (5, 9))])
def test_the_exact_p_is_the_sum_of_no_likelier_tables(
    before: tuple[int, int], after: tuple[int, int]
) -> None:
    (a, m), (b, n) = before, after
    hits = a + b
    chance = {x: comb(m, x) * comb(n, hits - x) for x in range(max(0, hits - n), min(m, hits) + 1)}
    whole = sum(chance.values())
    expected = sum(c for c in chance.values() if c <= chance[a]) / whole
    assert fisher_exact(before, after) == pytest.approx(expected)


def test_the_p_and_the_interval_agree() -> None:
    for lopsided in (0.01, 0.04):
        change = difference_of_estimates((0.5, 0.48, 0.52), (0.6, 0.6 - lopsided, 0.62))
        assert p_of_difference(change) < 0.05
        assert change[1] > 0
    edge = difference_of_estimates((0.0, -1.0, 1.0), (1.0, 1.0, 1.0))
    assert edge[1] == pytest.approx(0.0)
    assert p_of_difference(edge) == pytest.approx(0.05, abs=1e-3)
    assert p_of_difference((0.0, -1.0, 1.0)) == 1.0
    mirrored = difference_of_estimates((1.0, 1.0, 1.0), (0.0, -1.0, 1.0))
    assert p_of_difference(mirrored) == pytest.approx(p_of_difference(edge))


@pytest.mark.parametrize(
    ("p", "m", "q", "n"), [(0.1, 200, 0.15, 300), (0.01, 500, 0.02, 150), (0.5, 60, 0.5, 40)]
)
def test_the_interval_covers_as_often_as_it_says(p: float, m: int, q: float, n: int) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for a, b in zip(rng.binomial(m, p, 1000).tolist(), rng.binomial(n, q, 1000).tolist(), strict=True):
        _, low, high = difference_of_shares((a, m), (b, n))
        covered += low <= q - p <= high
    assert 0.93 <= covered / 1000 <= 0.985


def test_estimates_by_their_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    sds = 0.01, 0.02
    values = rng.normal([0.6, 0.65], sds, (2000, 2))
    covered = wrong = 0
    for old, new in values.tolist():
        bands = [(v, v - 1.96 * sd, v + 1.96 * sd) for v, sd in zip((old, new), sds, strict=True)]
        _, low, high = difference_of_estimates(bands[0], bands[1])
        covered += low <= 0.05 <= high
        shifted = difference_of_estimates(bands[0], tuple(x - 0.05 for x in bands[1]))  # type: ignore[arg-type]
        wrong += p_of_difference(shifted) <= 0.05
    assert 0.94 <= covered / 2000 <= 0.96
    assert 0.04 <= wrong / 2000 <= 0.06
