"""Agreement with people: against scikit-learn, against known coverage, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from backfire.answers.judge_agreement import agreement_from
from backfire.errors import InputError
from backfire.judges import agreement
from backfire.statistics import clustered_wilson, wilson


def test_figures_are_scikit_learns() -> None:
    generator = np.random.default_rng(1)
    labels = generator.random(300) < 0.4
    found = np.where(generator.random(300) < 0.8, labels, ~labels)
    ours = agreement(found.tolist(), labels.tolist(), list(range(300)), judge="x").values
    assert ours["accuracy"] == pytest.approx(metrics.accuracy_score(labels, found))
    assert ours["precision"] == pytest.approx(metrics.precision_score(labels, found))
    assert ours["recall"] == pytest.approx(metrics.recall_score(labels, found))
    assert ours["f1"] == pytest.approx(metrics.f1_score(labels, found))
    assert ours["kappa"] == pytest.approx(metrics.cohen_kappa_score(labels, found))


def test_unscored_stand_beside_n_and_bound_the_accuracy() -> None:
    found = agreement([True, None, False, None], [True, True, True, False], "abcd", judge="x")
    assert (found.n, found.unscored, found.accuracy) == (2, 2, 0.5)
    assert (found.accuracy_worst, found.accuracy_best) == (0.25, 0.75)


def test_what_is_undefined_is_none() -> None:
    nothing = agreement([None, None], [True, False], "ab", judge="x").as_dict()
    assert nothing["n"] == 0
    assert nothing["accuracy"] is None
    assert nothing["low"] is None
    silent = agreement([False, False], [True, False], "ab", judge="x").as_dict()
    assert silent["precision"] is None
    assert silent["recall"] == 0.0


def test_json_and_back() -> None:
    found = agreement([True, False, None, True], [True, True, True, False], "abcd", judge="x")
    assert agreement_from(found.as_dict()) == found


def test_lengths_must_agree() -> None:
    with pytest.raises(InputError, match="one of each"):
        agreement([True], [True, False], "ab", judge="x")


def test_a_copied_response_adds_nothing() -> None:
    """Ten copies of each case, in clusters of ten, have the interval of the cases alone."""
    once = [True, False, True, True, False, True, True, False, True, True, True, False]
    alone = clustered_wilson(once, [1] * len(once))
    copied = clustered_wilson([10 * hit for hit in once], [10] * len(once))
    assert copied == pytest.approx(alone)


def test_independent_cases_have_nearly_wilsons_interval() -> None:
    hits = (np.random.default_rng(0).random(2000) < 0.3).astype(int)
    low, high = wilson(int(hits.sum()), 2000)
    assert clustered_wilson(hits.tolist(), [1] * 2000) == pytest.approx((low, high), abs=5e-4)


def test_clustered_intervals_cover() -> None:
    """40 clusters of 5 that share half of their luck: plain Wilson covers far too rarely."""
    generator = np.random.default_rng(3)
    covered = plain = 0
    for _ in range(400):
        chance = np.where(generator.random(40) < 0.5, 0.3, generator.choice([0.0, 1.0], 40, p=[0.7, 0.3]))
        hits = generator.binomial(5, chance)
        low, high = clustered_wilson(hits.tolist(), [5] * 40)
        covered += low <= 0.3 <= high
        low, high = wilson(int(hits.sum()), 200)
        plain += low <= 0.3 <= high
    assert covered >= 0.92 * 400
    assert plain < 0.9 * 400


def test_edges_of_clustered_intervals() -> None:
    assert clustered_wilson([5], [5]) == (0.0, 1.0)
    low, high = clustered_wilson([5, 5, 5], [5, 5, 5])
    assert 0 < low < 0.5
    assert high == 1.0
    assert clustered_wilson([1, 0, 0], [1, 1, 0]) == clustered_wilson([1, 0], [1, 1])
    with pytest.raises(ValueError, match="nothing"):
        clustered_wilson([0], [0])


@pytest.mark.parametrize(("clusters", "each"), [(1, 20), (2, 10), (6, 5), (20, 1)])
def test_perfect_agreement_in_few_clusters_is_not_certain(clusters: int, each: int) -> None:
    labels = [n % 2 == 0 for n in range(clusters * each)]
    groups = [n // each for n in range(clusters * each)]
    found = agreement(labels, labels, groups, judge="x").intervals
    alone = clustered_wilson([each] * clusters, [each] * clusters)
    assert found["accuracy"] == alone
    assert found["kappa"] == pytest.approx((max(-1.0, 2 * alone[0] - 1), 1.0))
    assert found["f1"][0] < found["f1"][1] == 1.0


def test_intervals_of_f1_and_kappa_cover_with_few_clusters() -> None:
    generator = np.random.default_rng(3)
    truth = {"f1": 2 * 0.425 / (2 * 0.425 + 0.075 + 0.1), "kappa": 2 * (0.425 + 0.4) - 1}
    covered = dict.fromkeys(truth, 0)
    for _ in range(200):
        sensitivity, specificity = generator.beta(3.4, 0.6, 8), generator.beta(3.2, 0.8, 8)
        of = np.repeat(np.arange(8), 12)
        labels = generator.random(len(of)) < 0.5
        says = generator.random(len(of)) < np.where(labels, sensitivity[of], 1 - specificity[of])
        found = agreement(says.tolist(), labels.tolist(), of.tolist(), judge="x").intervals
        for name, value in truth.items():
            covered[name] += found[name][0] <= value <= found[name][1]
    assert min(covered.values()) >= 180


def test_kappa_intervals_cover() -> None:
    generator = np.random.default_rng(5)
    truth = 2 * 0.8 - 1  # kappa where labels are even and a fifth is flipped
    covered = 0
    for _ in range(200):
        labels = generator.random(200) < 0.5
        found = np.where(generator.random(200) < 0.8, labels, ~labels)
        low, high = agreement(found.tolist(), labels.tolist(), list(range(200)), judge="x").intervals["kappa"]
        covered += low <= truth <= high
    assert 180 <= covered <= 198
