"""Do 95% intervals cover, and do shuffled controls hold their level? Roughly, by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from backfire.auditing.separability import Rung, make_split, rung


def simulated(pairs: int, width: int, shift: float, seed: int, copies: int = 1) -> Rung:
    """Gaussian features; the two sides of a pair share half of their variance; `shift` on the first column."""
    rng = np.random.default_rng(seed)
    shared, chosen, rejected = rng.normal(size=(3, pairs // copies, width)) * np.sqrt(0.5)
    chosen, rejected = chosen + shared, rejected + shared
    chosen[:, 0] += shift
    groups = [f"{i:06d}" for i in np.repeat(np.arange(len(chosen)), copies)]
    split = make_split(groups, 5, 19, seed)
    both = np.repeat(chosen, copies, axis=0), np.repeat(rejected, copies, axis=0)
    return rung("simulated", "", *both, split, folds=5, penalty=0.3, dense=True)


def coverage(
    runs: int, pairs: int, width: int, shift: float, copies: int = 1
) -> tuple[float, float, float, float]:
    """Share of runs whose interval holds the mean estimate (a half where nothing is planted), and with p <= .05."""
    found = [simulated(pairs, width, shift, seed, copies) for seed in range(runs)]
    result: list[float] = []
    for estimates in ([r.pointwise for r in found], [r.pairwise for r in found]):
        kept = [e for e in estimates if e is not None]
        assert len(kept) == runs
        truth = float(np.mean([e.value for e in kept])) if shift else 0.5
        result.append(float(np.mean([e.low <= truth <= e.high for e in kept])))
        result.append(float(np.mean([e.control.p <= 0.05 for e in kept])))
    return result[0], result[1], result[2], result[3]


def test_intervals_cover_and_controls_hold_their_level_without_a_cue() -> None:
    point, p_point, pair, p_pair = coverage(120, 100, 5, 0.0)
    assert 0.88 <= point <= 1
    assert 0.88 <= pair <= 1
    assert p_point <= 0.12
    assert p_pair <= 0.12


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pairs", "width", "shift", "copies"),
    [(100, 1, 0, 1), (500, 30, 0, 1), (500, 200, 0, 1), (500, 30, 0, 4), (500, 1, 0.4, 1), (500, 30, 0.6, 1), (100, 30, 0.6, 1), (500, 30, 0.6, 4)],
)  # fmt: skip
def test_intervals_cover(pairs: int, width: int, shift: float, copies: int) -> None:
    point, p_point, pair, p_pair = coverage(300, pairs, width, shift, copies)
    assert 0.9 <= point <= 0.995
    assert 0.9 <= pair <= 1
    if not shift:
        assert max(p_point, p_pair) <= 0.1
