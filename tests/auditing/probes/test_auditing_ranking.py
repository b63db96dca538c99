"""AUROC within folds and strata: against scikit-learn, its jackknife, and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from backfire.auditing.probes.ranking import (
    auroc,
    auroc_slopes,
    cells_of,
    density,
    slopes_at_zero,
    swapped_aurocs,
)

Drawn = tuple[Any, Any, Any, Any]
SEEDS = st.integers(0, 2**31)


def drawn(seed: int, m: int = 120, levels: int = 6) -> Drawn:
    """(scores with many ties, chosen, folds, strata with some that take no part)."""
    rng = np.random.default_rng(seed)
    chosen = rng.random(m) < 0.5
    scores = np.round(rng.normal(size=m) + chosen, 1) if levels > 20 else rng.integers(0, levels, m) + chosen
    return scores.astype(np.float64), chosen, rng.integers(0, 3, m), rng.integers(-1, 3, m)


def by_hand(scores: Any, chosen: Any, folds: Any, strata: Any) -> float:
    """scikit-learn's AUROC of every fold and stratum, weighted by chosen * rejected / both."""
    from sklearn.metrics import roc_auc_score

    areas, weights = [], []
    for fold in np.unique(folds):
        for stratum in np.unique(strata[strata >= 0]):
            inside = (folds == fold) & (strata == stratum)
            up = int(chosen[inside].sum())
            if 0 < up < inside.sum():
                areas.append(roc_auc_score(chosen[inside], scores[inside]))
                weights.append(up * (inside.sum() - up) / inside.sum())
    return float(np.average(areas, weights=weights))


@settings(max_examples=20)
@given(SEEDS, st.integers(2, 40))
def test_it_is_the_weighted_mean_of_sklearns(seed: int, levels: int) -> None:
    scores, chosen, folds, strata = drawn(seed, levels=levels)
    found, _ = auroc(scores, chosen, cells_of(folds, strata, chosen))
    assert found == pytest.approx(by_hand(scores, chosen, folds, strata), abs=1e-12)
    whole, _ = auroc(scores, chosen, cells_of(folds, None, chosen))
    assert whole == pytest.approx(by_hand(scores, chosen, folds, np.zeros_like(folds)), abs=1e-12)


@settings(max_examples=20)
@given(SEEDS)
def test_influences_are_the_jackknife_and_sum_to_nothing(seed: int) -> None:
    from sklearn.metrics import roc_auc_score

    scores, chosen, folds, strata = drawn(seed, m=60)
    cells = cells_of(folds, strata, chosen)
    _, influence = auroc(scores, chosen, cells)
    assert (influence[strata < 0] == 0).all()
    for cell in cells:
        assert influence[cell.members].sum() == pytest.approx(0, abs=1e-12)
        whole = roc_auc_score(chosen[cell.members], scores[cell.members])
        for side in cell.members:
            same = int((chosen[cell.members] == chosen[side]).sum())
            if same == 1:
                continue
            left = cell.members[cell.members != side]
            without = roc_auc_score(chosen[left], scores[left])
            by_jackknife = cell.weight * (whole - without) * (same - 1) / same
            assert influence[side] == pytest.approx(by_jackknife, abs=1e-10)


@given(SEEDS)
def test_cells_hold_both_labels_and_weigh_one_together(seed: int) -> None:
    _, chosen, folds, strata = drawn(seed, m=30)
    chosen = chosen & (folds != 1)
    cells = cells_of(folds, strata, chosen)
    assume(cells)
    assert sum(cell.weight for cell in cells) == pytest.approx(1)
    seen = np.concatenate([cell.members for cell in cells])
    assert len(seen) == len(set(seen.tolist()))
    assert not np.isin(seen, np.flatnonzero(strata < 0)).any()
    for cell in cells:
        assert len(set(zip(folds[cell.members], strata[cell.members], strict=True))) == 1
        assert len(set(chosen[cell.members])) == 2


def test_no_cell_where_no_fold_holds_both_labels() -> None:
    chosen = np.array([True, True, False, False])
    assert cells_of(np.array([0, 0, 1, 1]), None, chosen) == []
    assert cells_of(np.zeros(4, dtype=np.int64), np.full(4, -1), chosen) == []


@settings(max_examples=20)
@given(SEEDS, st.sampled_from([2, 5, 40]))
def test_many_labellings_at_once_are_each_as_alone(seed: int, levels: int) -> None:
    scores, chosen, folds, strata = drawn(seed, levels=levels)
    rng = np.random.default_rng(seed + 1)
    many = np.stack([rng.permutation(scores) for _ in range(7)], axis=1)
    many[:, 0] = np.arange(len(scores)) * 0.5
    labels = np.where(rng.random(many.shape) < 0.5, 1, -1).astype(np.int8)
    labels[:, 6] = np.where(chosen, 1, -1)
    cells = cells_of(folds, strata, chosen)
    found = swapped_aurocs(many, labels, cells)
    for j in range(7):
        up = labels[:, j] > 0
        total = 0.0
        for cell in cells:
            inside = up[cell.members]
            if inside.all() or not inside.any():
                total += cell.weight / 2
                continue
            above = stats.mannwhitneyu(many[cell.members[inside], j], many[cell.members[~inside], j])
            total += cell.weight * above.statistic / (inside.sum() * (~inside).sum())
        assert found[j] == pytest.approx(total, abs=1e-12)
    assert found[6] == pytest.approx(auroc(many[:, 6], chosen, cells)[0], abs=1e-12)


