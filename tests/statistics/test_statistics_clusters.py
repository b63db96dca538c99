"""Inference over a few clusters, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from backfire.statistics.clusters import mean_of_clusters, upper_limit
from backfire.statistics.exact_tests import holm, sign_flip


def test_sign_flips_by_hand() -> None:
    assert sign_flip([1.0, 2.0, 3.0]) == 2 / 8
    assert sign_flip([1.0, 1.0, -1.0]) == 1.0
    assert sign_flip([-0.5] * 9) == 2 / 512
    with pytest.raises(ValueError, match="21 values"):
        sign_flip([1.0] * 21)
    with pytest.raises(ValueError, match="finite"):
        sign_flip([float("nan")])


def test_sign_flip_is_scipys_permutation_test() -> None:
    from scipy.stats import permutation_test

    values = np.random.default_rng(5).normal(0.4, 1, 8)
    theirs = permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip(list(values)) == pytest.approx(theirs.pvalue)


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == pytest.approx({"a": 1.0, "b": 1.0})
    assert holm({}) == {}


def test_intervals_are_students() -> None:
    from scipy import stats

    values = [0.1, -0.3, 0.25, 0.4, 0.05]
    mean, low, high = mean_of_clusters(values)
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    assert (mean, low, high) == pytest.approx((np.mean(values), theirs.low, theirs.high))
    one_sided = stats.ttest_1samp(values, 0, alternative="less").confidence_interval()
    assert upper_limit(values) == pytest.approx(one_sided.high)
    assert np.isnan(upper_limit([0.3]))
    assert np.isnan(mean_of_clusters([0.3])[1])
