"""Correcting a rate for its judge's errors: the known answer, its coverage, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest

from backfire.errors import InputError
from backfire.statistics import Rate
from backfire.statistics.corrected_rates import corrected_rate, sensitivity_band

Labels = list[tuple[bool | None, bool]]


def labels(sensitivity: float, specificity: float, n: int = 200) -> Labels:
    hits, passes = round(n * sensitivity), round(n * specificity)
    return [(i < hits, True) for i in range(n)] + [(i >= passes, False) for i in range(n)]


def test_the_formula() -> None:
    # 40% judged harmful by a judge with sensitivity .8 and specificity .9: (.4 + .9 - 1) / (.8 + .9 - 1).
    found = corrected_rate([i < 80 for i in range(200)], labels(0.8, 0.9))
    assert found.rate == pytest.approx(0.3 / 0.7)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.3 / 0.7 < found.high


def test_a_perfect_judge_changes_little() -> None:
    found = corrected_rate([i < 80 for i in range(200)], labels(1.0, 1.0))
    assert found.rate == pytest.approx(0.4)
    assert (found.low, found.high) == (
        pytest.approx(found.raw.low, abs=0.02),
        pytest.approx(found.raw.high, abs=0.02),
    )


def test_the_interval_covers_and_carries_the_labels_error() -> None:
    generator = np.random.default_rng(0)
    covered, runs = 0, 500
    for _ in range(runs):
        harmful = generator.random(300) < 0.3
        outcomes = np.where(harmful, generator.random(300) < 0.8, generator.random(300) >= 0.85).tolist()
        known: Labels = [(bool(hit), True) for hit in generator.random(120) < 0.8]
        known += [(bool(hit), False) for hit in generator.random(120) >= 0.85]
        found = corrected_rate(outcomes, known)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.3 <= found.high
    assert 0.925 * runs <= covered <= 0.985 * runs


def test_the_interval_covers_where_responses_share_prompts() -> None:
    """40 prompts, ten responses each, with a judge that errs by prompt; as if all were independent it covers far less."""
    generator = np.random.default_rng(2)
    covered, naive, runs, of = 0, 0, 200, np.repeat(np.arange(40), 20)

    def judged(n: int) -> tuple[list[bool], list[bool]]:
        harm, right_yes, right_no = (
            generator.beta(7 / 3 * mean, 7 / 3 * (1 - mean), 40)[
                of[: 40 * n] if n == 20 else np.repeat(np.arange(40), n)
            ]
            for mean in (0.3, 0.8, 0.85)
        )
        harmful = generator.random(40 * n) < harm
        says = np.where(harmful, generator.random(40 * n) < right_yes, generator.random(40 * n) >= right_no)
        return says.tolist(), harmful.tolist()

    for _ in range(runs):
        outcomes, _ = judged(10)
        said, labelled = judged(20)
        known: Labels = list(zip(said, labelled, strict=True))
        groups, of_labels = np.repeat(np.arange(40), 10).tolist(), np.repeat(np.arange(40), 20).tolist()
        found = corrected_rate(outcomes, known, groups=groups, labelled_groups=of_labels)
        alone = corrected_rate(outcomes, known)
        assert found.rate == alone.rate
        assert found.low is not None
        assert found.high is not None
        assert alone.low is not None
        assert alone.high is not None
        covered += found.low <= 0.3 <= found.high
        naive += alone.low <= 0.3 <= alone.high
    assert covered >= 0.92 * runs
    assert naive < 0.85 * runs


def test_prompts_of_one_response_each_change_little() -> None:
    outcomes, known = [i < 80 for i in range(200)], labels(0.8, 0.9)
    alone = corrected_rate(outcomes, known)
    grouped = corrected_rate(outcomes, known, groups=range(200), labelled_groups=range(400))
    assert (grouped.low, grouped.high) == (
        pytest.approx(alone.low, abs=0.005),
        pytest.approx(alone.high, abs=0.005),
    )


def test_one_prompt_says_nothing_of_others() -> None:
    found = corrected_rate(
        [True, False] * 50, labels(0.9, 0.9), groups=["q"] * 100, labelled_groups=range(400)
    )
    assert found.rate is None
    assert "one prompt" in found.reason
    assert (found.raw.low, found.raw.high) == (0.0, 1.0)


def test_two_prompts_bound_nothing_but_break_nothing() -> None:
    found = corrected_rate(
        [True, False] * 50, labels(0.9, 0.9), groups=[0, 1] * 50, labelled_groups=[0, 1] * 200
    )
    assert (found.low, found.high) == (0.0, 1.0)


def test_groups_are_one_for_each() -> None:
    with pytest.raises(InputError, match="3 groups for 2 responses"):
        corrected_rate([True, False], labels(0.9, 0.9), groups=[1, 2, 3])


def test_a_judge_at_the_bound_in_decimals_is_refused_in_binary() -> None:
    assert corrected_rate([True, False] * 50, labels(0.7, 0.5)).rate is None


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (labels(0.9, 0.9, 99), "asks for 100"),
        (labels(0.6, 0.6), "too little"),
        (labels(0.2, 0.3), "too little"),
    ],
)
def test_no_correction_without_enough(known: Labels, reason: str) -> None:
    found = corrected_rate([True, False] * 50, known)
    assert found.rate is None
    assert found.low is None
    assert reason in found.reason
    assert found.raw.rate == 0.5


def test_unscored_labels_do_not_count_towards_the_hundred() -> None:
    found = corrected_rate([True, False], [*labels(0.9, 0.9, 99), (None, True), (None, False)])
    assert found.rate is None
    assert "99 harmful and 99 harmless" in found.reason


def test_nothing_scored() -> None:
    assert corrected_rate([None], labels(0.9, 0.9)).reason == "nothing was scored"


def test_the_band_holds_every_judge_of_its_ranges() -> None:
    raw = Rate(80, 200)
    band = sensitivity_band(raw, (0.8, 0.9), (0.85, 0.95))
    assert band is not None
    for sensitivity in (0.8, 0.83, 0.9):
        for specificity in (0.85, 0.91, 0.95):
            corrected = (0.4 + specificity - 1) / (sensitivity + specificity - 1)
            assert band[0] <= corrected + 1e-12
            assert corrected <= band[1] + 1e-12


def test_no_band_around_a_judge_that_may_say_nothing() -> None:
    assert sensitivity_band(Rate(80, 200), (0.5, 0.9), (0.6, 0.9)) is None


def test_ranges_are_checked() -> None:
    with pytest.raises(InputError, match="sensitivity from"):
        sensitivity_band(Rate(1, 2), (0.9, 0.8), (0.8, 0.9))
    with pytest.raises(InputError, match="nothing was scored"):
        sensitivity_band(Rate(0, 0, 3), (0.8, 0.9), (0.8, 0.9))
