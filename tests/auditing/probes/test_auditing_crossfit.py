"""Influences of pairs against weights on the whole procedure, and swaps against sides that are really exchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, special

from backfire.auditing.probes.crossfit import VARIANCES, Crossfitted, crossfit
from backfire.auditing.probes.folds import Split, make_split
from backfire.auditing.probes.held_out import scaled
from backfire.auditing.probes.smoothers import PENALTY, kernel_of

PAIRS, WIDTH = 150, 6
NUMBERS = ("auroc", "accuracy", "pairwise", "information")


def planted(pairs: int = PAIRS, width: int = WIDTH, seed: int = 0) -> Any:
    """Rows [2 * pairs, width] with a cue in the first feature and a weaker one in the second."""
    rows = np.random.default_rng(seed).normal(size=(2 * pairs, width))
    rows[:pairs, 0] += 0.8
    rows[:pairs, 1] += 0.4
    return scaled(rows)


def division(pairs: int = PAIRS) -> Split:
    return make_split(np.arange(pairs), controls=30)


def crossfitted(rows: Any, split: Split, strata: Any = None, swaps: bool = True) -> Crossfitted:
    signs = np.ones((split.pairs, 1), dtype=np.int8)
    return crossfit(rows, np.hstack([signs, split.swaps]) if swaps else signs, split.folds, strata)


class Weighted:
    """The whole procedure again in plain numpy, with a weight on every pair in fitting and in comparing."""

    def __init__(self, rows: Any, folds: Any) -> None:
        self.rows, self.folds = rows, folds
        self.pairs = len(folds)

    def scores(self, weights: Any) -> Any:
        """Held-out pointwise scores, fold by fold less their mean: [2 * pairs]."""
        found = self._held_out(self.rows, np.repeat([1.0, -1.0], self.pairs), np.tile(weights, 2))
        both = np.tile(self.folds, 2)
        for k in range(5):
            found[both == k] -= found[both == k].mean()
        return found

    def margins(self, weights: Any) -> Any:
        return self._held_out(self.rows[: self.pairs] - self.rows[self.pairs :], np.ones(self.pairs), weights)

    def probes(self, rows: Any, labels: Any, weights: Any) -> Any:
        """Each fold's weights of features: [5, width]."""
        folds, found = np.resize(self.folds, len(rows)), []
        for k in range(5):
            x, w = rows[folds != k], weights[folds != k]
            left = x.T @ (w[:, None] * x) + PENALTY * np.eye(x.shape[1])
            found.append(np.linalg.solve(left, x.T @ (w * labels[folds != k])))
        return np.array(found)

    def _held_out(self, rows: Any, labels: Any, weights: Any) -> Any:
        probes = self.probes(rows, labels, weights)
        return np.sum(rows * probes[np.resize(self.folds, len(rows))], axis=1)

    def auroc(self, scores: Any, weights: Any, smooth: float) -> float:
        """Weighted AUROC of every fold, averaged; a comparison is Φ(difference / width), the width in deviations."""
        total = 0.0
        for k in range(5):
            inside = np.flatnonzero(self.folds == k)
            up, down = scores[inside], scores[inside + self.pairs]
            apart = up[:, None] - down
            spread = smooth * np.concatenate([up - up.mean(), down - down.mean()]).std()
            won = special.ndtr(apart / spread) if smooth else (apart > 0) + 0.5 * (apart == 0)
            w = weights[inside]
            total += len(inside) / self.pairs * float(w @ won @ w) / w.sum() ** 2
        return total


def by_weights(value: Any, pairs: int = PAIRS, among: Any = range(PAIRS), step: float = 1e-4) -> Any:
    """Central differences of value(weights [pairs]), all of them 1 but one: [among]."""
    found = []
    for i in among:
        ahead, behind = np.ones(pairs), np.ones(pairs)
        ahead[i] += step
        behind[i] -= step
        found.append((value(ahead) - value(behind)) / (2 * step))
    return np.array(found)


