"""Ratios of paired means: by hand, and the coverage of their interval on simulated models whose ratio is known."""

from __future__ import annotations

import numpy as np
import pytest

from backfire.statistics.mean_ratios import PairedItems, compare_means


def paired(first: list[float], second: list[float], weight: float = 1.0) -> PairedItems:
    return PairedItems(np.array(first), np.array(second), weight)


def test_by_hand() -> None:
    found = compare_means([paired([1, 1, 0, 0] * 50, [1, 0, 1, 0] * 50), paired([1.0] * 40, [0.5] * 40, 0.5)])
    assert found.first == pytest.approx(0.5 + 0.5)
    assert found.second == pytest.approx(0.5 + 0.25)
    assert found.ratio == pytest.approx(0.75)
    assert (found.n, found.differing) == (240, 140)


def test_equal_answers_still_have_an_interval() -> None:
    """Where no item differs, what so few items could hide is left open: 1 - .025^(1/n) over the base's mean."""
    answers = [1.0, 0.0] * 50
    found = compare_means([paired(answers, answers)])
    assert found.ratio == 1
    assert found.low == pytest.approx(1 - (1 - 0.025 ** (1 / 100)) / 0.5)


def test_a_base_of_0_has_no_ratio() -> None:
    found = compare_means([paired([0.0] * 30, [1.0] * 30)])
    assert (found.ratio, found.low, found.high) == (None, None, None)
    with pytest.raises(ValueError, match="same items"):
        compare_means([paired([1.0], [1.0, 0.0])])


@pytest.mark.parametrize(("n", "right", "lost", "gained"), [(60, 0.6, 0.05, 0.03), (200, 0.4, 0.1, 0.05)])
def test_the_interval_covers_the_ratio(n: int, right: float, lost: float, gained: float) -> None:
    generator = np.random.default_rng(1)
    true = (right - lost + gained) / right
    covered, runs = 0, 150
    for _ in range(runs):
        kind = generator.choice(4, size=n, p=[right - lost, lost, gained, 1 - right - gained])
        first, second = (kind <= 1).astype(float), ((kind == 0) | (kind == 2)).astype(float)
        found = compare_means([PairedItems(first, second, 1.0)])
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= true <= found.high
    assert covered / runs > 0.92
