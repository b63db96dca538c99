"""`mix` and `auto`: sizes, shares, which pairs go, and the predicted influence with its interval."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.errors import InputError
from backfire.repairing import choose_share, filter_pairs, mix_pairs
from backfire.repairing.choosing import Prediction, mean_of
from backfire.statistics.clusters import clustered_mean
from repairing.repair_pairs import pair


@given(st.integers(1, 40), st.integers(0, 40), st.floats(0, 1), st.integers(0, 2))
def test_the_total_and_the_kinds_stay(harmful, benign, share, seed):  # type: ignore[no-untyped-def]
    kinds = ["harmful"] * harmful + ["benign"] * benign
    pairs = [pair(n, kind=k) for n, k in enumerate(kinds)]
    own = [pair(n, kind=k, sources=("self", "self ")) for n, k in enumerate(kinds)]
    values = np.random.default_rng(seed).normal(size=len(pairs))
    outcome = mix_pairs(pairs, own, share, values=values)
    outcome.account_for(len(pairs))
    assert Counter(m.pair.prompt.kind for m in outcome.pairs) == Counter(p.prompt.kind for p in pairs)
    added = [m for m in outcome.pairs if m.change == "added"]
    assert len(added) == round(share * len(pairs))
    gone = [p for places in outcome.left_out.values() for p in places]
    assert {m.pair.prompt.id for m in added} == {pairs[p].prompt.id for p in gone}, "each prompt keeps a pair"
    for kind in ("harmful", "benign"):
        out = [values[p] for p in gone if kinds[p] == kind]
        kept = [values[m.place] for m in outcome.pairs if m.place is not None and kinds[m.place] == kind]
        assert not out or not kept or max(out) <= min(kept)


def test_a_set_that_grows_keeps_every_pair() -> None:
    pairs = [pair(n) for n in range(30)]
    own = [pair(n, sources=("self", "self ")) for n in range(30)]
    outcome = mix_pairs(pairs, own, 0.25, grow=True)
    assert outcome.counts == {"added": 10, "kept": 30, "left out": 0}


def test_too_few_to_add_is_said() -> None:
    with pytest.raises(InputError, match=r"needs 5 pairs to add on harmful prompts, and there are 2"):
        mix_pairs([pair(n) for n in range(10)], [pair(n, sources=("a", "b")) for n in range(2)], 0.5)
    with pytest.raises(InputError, match="share 1"):
        mix_pairs([pair(0)], [], 1.0, grow=True)


def test_the_interval_is_that_of_a_clustered_mean() -> None:
    """Against scipy's t interval of the groups' means, which is the same where all groups are of one size."""
    from scipy import stats

    values = np.random.default_rng(0).normal(size=60)
    groups = [str(n // 3) for n in range(60)]
    means = values.reshape(20, 3).mean(axis=1)
    low, high = stats.t.interval(0.95, 19, loc=means.mean(), scale=stats.sem(means))
    assert clustered_mean(values, groups) == pytest.approx((values.mean(), low, high))
    assert clustered_mean(np.append(values, np.nan), [*groups, "x"]) == pytest.approx(
        (values.mean(), low, high)
    )
    assert np.isnan(clustered_mean(np.ones(3), ["a"] * 3)[1])
    assert np.isnan(clustered_mean(np.array([np.nan]), ["a"])).all()


def test_the_smallest_step_that_reaches_the_target_is_taken() -> None:
    pairs = [pair(n) for n in range(100)]
    values = np.where(np.arange(100) < 25, -4.0, 1.0) + 0.01 * np.arange(100) / 100

    def left_by(share: float) -> Prediction:
        kept = [m.place for m in filter_pairs(pairs, values, keep=1 - share).pairs if m.place is not None]
        return mean_of(share, values[kept], [pairs[p].prompt.id for p in kept])

    choice = choose_share(left_by, 0.9)
    assert choice.prediction is not None
    assert choice.prediction.share == 0.3
    assert choice.prediction.pairs == 70
    assert [p.share for p in choice.ladder] == [0.0, 0.1, 0.2, 0.3]
    assert choose_share(left_by, 2.0).taken is None
    assert choose_share(left_by, -5.0).taken == 0
    with pytest.raises(InputError, match="finite"):
        choose_share(left_by, float("nan"))
