"""Shares that are 0 or 1 but for rounding have the interval of 0 and 1."""

from __future__ import annotations

import pytest

from backfire.statistics.intervals import Z95, clustered_wilson, score_interval, share_interval

NEARLY_ONE = (1.0, 1 - 1e-16, 1 - 3e-16, 1 + 2.3e-16)


@pytest.mark.parametrize("value", NEARLY_ONE)
def test_a_share_of_nearly_one_is_known_as_well_as_one(value: float) -> None:
    for variance in (0.0, 1e-33, 1e-9):
        assert share_interval(value, variance, 72) == share_interval(1.0, 0.0, 72)
        assert share_interval(1 - value, variance, 72) == share_interval(0.0, 0.0, 72)
    assert score_interval(value, 1e18, Z95) == score_interval(1.0, 1e18, Z95)


@pytest.mark.parametrize("value", NEARLY_ONE)
def test_rounding_in_hits_does_not_move_an_interval_over_clusters(value: float) -> None:
    nearly, exactly = clustered_wilson([value * 3] * 20, [3.0] * 20), clustered_wilson([3.0] * 20, [3.0] * 20)
    assert nearly == pytest.approx(exactly, abs=1e-9)


def test_an_interval_stays_where_a_share_is_small_but_real() -> None:
    low, high = share_interval(1e-6, 1e-12, 10**6)
    assert 0 < low < 1e-6 < high < 1e-4