def test_the_testing_influence_is_the_weight_in_the_comparison() -> None:
    rows, split = planted(), division()
    found, plain = crossfitted(rows, split), Weighted(rows, split.folds)
    scores = plain.scores(np.ones(PAIRS))
    np.testing.assert_allclose(found.scores, scores, atol=1e-10)
    np.testing.assert_allclose(found.margins, plain.margins(np.ones(PAIRS)), atol=1e-10)
    assert found.auroc.values[0] == pytest.approx(plain.auroc(scores, np.ones(PAIRS), 0), abs=1e-12)
    expected = by_weights(lambda weights: plain.auroc(scores, weights, 0))
    np.testing.assert_allclose(found.auroc.testing[:, 0], expected, atol=1e-7)
    right = (scores[:PAIRS] > 0).astype(float) / 2 + (scores[PAIRS:] < 0) / 2
    assert found.accuracy.values[0] == pytest.approx(right.mean())
    np.testing.assert_allclose(found.accuracy.testing[:, 0], (right - right.mean()) / PAIRS, atol=1e-12)
    told = found.margins > 0
    np.testing.assert_allclose(found.pairwise.testing[:, 0], (told - told.mean()) / PAIRS, atol=1e-12)


def agree(found: Any, expected: Any, correlation: float, size: float) -> None:
    assert np.corrcoef(found, expected)[0, 1] > correlation
    assert found @ expected / (expected @ expected) == pytest.approx(1, abs=size)


def test_the_training_influence_of_bits_is_the_weight_in_the_fit() -> None:
    """Bits are smooth in the margins, so that the derivative is exact: no kernel stands between."""
    rows, split = planted(), division()
    found, plain = crossfitted(rows, split), Weighted(rows, split.folds)
    margins = plain.margins(np.ones(PAIRS))
    slope = np.log(1 / (1 - 2 ** (found.bits - 1)) - 1) / margins
    for k in range(5):
        np.testing.assert_allclose(slope[split.folds == k], slope[split.folds == k][0], rtol=1e-6)

    def bits(weights: Any) -> float:
        moved: float = (1 - np.logaddexp(0, -slope * plain.margins(weights)) / np.log(2)).mean()
        return moved

    np.testing.assert_allclose(found.information.training, by_weights(bits), atol=1e-7)


def test_the_influence_on_auroc_is_the_weight_in_fit_and_comparison() -> None:
    """A Gaussian kernel stands in for the steps of the AUROC, in the test another than in the code."""
    rows, split = planted(), division()
    found, plain = crossfitted(rows, split), Weighted(rows, split.folds)
    one = np.ones(PAIRS)
    area = by_weights(lambda weights: plain.auroc(plain.scores(weights), one, 0.5))
    agree(found.auroc.training, area, 0.97, 0.15)
    whole = by_weights(lambda weights: plain.auroc(plain.scores(weights), weights, 0.5))
    agree(found.auroc.testing[:, 0] + found.auroc.training, whole, 0.97, 0.15)


def test_the_training_influence_is_what_all_further_pairs_would_show() -> None:
    """The sides are normal, so that every number of a probe is known: Φ(w·shift / deviation of w·x).

    Features are so small that the penalty rules, and weights go after the shift alone: far from the best ones, which
    would have no slope.
    """
    pairs, among = 4_000, np.arange(0, 4_000, 50)
    shift, deviations = 0.005 * np.array([0.6, 0.3, 0.5]), 0.005 * np.array([1.0, 0.3, 2.0])
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(2 * pairs, 3)) * deviations + np.repeat([shift, -shift], pairs, axis=0) / 2
    split = make_split(np.arange(pairs), controls=2)
    found, plain = crossfitted(rows, split), Weighted(rows, split.folds)
    labels, apart = np.repeat([1.0, -1.0], pairs), rows[:pairs] - rows[pairs:]

    def known(probes: Any, times: float) -> float:
        share: float = special.ndtr(
            probes @ shift / np.linalg.norm(probes * deviations * times, axis=1)
        ).mean()
        return share

    def pointwise(weights: Any) -> Any:
        return plain.probes(rows, labels, np.tile(weights, 2))

    def pairwise(weights: Any) -> Any:
        return plain.probes(apart, np.ones(pairs), weights)

    for number, probes, times in (
        (found.auroc, pointwise, np.sqrt(2)),
        (found.accuracy, pointwise, 2),
        (found.pairwise, pairwise, np.sqrt(2)),
    ):
        expected = by_weights(lambda weights, p=probes, t=times: known(p(weights), t), pairs, among)
        assert number.values[0] == pytest.approx(known(probes(np.ones(pairs)), times), abs=0.02)
        agree(number.training[among], expected, 0.9, 0.15)


