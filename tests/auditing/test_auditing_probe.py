"""The probe is scikit-learn's logistic regression, and the AUROC scikit-learn's AUROC; only many at once."""

from __future__ import annotations

import numpy as np
import pytest

from backfire.auditing.estimate import auroc_by_fold, clustered_interval
from backfire.auditing.probe import cross_fit, standardised, unit_scaled


@pytest.mark.parametrize(("rows", "width"), [(150, 1), (150, 20), (80, 200)])
@pytest.mark.parametrize("intercept", [True, False])
def test_scores_are_those_of_scikit_learn(rows: int, width: int, intercept: bool) -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    features = unit_scaled(rng.normal(size=(rows, width)))
    chance = 1 / (1 + np.exp(-3 * features @ rng.normal(size=(width, 1))))
    labels = np.where(rng.random((rows, 3)) < chance, 1.0, -1.0)
    folds = np.arange(rows) % 4
    scores = cross_fit(features, labels, folds, penalty=0.3, intercept=intercept)
    given = np.hstack([features, np.ones((rows, 1))]) if intercept else features
    for fold in range(4):
        for k in range(3):
            reference = LogisticRegression(C=1 / 0.3, fit_intercept=False, tol=1e-8, max_iter=2000)
            reference.fit(given[folds != fold], labels[folds != fold, k])
            expected = reference.decision_function(given[folds == fold])
            np.testing.assert_allclose(scores[folds == fold, k], expected, atol=0.02)


def test_a_probe_never_sees_the_fold_it_scores() -> None:
    rng = np.random.default_rng(1)
    features, folds = unit_scaled(rng.normal(size=(60, 5))), np.arange(60) % 3
    labels = np.where(rng.random((60, 1)) < 0.5, 1.0, -1.0)
    flipped = labels.copy()
    flipped[folds == 0] *= -1
    one = cross_fit(features, labels, folds, penalty=0.3, intercept=True)
    other = cross_fit(features, flipped, folds, penalty=0.3, intercept=True)
    np.testing.assert_allclose(one[folds == 0], other[folds == 0], atol=0.01)
    assert np.abs(one[folds == 1] - other[folds == 1]).max() > 0.05


def test_auroc_is_that_of_scikit_learn_fold_by_fold() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(2)
    chosen, rejected = rng.integers(0, 9, 90) / 2 + 0.5, rng.integers(0, 9, 90) / 2
    folds = np.arange(90) % 3
    areas = [
        roc_auc_score(np.repeat([1, 0], 30), np.concatenate([chosen[folds == f], rejected[folds == f]]))
        for f in range(3)
    ]
    value, influence = auroc_by_fold(chosen, rejected, folds)
    assert value == pytest.approx(np.mean(areas))
    assert influence.sum() == pytest.approx(0, abs=1e-9)


def test_copies_of_a_pair_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(3)
    right = (rng.random(100) < 0.7).astype(float)
    alone = clustered_interval(right.mean(), (right - right.mean()) / 100, np.arange(100))
    copied = np.repeat(right, 5)
    clustered = clustered_interval(
        copied.mean(), (copied - copied.mean()) / 500, np.repeat(np.arange(100), 5)
    )
    assert clustered == pytest.approx(alone, abs=1e-6)


def test_the_interval_of_a_perfect_probe_is_not_a_point() -> None:
    low, high = clustered_interval(1.0, np.zeros(40), np.arange(40))
    assert 0.85 < low < 0.95
    assert high == pytest.approx(1)


def test_standardising_leaves_constant_columns_at_nought() -> None:
    features = standardised(np.array([[1.0, 7.0], [3.0, 7.0]]))
    np.testing.assert_allclose(features, [[-1, 0], [1, 0]])
