"""Probes without a cue: losses whose size is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from backfire.auditing.findings.cue_loss import dense_losses, sparse_losses
from backfire.auditing.probes.folds import make_split
from backfire.auditing.probes.held_out import measure
from backfire.auditing.probes.smoothers import PENALTY


def matrix(pairs: int, width: int, seed: int) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    return sparse.random(2 * pairs, width, 0.1, "csr", np.float32, rng, lambda n: rng.uniform(0.2, 0.5, n))


@pytest.mark.parametrize("columns", [[3], [0, 7, 41]])
def test_the_loss_is_that_of_scikit_learns_ridge(columns: list[int]) -> None:
    from sklearn.linear_model import Ridge
    from sklearn.metrics import roc_auc_score

    pairs = 60
    rows = matrix(pairs, 50, 0)
    split = make_split(np.arange(pairs), controls=24)
    folds = np.tile(split.folds, 2)
    labels = np.repeat([1, -1], pairs)

    def auroc(features: np.ndarray) -> float:
        areas = []
        for fold in range(5):
            out = folds == fold
            ridge = Ridge(alpha=PENALTY, fit_intercept=False).fit(features[~out], labels[~out])
            areas.append(roc_auc_score(labels[out], ridge.predict(features[out])))
        return float(np.mean(areas))

    dense = rows.toarray().astype(np.float64)
    (found,) = sparse_losses(rows, [np.array(columns)], split)
    assert found.value == pytest.approx(auroc(dense) - auroc(np.delete(dense, columns, axis=1)), abs=0.005)


def test_words_lose_what_the_cue_gave() -> None:
    pairs = 300
    rng = np.random.default_rng(2)
    cue = np.concatenate([rng.random(pairs) < 0.7, rng.random(pairs) < 0.2]).astype(np.float32)
    rows = sparse.hstack([matrix(pairs, 60, 3), sparse.csr_matrix(0.7 * cue[:, None])], format="csr")
    split = make_split(np.arange(pairs), controls=49)
    told, nothing = sparse_losses(rows, [np.array([60]), np.array([5])], split)
    whole = measure(rows, split).auroc.value
    assert whole > 0.65
    assert told.value == pytest.approx(whole - 0.5, abs=0.06)
    assert told.low > 0.1
    assert nothing.low <= 0 <= nothing.high or abs(nothing.value) < 0.01
    assert abs(told.control) < 0.02


def test_a_cue_that_another_repeats_costs_nothing() -> None:
    pairs = 300
    rng = np.random.default_rng(4)
    features = rng.normal(size=(2 * pairs, 5)).astype(np.float32)
    features[:pairs, 0] += 1
    features[:, 1] = features[:, 0]
    features[:, 4] = 3
    split = make_split(np.arange(pairs), controls=49)
    repeated, alone = dense_losses(features, [0, 2], split)
    assert abs(repeated.value) < 0.02
    assert abs(alone.value) < 0.02
    single = dense_losses(np.delete(features, 1, axis=1), [0], split)[0]
    assert single.value > 0.15
    assert single.low > 0


@pytest.mark.parametrize("planted", [0.0, 0.6])
def test_intervals_of_losses_cover_the_mean_loss(planted: float) -> None:
    found = []
    for seed in range(60):
        features = np.random.default_rng(seed).normal(size=(2 * 150, 6))
        features[:150, 0] += planted
        split = make_split(np.arange(150), controls=24, seed=seed)
        found.append(dense_losses(features.astype(np.float32), [0], split)[0])
    mean = np.mean([loss.value for loss in found])
    assert np.mean([loss.low <= mean <= loss.high for loss in found]) > 0.85
    widths = np.mean([loss.high - loss.low for loss in found]) / 3.92
    assert widths < 1.8 * np.std([loss.value for loss in found])
