"""Do 95% intervals cover what they state, and are p-values uniform where nothing is planted? By simulation.

`scripts/simulate_coverage.py` draws and measures the sets, and prints the table that docs/log.md shows.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))

from simulate_coverage import DESIGNS, SIZES, Simulated, numeric, simulated, sources

from backfire.auditing.probes.folds import make_split
from backfire.auditing.probes.held_out import measure

WORKERS = 2
LEVEL = 0.001
"""Of every test of uniformity."""
PLANTED = {"none": False, "cue": True, "source": True}


@cache
def many(design: str, pairs: int, sets: int) -> Simulated:
    return simulated(design, pairs, sets, workers=WORKERS)


def check_p_values(found: Simulated) -> None:
    """Uniform for AUROC, which hardly ever ties; never too small for accuracies, whose ties count against the truth."""
    sets = len(found.found)
    assert stats.chisquare(found.tenths("auroc")).pvalue > LEVEL
    for number in ("auroc", "accuracy", "pairwise_accuracy", "information"):
        p = found.p_values(number)
        assert p.min() >= 1 / 200
        for level in (0.01, 0.05, 0.1, 0.25, 0.5):
            below = int(np.count_nonzero(p <= level + 1e-12))
            assert stats.binomtest(below, sets, level, alternative="greater").pvalue > LEVEL, (number, level)


SHORT = pytest.mark.xfail(reason="a cue at 100 pairs is covered 92.8 times in a hundred (docs/log.md)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "pairs"),
    [
        pytest.param(design, pairs, marks=SHORT if (design, pairs) == ("cue", 100) else ())
        for design in PLANTED
        for pairs in SIZES
    ],
)
def test_intervals_cover_93_to_97_times_in_a_hundred(design: str, pairs: int) -> None:
    """The stated value is the mean over the 2,000 sets, and one half where nothing is planted."""
    found = many(design, pairs, 2000)
    assert DESIGNS[design].planted is PLANTED[design]
    assert 0.93 <= found.coverage("auroc") <= 0.97
    if design == "none":
        assert found.found[:, 0, 0].mean() == pytest.approx(0.5, abs=4 * found.deviation("auroc") / 2000**0.5)
    else:
        assert found.truth("auroc") > 0.58


@pytest.mark.slow
@pytest.mark.parametrize("pairs", SIZES)
def test_p_values_are_uniform_where_nothing_is_planted(pairs: int) -> None:
    check_p_values(many("none", pairs, 2000))


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [100, 500])
@pytest.mark.parametrize("design", ["none-1", "cue-1", "noise", "copies"])
def test_intervals_cover_in_other_designs(design: str, pairs: int) -> None:
    """One feature, wrong labels, copies of a pair: 600 sets each, and as much leeway more as so many need."""
    found = many(design, pairs, 600)
    low, high = stats.binom.ppf([LEVEL, 1 - LEVEL], 600, [0.93, 0.97]) / 600
    assert low <= found.coverage("auroc") <= high
    if design == "none-1":
        check_p_values(found)


@pytest.mark.parametrize("design", ["none", "cue", "copies"])
def test_intervals_cover_in_a_few_small_sets(design: str) -> None:
    found = many(design, 100, 120)
    fewest = stats.binom.ppf(LEVEL, 120, 0.93) / 120
    for number in ("auroc", "accuracy", "pairwise_accuracy"):
        assert found.coverage(number) >= fewest, number
        assert found.stated(number) == pytest.approx(found.deviation(number), rel=0.3), number
    if not DESIGNS[design].planted:
        check_p_values(found)


def test_a_cue_of_known_size_is_measured_so() -> None:
    """Sides of one feature that differ by half a deviation: Φ(.5 / √2); pairs share half of its variance: Φ(.5)."""
    found = measure(
        numeric(np.random.default_rng(0), 6_000, width=1, shift=0.5), make_split(np.arange(6_000))
    )
    assert found.auroc.value == pytest.approx(stats.norm.cdf(0.5 / 2**0.5), abs=0.015)
    assert found.accuracy.value == pytest.approx(stats.norm.cdf(0.25), abs=0.015)
    assert found.pairwise_accuracy.value == pytest.approx(stats.norm.cdf(0.5), abs=0.02)
    assert found.auroc.low < stats.norm.cdf(0.5 / 2**0.5) < found.auroc.high


@pytest.mark.parametrize("noise", [0.1, 0.3, 0.5])
def test_wrong_labels_weaken_a_cue_as_much_as_they_are_many(noise: float) -> None:
    """Exchanged sides turn a share of the comparisons: pairwise accuracy a becomes (1 - q) a + q (1 - a)."""
    rows = numeric(np.random.default_rng(1), 6_000, width=1, shift=1.0, noise=noise)
    found = measure(rows, make_split(np.arange(6_000)))
    clear = stats.norm.cdf(1.0)
    expected = (1 - noise) * clear + noise * (1 - clear)
    assert found.pairwise_accuracy.value == pytest.approx(expected, abs=0.02)
    if noise == 0.5:
        assert found.auroc.low <= 0.5 <= found.auroc.high
    else:
        assert found.auroc.low > 0.5


def test_a_source_of_known_share_is_measured_so() -> None:
    """The label follows the writers in 3 of 4 pairs, and no probe of who wrote can be right more often."""
    rows = sources(np.random.default_rng(2), 4_000, writers=4, share=0.75)
    assert (rows.sum(axis=1) == 1).all()
    found = measure(rows, make_split(np.arange(4_000)))
    assert found.pairwise_accuracy.value == pytest.approx(0.75, abs=0.02)
    assert found.auroc.low > 0.65
    assert found.auroc.control["p"] == 1 / 200


def test_the_same_set_is_drawn_again() -> None:
    one, other = (simulated("noise", 60, 3, swaps=9).found for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert simulated("noise", 60, 3, swaps=9, workers=2).found == pytest.approx(one)
    assert len({round(float(v), 6) for v in one[:, 0, 0]}) == 3
