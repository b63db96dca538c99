"""Divisions into folds, and swaps: whole prompt groups, whatever the order of the rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from backfire.auditing.probes.folds import DIVISIONS, FEWEST_PAIRS, REPEATED_PAIRS, Split, make_split, too_few

GROUPS = st.lists(st.integers(1, 9), min_size=1, max_size=60).flatmap(
    lambda sizes: st.permutations(np.repeat(np.arange(len(sizes)) * 7 + 3, sizes).tolist())
)


def by_group(values: np.ndarray, groups: np.ndarray) -> dict[int, set[int]]:
    return {int(group): set(values[groups == group].tolist()) for group in np.unique(groups)}


@given(GROUPS, st.integers(2, 7), st.integers(0, 2**31))
def test_folds_keep_groups_whole_and_differ_by_at_most_the_largest(
    groups: list[int], folds: int, seed: int
) -> None:
    of = np.array(groups)
    split = make_split(of, folds=folds, seed=seed)
    largest = np.unique(of, return_counts=True)[1].max()
    for division in split.divisions():
        assert all(len(found) == 1 for found in by_group(division, of).values())
        sizes = np.bincount(division, minlength=folds)
        assert len(sizes) == folds
        assert sizes.max() - sizes.min() <= largest


@given(GROUPS, st.integers(1, 199), st.integers(0, 2**31))
def test_a_group_is_swapped_as_one(groups: list[int], controls: int, seed: int) -> None:
    of = np.array(groups)
    swaps = make_split(of, controls=controls, seed=seed).swaps
    assert swaps.shape == (len(of), controls)
    assert set(np.unique(swaps)) <= {-1, 1}
    for group in np.unique(of):
        assert (swaps[of == group] == swaps[of == group][0]).all()


def test_swaps_are_fair_and_know_nothing_of_one_another() -> None:
    groups = np.arange(4_000)
    swaps = make_split(groups, controls=199, seed=5).swaps.astype(np.float64)
    level = 1e-6
    ups = int((swaps > 0).sum())
    assert stats.binomtest(ups, swaps.size).pvalue > level
    for counts, out_of in (((swaps > 0).sum(axis=0), 4_000), ((swaps > 0).sum(axis=1), 199)):
        spread = np.sum((counts - out_of / 2) ** 2) / (out_of / 4)
        assert level < stats.chi2.sf(spread, len(counts)) < 1 - level
    between = (swaps.T @ swaps / len(groups))[np.triu_indices(199, 1)]
    assert level < stats.chi2.sf(len(groups) * np.sum(between**2), len(between)) < 1 - level
    other = make_split(groups, controls=199, seed=6).swaps
    assert abs(np.mean(swaps * other)) < 0.01
    neighbours = np.mean(swaps[1:] * swaps[:-1])
    assert abs(neighbours) < 0.01


def test_divisions_are_drawn_anew_and_few_where_pairs_are_many() -> None:
    few, many = (make_split(np.arange(n)) for n in (REPEATED_PAIRS, REPEATED_PAIRS + 1))
    assert [len(split.divisions()) for split in (few, many)] == [DIVISIONS, 1]
    for i, one in enumerate(few.divisions()):
        for other in few.divisions()[:i]:
            assert np.mean(one == other) == pytest.approx(1 / 5, abs=0.06)
    assert (few.divisions()[0] == few.folds).all()


@given(GROUPS, st.integers(1, 120), st.integers(0, 2**31))
def test_a_part_is_whole_groups_and_not_too_much(groups: list[int], most: int, seed: int) -> None:
    of = np.array(groups)
    split = make_split(of, seed=seed)
    part = split.part(most)
    assert (np.diff(part) > 0).all()
    assert len(part) <= max(most, 0)
    taken = set(of[part].tolist())
    assert len(part) == np.isin(of, list(taken)).sum()
    numbers, sizes = np.unique(of, return_counts=True)
    left = [size for number, size in zip(numbers, sizes, strict=True) if number not in taken]
    assert all(size > most - len(part) for size in left), "a group was left out that would have fitted"


def test_a_part_is_drawn_by_lot() -> None:
    groups = np.repeat(np.arange(500), 2)
    parts = [set(groups[make_split(groups, seed=seed).part(300)].tolist()) for seed in range(40)]
    hits = np.array([sum(g in part for part in parts) for g in range(500)])
    assert {len(part) for part in parts} == {150}
    spread = np.sum((hits - 12) ** 2) / (40 * 0.3 * 0.7)
    assert 1e-6 < stats.chi2.sf(spread, 499) < 1 - 1e-6


def test_reasons_for_no_number() -> None:
    reasons = {
        "enough": make_split(np.arange(FEWEST_PAIRS)),
        "too few pairs: 29 usable, 30 needed": make_split(np.arange(29)),
        "too few pairs: 0 usable, 30 needed": make_split(np.arange(0)),
        "too few prompts: 9 distinct ones, 10 needed": make_split(np.arange(90) % 9),
        "too few prompts: 12 distinct ones, 14 needed": make_split(np.arange(90) % 12, folds=7),
        "too few prompts: one of them, with its near copies, holds 51 of 100 pairs": make_split(
            np.concatenate([np.zeros(51, dtype=np.int64), np.arange(1, 50)])
        ),
    }
    assert [too_few(split) or "enough" for split in reasons.values()] == list(reasons)
    half = make_split(np.concatenate([np.zeros(50, dtype=np.int64), np.arange(1, 51)]))
    assert too_few(half) is None
    lacking = make_split(np.arange(100))
    assert too_few(lacking.subset(np.flatnonzero(lacking.folds != 2))) is not None


@given(GROUPS, st.randoms(use_true_random=False), st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(groups: list[int], random: object, seed: int) -> None:
    of = np.array(groups)
    order = list(range(len(of)))
    random.shuffle(order)  # type: ignore[attr-defined]
    one, other = (make_split(g, controls=70, seed=seed) for g in (of, of[order]))
    assert (other.swaps == one.swaps[order]).all()
    for a, b in zip(one.divisions(), other.divisions(), strict=True):
        assert (b == a[order]).all()
    assert set(of[one.part(20)]) == set(of[order][other.part(20)])
    assert too_few(one) == too_few(other)


def test_a_subset_keeps_folds_and_swaps() -> None:
    split = make_split(np.repeat(np.arange(40), 2), controls=65, seed=3)
    kept = np.array([0, 3, 17, 44, 79])
    small = split.subset(kept)
    assert isinstance(small, Split)
    assert (small.folds == split.folds[kept]).all()
    assert (small.swaps == split.swaps[kept]).all()
    assert (small.pairs, small.prompts, small.count) == (5, 5, 5)
