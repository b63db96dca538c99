"""Every way to the held-out scores against a plain loop of refitted scikit-learn ridges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from backfire.auditing.probes import smoothers
from backfire.auditing.probes.folds import make_split
from backfire.auditing.probes.smoothers import (
    PENALTY,
    Dual,
    Iterated,
    Kernel,
    Primal,
    differences,
    kernel_of,
    smoother_of,
)

FOLDS = 4


def some_rows(kind: str, m: int = 90, width: int = 33) -> Any:
    rng = np.random.default_rng(0)
    if kind == "dense":
        return rng.normal(size=(m, width)) / np.sqrt(width)
    held = rng.random((m, width)) < np.where(np.arange(width) < 5, 0.8, 0.05)
    return sparse.csr_matrix((held * rng.random((m, width))).astype(np.float64))


def some_folds(m: int = 90) -> Any:
    return make_split(np.arange(m) // 2, folds=FOLDS).folds


def some_labels(m: int = 90) -> Any:
    return np.random.default_rng(1).choice([-1, 1], (m, 6)).astype(np.int8)


def refitted(rows: Any, folds: Any, labels: Any) -> tuple[Any, Any]:
    """(held-out scores [m, labellings], fitted ones of the first labelling [m, folds]) by one Ridge after another."""
    from sklearn.linear_model import Ridge

    dense = rows.toarray() if sparse.issparse(rows) else np.asarray(rows)
    held_out, fitted = np.zeros(labels.shape), np.zeros((len(labels), FOLDS))
    for k in range(FOLDS):
        inside, outside = folds == k, folds != k
        for j in range(labels.shape[1]):
            probe = Ridge(alpha=PENALTY, fit_intercept=False, solver="svd")
            probe.fit(dense[outside], labels[outside, j].astype(float))
            held_out[inside, j] = probe.predict(dense[inside])
            if j == 0:
                fitted[outside, k] = probe.predict(dense[outside])
    return held_out, fitted


def ways(kind: str) -> dict[str, tuple[Any, Any]]:
    """Smoothers of the same rows, by name, with the rows."""
    rows, folds = some_rows(kind), some_folds()
    found = {"dual": (Dual((rows @ rows.T).toarray() if kind == "sparse" else rows @ rows.T, folds), rows)}
    if kind == "dense":
        return found | {"primal": (Primal(rows, folds), rows)}
    return found | {"iterated": (Iterated(rows, folds), rows)}


CASES = [("dense", "dual"), ("dense", "primal"), ("sparse", "dual"), ("sparse", "iterated")]


@pytest.fixture
def to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conjugate gradients that go on until nothing moves."""
    monkeypatch.setattr(smoothers, "TOLERANCE", 1e-12)
    monkeypatch.setattr(smoothers, "STEPS", 500)


@pytest.mark.usefixtures("to_the_end")
@pytest.mark.parametrize(("kind", "way"), CASES)
def test_scores_are_those_of_refitted_ridges(kind: str, way: str) -> None:
    smoother, rows = ways(kind)[way]
    labels, folds = some_labels(), some_folds()
    held_out, fitted = refitted(rows, folds, labels)
    np.testing.assert_allclose(smoother.held_out(labels), held_out, atol=1e-9)
    np.testing.assert_allclose(smoother.fitted(labels[:, 0].astype(float)), fitted, atol=1e-9)
    assert (smoother.fitted(labels[:, 0].astype(float))[np.arange(90), folds] == 0).all()


@pytest.mark.usefixtures("to_the_end")
@pytest.mark.parametrize(("kind", "way"), CASES)
def test_the_adjoint_is_the_transpose_fold_by_fold(kind: str, way: str) -> None:
    smoother, rows = ways(kind)[way]
    folds, rng = some_folds(), np.random.default_rng(2)
    slopes, labels = rng.normal(size=(2, 90))
    scores, back = smoother.held_out(labels[:, None])[:, 0], smoother.adjoint(slopes)
    assert back.shape == (90, FOLDS)
    for k in range(FOLDS):
        assert back[:, k] @ labels == pytest.approx(slopes[folds == k] @ scores[folds == k], abs=1e-9)
        assert (back[folds == k, k] == 0).all()
    one = np.zeros((90, 1))
    one[17] = 1
    by_hand = slopes @ refitted(rows, folds, one)[0][:, 0]
    assert back[17].sum() == pytest.approx(by_hand, abs=1e-9)


