"""Intervals of numbers near 1, and of cues that part the scores in two: neither blown up nor too narrow."""

from __future__ import annotations

import numpy as np
import pytest

from backfire.auditing.probes.folds import make_split
from backfire.auditing.probes.held_out import Measured, measure
from backfire.auditing.text_pass import collect
from backfire.preferences import open_preferences
from synthetic_pairs import rows


def strong(seed: int, shift: float) -> Measured:
    """100 pairs, 30 normal features whose variance the sides share by half, one of them shifted."""
    rng = np.random.default_rng(seed)
    shared, chosen, rejected = rng.normal(size=(3, 100, 30)) * np.sqrt(0.5)
    chosen[:, 0] += shift
    return measure(
        np.vstack([chosen + shared, rejected + shared]), make_split(np.arange(100), controls=60, seed=seed)
    )


@pytest.mark.parametrize("shift", [2.0, 4.0])
def test_a_strong_cue_has_the_spread_that_its_interval_states(shift: float) -> None:
    found = [strong(seed, shift).auroc for seed in range(16)]
    values = np.array([f.value for f in found])
    stated = np.array([f.high - f.low for f in found]) / (2 * 1.96)
    assert values.mean() > 0.88
    assert 0.6 < stated.mean() / values.std(ddof=1) < 4
    assert sum(f.low <= values.mean() <= f.high for f in found) >= 13
    assert min(f.low for f in found) > values.mean() - 0.12


def test_a_cue_of_half_the_pairs_has_the_spread_that_its_interval_states() -> None:
    """Scores are then parted in two heaps, whose density is no bell."""
    found = []
    for seed in range(12):
        pairs = collect(open_preferences(rows(150, seed, cue="refusal", share=0.5)).blocks())
        found.append(measure(pairs.cues, make_split(pairs.groups, controls=60, seed=0)).auroc)
    values = np.array([f.value for f in found])
    stated = np.array([f.high - f.low for f in found]) / (2 * 1.96)
    assert 0.68 < values.mean() < 0.8
    assert 0.6 < stated.mean() / values.std(ddof=1) < 2
    assert stated.max() < 0.08