def test_blocks_of_labellings_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from backfire.auditing.probes import ranking

    scores, chosen, folds, _ = drawn(3)
    many, labels = np.tile(scores[:, None], 9), np.tile(np.where(chosen, 1, -1)[:, None], 9).astype(np.int8)
    labels[:, 4] *= -1
    cells = cells_of(folds, None, chosen)
    whole = swapped_aurocs(many, labels, cells)
    monkeypatch.setattr(ranking, "BLOCK", 64)
    np.testing.assert_array_equal(swapped_aurocs(many, labels, cells), whole)
    assert whole[4] == pytest.approx(1 - whole[0])


def test_densities_are_those_of_gaussian_kernels() -> None:
    rng = np.random.default_rng(0)
    values, at = rng.gamma(3, size=400), np.linspace(-1, 12, 57)
    width = 1.06 * values.std() * 400**-0.2
    plain = np.exp(-0.5 * ((at[:, None] - values) / width) ** 2).mean(axis=1) / (width * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(density(values, at), plain, atol=0.01 * plain.max())
    assert (density(np.full(5, 2.0), at) == 0).all()


def large(seed: int = 0, m: int = 40_000) -> Drawn:
    rng = np.random.default_rng(seed)
    chosen = np.arange(m) % 2 == 0
    scores = rng.normal(size=m) + 0.8 * chosen
    folds = (np.arange(m) // 2) % 2
    return scores, chosen, folds, rng.normal(size=m)


DIRECTIONS = {
    "chosen sides go up": lambda scores, chosen, other: chosen.astype(float),
    "rejected sides go up": lambda scores, chosen, other: (~chosen).astype(float),
    "high chosen sides go up": lambda scores, chosen, other: chosen * np.tanh(scores),
    "another score is mixed in": lambda scores, chosen, other: other + 0.5 * chosen,
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_slopes_are_what_moving_the_scores_does(name: str) -> None:
    """Finite differences of the AUROC itself, on so many scores that no smoothing is needed."""
    scores, chosen, folds, other = large()
    cells = cells_of(folds, None, chosen)
    move = DIRECTIONS[name](scores, chosen, other)
    step = 0.05
    ahead, behind = (auroc(scores + way * step * move, chosen, cells)[0] for way in (1, -1))
    slopes = auroc_slopes(scores, chosen, cells)
    assert slopes @ move == pytest.approx((ahead - behind) / (2 * step), rel=0.03)


def test_stretching_or_shifting_all_scores_moves_nothing() -> None:
    scores, chosen, folds, _ = large(1, 2_000)
    cells = cells_of(folds, None, chosen)
    slopes = auroc_slopes(scores, chosen, cells)
    size = float(np.abs(slopes) @ np.abs(scores))
    assert abs(slopes @ scores) < 0.02 * size
    assert abs(slopes.sum()) < 0.02 * np.abs(slopes).sum()
    stretched = auroc_slopes(3 * scores + 1, chosen, cells)
    np.testing.assert_allclose(stretched, slopes / 3, atol=0.01 * np.abs(slopes).max())


def test_slopes_at_zero_are_the_density_there() -> None:
    """Moving N(0.4, 1) scores by what they know nothing of passes density at 0 times the mean move."""
    rng = np.random.default_rng(2)
    scores, other = rng.normal(size=(2, 60_000)) + np.array([[0.4], [0.2]])
    slopes = slopes_at_zero(scores)
    there = 60_000 * stats.norm.pdf(0.4)
    for move in (np.ones_like(scores), other, np.tanh(other) - 0.5):
        assert slopes @ move == pytest.approx(there * move.mean(), rel=0.05)
        assert slopes @ (move + 0.7 * scores) == pytest.approx(there * move.mean(), rel=0.05)
    assert slopes @ scores == pytest.approx(0, abs=1e-6 * len(scores))
    assert (slopes_at_zero(np.zeros(4)) == 0).all()


def test_equal_scores_have_no_slope() -> None:
    chosen = np.arange(10) % 2 == 0
    cells = cells_of(np.zeros(10, dtype=np.int64), None, chosen)
    value, influence = auroc(np.ones(10), chosen, cells)
    assert value == 0.5
    assert (influence == 0).all()
    assert (auroc_slopes(np.ones(10), chosen, cells) == 0).all()
