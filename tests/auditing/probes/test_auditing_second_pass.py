"""Probes of a sample's words, read off every pair: against scikit-learn's ridge, refitted fold by fold."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from audited_by_hand import audited_by_hand
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.probes import folds as folds_module
from backfire.auditing.probes import smoothers
from backfire.auditing.probes.folds import Split, make_split
from backfire.auditing.probes.probe import MeasuredProbe, measure_probe
from backfire.auditing.probes.second_pass import on_all_pairs
from backfire.auditing.probes.smoothers import PENALTY
from backfire.texts import Vocabulary
from synthetic_pairs import rows

PAIRS = 240


class Read(NamedTuple):
    audited: AuditedPairs
    split: Split
    vocabulary: Vocabulary
    words: Any
    probe: MeasuredProbe
    table: pa.Table
    found: MeasuredProbe


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conjugate gradients to the end, and one division, as a second pass has."""
    monkeypatch.setattr(smoothers, "TOLERANCE", 1e-10)
    monkeypatch.setattr(smoothers, "STEPS", 500)
    monkeypatch.setattr(folds_module, "REPEATED_PAIRS", 0)


def read(sample: Any, part: Any = None) -> Read:
    """A cue in half of the chosen sides; two pairs a prompt; two thirds of the pairs decide alike."""
    values = rows(PAIRS, 3, cue="word", share=0.5)
    for i, row in enumerate(values):
        row |= {"prompt": values[i // 2 * 2]["prompt"], "kind": "harmful" if i % 4 < 2 else "benign"}
        row["decisions"] = (
            ("refuse", "refuse") if i % 3 == 0 else ("comply", "refuse" if i % 3 == 1 else "comply")
        )
    table = audited_by_hand(values).text
    audited = audited_by_hand(values, sample)
    split = make_split(audited.groups, controls=19)
    sides = [audited.text[side].combine_chunks() for side in ("chosen", "rejected")]
    vocabulary = Vocabulary.of(pa.chunked_array(sides), "words", 1 << 14)
    words = sparse.vstack([vocabulary.features(side) for side in sides], format="csr").astype(np.float64)
    within = np.arange(len(audited.sample)) if part is None else part
    both = np.concatenate([within, within + len(audited.sample)])
    probe = measure_probe("words", "words", words[both], audited.sample[within], audited, split)
    blocks = [batch for start in range(0, PAIRS, 70) for batch in table.slice(start, 70).to_batches()]
    found = on_all_pairs(probe, words, vocabulary, blocks, audited, split)
    return Read(audited, split, vocabulary, words, probe, table, found)


def refitted(of: Read, trained: Any, *, apart: bool = False) -> Any:
    """Scores of every side [2 * PAIRS], or of every difference [PAIRS], by ridges fitted on `trained` pairs alone."""
    from sklearn.linear_model import Ridge

    chosen, rejected = (
        of.vocabulary.features(of.table[side]).toarray().astype(float) for side in ("chosen", "rejected")
    )
    trained = np.isin(np.arange(PAIRS), trained)
    if apart:
        dense, labels, sides, within = chosen - rejected, np.ones(PAIRS), of.split.folds, trained
    else:
        dense, labels = np.vstack([chosen, rejected]), np.repeat([1.0, -1.0], PAIRS)
        sides, within = np.tile(of.split.folds, 2), np.tile(trained, 2)
    scores = np.zeros(len(dense))
    for k in range(5):
        seen = within & (sides != k)
        probe = Ridge(alpha=PENALTY, fit_intercept=False).fit(dense[seen], labels[seen])
        scores[sides == k] = probe.predict(dense[sides == k])
    return scores


def less_their_means(scores: Any, folds: Any) -> Any:
    found = scores.copy()
    for k in range(5):
        found[np.tile(folds, 2) == k] -= found[np.tile(folds, 2) == k].mean()
    return found


@pytest.mark.usefixtures("exact")
def test_every_pair_has_the_score_of_ridges_that_have_not_seen_its_prompt() -> None:
    half = np.flatnonzero(np.arange(PAIRS) // 2 % 2 == 0)
    of = read(half)
    outside = np.setdiff1d(np.arange(PAIRS), half)
    expected = less_their_means(refitted(of, half), of.split.folds)
    both = np.concatenate([outside, outside + PAIRS])
    np.testing.assert_allclose(of.found.measured.scores[both], expected[both], atol=2e-5)
    np.testing.assert_allclose(of.found.measured.scores, expected, atol=2e-5)
    margins = refitted(of, half, apart=True)
    np.testing.assert_allclose(of.found.measured.margins, margins, atol=2e-5)
    assert of.found.answer.pairs == PAIRS
    assert of.found.answer.pairwise.accuracy == pytest.approx(np.mean(margins > 0))
    assert (of.found.pairs == np.arange(PAIRS)).all()
    assert "fitted on 120 pairs" in of.found.answer.about


@pytest.mark.usefixtures("exact")
def test_decision_matched_probes_have_seen_matched_pairs_of_the_sample_alone() -> None:
    half = np.flatnonzero(np.arange(PAIRS) // 2 % 2 == 0)
    of = read(half)
    alike = np.flatnonzero(of.audited.decides_alike())
    assert len(alike) == PAIRS * 2 // 3
    assert (of.found.matched_pairs == alike).all()
    assert of.found.matched is not None
    scores = refitted(of, np.intersect1d(half, alike))
    within = scores[np.concatenate([alike, alike + PAIRS])]
    np.testing.assert_allclose(
        of.found.matched.scores, less_their_means(within, of.split.folds[alike]), atol=2e-5
    )
    matched = of.found.answer.decision_matched
    assert matched.pairs == len(alike)
    assert sum(stratum.pairs for stratum in matched.strata) == len(alike)


@pytest.mark.usefixtures("exact")
def test_where_the_sample_is_everything_nothing_changes() -> None:
    of = read(np.arange(PAIRS))
    np.testing.assert_allclose(of.found.measured.scores, of.probe.measured.scores, atol=2e-5)
    np.testing.assert_allclose(of.found.measured.bits, of.probe.measured.bits, atol=2e-4)
    for name in ("pointwise", "pointwise_accuracy", "pairwise", "v_information"):
        one, other = getattr(of.found.answer, name), getattr(of.probe.answer, name)
        for field, value in one.model_dump().items():
            assert getattr(other, field) == pytest.approx(value, abs=1e-4), (name, field)
    one, other = of.found.answer.decision_matched, of.probe.answer.decision_matched
    assert one.model_dump()["auroc"] == pytest.approx(other.model_dump()["auroc"], abs=1e-4)
    assert [s.pairs for s in one.strata] == [s.pairs for s in other.strata]


def test_a_part_lends_its_controls_and_more_pairs_narrow_the_interval() -> None:
    sample = np.flatnonzero(np.arange(PAIRS) // 2 % 3 < 2)
    of = read(sample, np.arange(80))
    part, whole = of.probe.answer.pointwise, of.found.answer.pointwise
    assert part.control_pairs == whole.control_pairs == 80
    assert (part.control, part.control_high, part.p) == (whole.control, whole.control_high, whole.p)
    assert whole.high - whole.low < part.high - part.low
    spread = [area * (1 - area) for area in (whole.auroc, part.auroc)]
    carried = of.probe.measured.auroc.fitting * 80 / 160 * (spread[0] / spread[1]) ** 2
    assert of.found.measured.auroc.fitting == pytest.approx(carried)


def test_progress_counts_every_pair_once() -> None:
    steps: list[int] = []
    of = read(np.arange(0, PAIRS, 2))
    on_all_pairs(of.probe, of.words, of.vocabulary, of.table.to_batches(), of.audited, of.split, steps.append)
    assert sum(steps) == PAIRS