@pytest.mark.parametrize("kind", ["features", "kernel"])
def test_a_swap_is_what_exchanging_the_sides_gives(kind: str) -> None:
    rows, split = planted(width=8), division()
    strata = np.tile(np.arange(PAIRS) % 3, 2)
    prepared = rows if kind == "features" else kernel_of(sparse.csr_matrix(rows))
    found = crossfitted(prepared, split, strata)
    for j in (0, 5, 13, 29):
        down = np.flatnonzero(split.swaps[:, j] < 0)
        exchanged = rows.copy()
        exchanged[down], exchanged[down + PAIRS] = rows[down + PAIRS], rows[down]
        really = crossfitted(
            exchanged if kind == "features" else kernel_of(sparse.csr_matrix(exchanged)), split, strata, False
        )
        for name in NUMBERS:
            one, other = getattr(found, name), getattr(really, name)
            assert one.values[1 + j] == pytest.approx(other.values[0], abs=1e-9), name
            if j < VARIANCES:
                np.testing.assert_allclose(one.testing[:, 1 + j], other.testing[:, 0], atol=1e-9)
        if j < VARIANCES:
            np.testing.assert_allclose(found.bits_swapped[:, j], really.bits, atol=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_exchanging_all_sides_changes_no_pairwise_number_and_turns_the_scores(seed: int) -> None:
    rows, split = planted(60, 3, seed), make_split(np.arange(60), controls=3, seed=seed)
    one = crossfitted(rows, split)
    other = crossfitted(np.vstack([rows[60:], rows[:60]]), split)
    np.testing.assert_allclose(other.margins, one.margins, atol=1e-9)
    np.testing.assert_allclose(other.bits, one.bits, atol=1e-6)
    np.testing.assert_allclose(other.scores[:60], -one.scores[60:], atol=1e-9)
    for name in NUMBERS:
        assert getattr(other, name).values == pytest.approx(getattr(one, name).values, abs=1e-9)


def test_the_pairwise_score_is_odd() -> None:
    """A pair that comes the other way round gets the opposite score, and is right as often; equal sides get 0."""
    rows, split = planted(), division()
    one = crossfitted(rows, split, swaps=False)
    pair = 7
    turned = rows.copy()
    turned[pair], turned[pair + PAIRS] = rows[pair + PAIRS], rows[pair]
    signs = np.ones((PAIRS, 1), dtype=np.int8)
    signs[pair] = -1
    plain = Weighted(turned, split.folds)
    other = crossfit(turned, signs, split.folds, None)
    np.testing.assert_allclose(other.margins, one.margins, atol=1e-9)
    without = np.ones(PAIRS)
    without[pair] = 0
    assert plain.margins(without)[pair] == pytest.approx(-Weighted(rows, split.folds).margins(without)[pair])
    same = crossfitted(np.vstack([rows[:PAIRS], rows[:PAIRS]]), split, swaps=False)
    assert (same.margins == 0).all()
    assert (same.bits == 0).all()
    for found in (same.pairwise, same.auroc, same.accuracy):
        np.testing.assert_allclose(found.values, [0.5], atol=1e-12)


def test_each_stratum_has_the_number_of_its_sides_alone() -> None:
    rows, split = planted(), division()
    strata = np.tile(np.arange(PAIRS) % 2, 2)
    signs = np.hstack([np.ones((PAIRS, 1), dtype=np.int8), split.swaps])
    found = crossfit(rows, signs, split.folds, strata, (0, 1))
    from sklearn.metrics import roc_auc_score

    both, labels = np.tile(split.folds, 2), np.repeat([1, 0], PAIRS)
    for stratum in (0, 1):
        areas, weights = [], []
        for k in range(5):
            inside = (strata == stratum) & (both == k)
            areas.append(roc_auc_score(labels[inside], found.scores[inside]))
            weights.append(inside.sum())
        value = found.strata[stratum].values[0]
        assert value == pytest.approx(np.average(areas, weights=weights), abs=1e-12)
    assert found.auroc.values[0] == pytest.approx(
        np.mean([found.strata[s].values[0] for s in (0, 1)]), abs=0.01
    )


def test_noise_is_the_share_of_the_scores_that_labels_at_random_give_too() -> None:
    split = make_split(np.arange(2_000), controls=40)
    nothing = np.random.default_rng(0).normal(size=(4_000, 20))
    assert crossfitted(scaled(nothing), split).auroc.noise > 0.8
    clear = nothing.copy()
    clear[:2_000, 0] += 3
    assert crossfitted(scaled(clear), split).auroc.noise < 0.05
