"""V-information in bits: against a plain optimiser, an integral, and what is known beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from backfire.auditing.probes.v_information import PRIOR, bits_of


def margins_of(seed: int, pairs: int = 120, mean: float = 0.5) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(mean, 1, (pairs, 3)) * np.array([1, 1e-3, 50]), rng.integers(0, 4, pairs)


def slope_by_optimiser(margins: Any) -> float:
    """The best a >= 0, by a bounded search of scipy's."""
    size = np.sqrt(np.mean(margins**2))

    def loss(a: float) -> float:
        told: float = np.logaddexp(0, -a * margins / size).sum() + PRIOR / 2 * a**2
        return told

    found = optimize.minimize_scalar(loss, bounds=(0, 50), method="bounded", options={"xatol": 1e-10})
    return float(found.x) / size if loss(found.x) < loss(0) else 0.0


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.floats(-1, 3))
def test_bits_are_those_of_the_best_slope_of_the_other_folds(seed: int, mean: float) -> None:
    margins, folds = margins_of(seed, mean=mean)
    folds[:4] = np.arange(4)
    bits, by_margin = bits_of(margins, folds)
    for k in range(4):
        inside = folds == k
        for j in range(3):
            slope = slope_by_optimiser(margins[~inside, j])
            p = 1 / (1 + np.exp(-slope * margins[inside, j]))
            np.testing.assert_allclose(bits[inside, j], -np.log2(0.5) + np.log2(p), atol=1e-4)
            if j == 0:
                np.testing.assert_allclose(by_margin[inside], slope * (1 - p) / np.log(2), atol=1e-4)
    assert (bits <= 1).all()


def test_the_mean_is_the_information_of_two_normal_classes() -> None:
    """Margins N(μ, 1): the log-odds are 2 μ margin, and the information their expected loss below one bit."""
    rng = np.random.default_rng(0)
    for mean in (0.2, 0.7, 1.5):
        margins = rng.normal(mean, 1, (40_000, 1))
        bits, _ = bits_of(margins, np.arange(40_000) % 5)

        def gain(x: float, mean: float = mean) -> float:
            told: float = stats.norm.pdf(x, mean) * (1 - np.logaddexp(0, -2 * mean * x) / np.log(2))
            return told

        expected = integrate.quad(gain, mean - 10, mean + 10)[0]
        assert bits.mean() == pytest.approx(expected, abs=0.01)


def test_known_answers() -> None:
    folds = np.arange(40) % 4
    sure, _ = bits_of(np.full((40, 1), 3.0), folds)
    assert (sure > 0.95).all()
    assert (sure <= 1).all()
    nothing, slope = bits_of(np.zeros((40, 1)), folds)
    assert (nothing == 0).all()
    assert (slope == 0).all()
    wrong, slope = bits_of(-np.ones((40, 1)), folds)
    assert (wrong == 0).all(), "a probe that is wrong more often than right tells nothing"
    assert (slope == 0).all()
    # 3 of 4 right by equal margins: p = .75 of either, so log2(1.5) bits where right and log2(.5) where wrong
    margins = np.where(np.arange(4_000) // 4 % 4 < 3, 1.0, -1.0)[:, None]
    bits, _ = bits_of(margins, np.arange(4_000) % 4)
    np.testing.assert_allclose(bits[margins > 0], np.log2(1.5), atol=1e-3)
    np.testing.assert_allclose(bits[margins < 0], np.log2(0.5), atol=3e-3)


def test_the_unit_of_the_margins_does_not_matter() -> None:
    margins, folds = margins_of(1)
    one, other = bits_of(margins, folds)[0], bits_of(margins * 1e4, folds)[0]
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_an_easier_pair_has_more_bits_where_anything_is_told() -> None:
    margins, folds = margins_of(2, mean=1.0)
    bits, by_margin = bits_of(margins, np.zeros_like(folds) + (np.arange(len(folds)) % 2))
    for k in range(2):
        inside = np.arange(len(folds)) % 2 == k
        order = np.argsort(margins[inside, 0])
        assert (np.diff(bits[inside, 0][order]) > 0).all()
    assert (by_margin > 0).all()