def test_conjugate_gradients_stop_in_the_third_digit() -> None:
    """With the tolerance that audits use, on rows like theirs: nothing of the order of scores is lost."""
    rng = np.random.default_rng(3)
    held = rng.random((600, 900)) < rng.pareto(1.0, 900) * 0.02
    rows = sparse.csr_matrix(held * rng.random((600, 900)))
    rows = sparse.diags_array(1 / np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel() + 1e-9)) @ rows
    folds = make_split(np.arange(300), folds=FOLDS).folds.repeat(2)
    labels = np.tile([1.0, -1.0], 300)[:, None] * np.ones((1, 2))
    rows = sparse.csr_matrix(rows)
    exact, near = refitted(rows, folds, labels)[0], Iterated(rows, folds).held_out(labels)
    assert np.abs(near - exact).max() < 0.05 * np.abs(exact).max()
    assert np.corrcoef(near[:, 0], exact[:, 0])[0, 1] > 0.999


@pytest.mark.usefixtures("to_the_end")
def test_probes_of_folds_without_a_row() -> None:
    """A sample may have no row of some fold; that fold's probe is then fitted on all of them."""
    from sklearn.linear_model import Ridge

    rows, labels = some_rows("sparse"), some_labels()[:, 0].astype(float)
    folds = np.where(some_folds() == 3, 0, some_folds())
    weights = Iterated(rows, folds, FOLDS).weights(labels)
    assert weights.shape == (33, FOLDS)
    whole = Ridge(alpha=PENALTY, fit_intercept=False).fit(rows.toarray(), labels).coef_
    np.testing.assert_allclose(weights[:, 3], whole, atol=1e-9)
    assert Iterated(rows, folds).weights(labels).shape == (33, 3)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_kernels_of_parts_and_differences(kind: str) -> None:
    rows = some_rows(kind, m=60, width=64 if kind == "dense" else 33)
    kernel = kernel_of(rows)
    dense = rows.toarray() if kind == "sparse" else rows
    assert isinstance(kernel, Kernel)
    assert kernel.shape == (60, 60)
    np.testing.assert_allclose(kernel.matrix, dense @ dense.T, atol=1e-12)
    kept = np.array([3, 4, 20, 31, 59])
    np.testing.assert_allclose(kernel[kept].matrix, dense[kept] @ dense[kept].T, atol=1e-12)
    apart = dense[:30] - dense[30:]
    np.testing.assert_allclose(differences(kernel).matrix, apart @ apart.T, atol=1e-12)
    found = differences(rows)
    np.testing.assert_allclose(found.toarray() if kind == "sparse" else found, apart, atol=1e-12)
    assert kernel_of(kernel) is kernel


def test_rows_get_the_way_that_suits_them(monkeypatch: pytest.MonkeyPatch) -> None:
    dense, rare, folds = some_rows("dense"), some_rows("sparse"), some_folds()
    assert isinstance(smoother_of(kernel_of(dense), folds), Primal)
    assert isinstance(smoother_of(kernel_of(rare), folds), Dual)
    monkeypatch.setattr(smoothers, "DUAL_ROWS", 89)
    assert isinstance(smoother_of(kernel_of(rare), folds), Iterated)


def test_single_precision_loses_nothing_that_matters() -> None:
    rows = some_rows("dense", m=600, width=300)
    folds, labels = some_folds(600), some_labels(600)
    exact = Primal(rows, folds).held_out(labels)
    for single in (
        Primal(rows.astype(np.float32), folds),
        Dual((rows @ rows.T).astype(np.float32), folds),
    ):
        found = single.held_out(labels)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, exact, atol=2e-4)
