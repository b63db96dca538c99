"""`filter` and its control: what is kept, and that nothing is lost."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.errors import InputError
from backfire.judges import PhraseJudge
from backfire.repairing import filter_pairs, matched_at_random
from backfire.repairing.strata import decisions_of, divide
from repairing.repair_pairs import pair

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["harmful", "benign", None]),
        st.tuples(st.sampled_from(["refuse", "comply"]), st.sampled_from(["refuse", "comply"])),
        st.floats(-5, 5),
    ),
    min_size=1,
    max_size=60,
)


@given(ROWS, st.floats(0.05, 1))
def test_each_kind_keeps_its_share_of_the_highest(rows, keep):  # type: ignore[no-untyped-def]
    pairs = [pair(n, kind=k, decisions=d) for n, (k, d, _) in enumerate(rows)]
    values = np.array([v for _, _, v in rows])
    if round(keep * len(pairs)) == 0:
        with pytest.raises(InputError, match="none of"):
            filter_pairs(pairs, values, keep=keep)
        return
    outcome = filter_pairs(pairs, values, keep=keep)
    outcome.account_for(len(pairs))
    kept = {m.place for m in outcome.pairs}
    assert len(kept) == round(keep * len(pairs))
    for kind in ("harmful", "benign", None):
        inside = [n for n, p in enumerate(pairs) if p.prompt.kind == kind]
        stay = [n for n in inside if n in kept]
        assert abs(len(stay) - round(keep * len(pairs)) * len(inside) / len(pairs)) < 1
        if stay and len(stay) < len(inside):
            assert min(values[stay]) >= max(values[[n for n in inside if n not in kept]])
    assert all(m.pair == pairs[m.place] for m in outcome.pairs if m.place is not None)


@given(ROWS, st.floats(0.2, 1), st.integers(0, 3))
def test_the_control_has_the_same_mix(rows, keep, seed):  # type: ignore[no-untyped-def]
    pairs = [pair(n, kind=k, decisions=d) for n, (k, d, _) in enumerate(rows)]
    values = np.array([v for _, _, v in rows])
    if round(keep * len(pairs)) == 0:
        return
    like = [m.place for m in filter_pairs(pairs, values, keep=keep).pairs if m.place is not None]
    told = decisions_of(PhraseJudge(), pairs)
    assert told == [d for _, d, _ in rows]
    outcome = matched_at_random(pairs, told, like, seed=seed)
    outcome.account_for(len(pairs))
    drawn = [m.place for m in outcome.pairs if m.place is not None]
    assert Counter(rows[n][:2] for n in drawn) == Counter(rows[n][:2] for n in like)


def test_the_control_is_drawn_by_the_seed_and_not_by_value() -> None:
    pairs = [pair(n) for n in range(200)]
    values = np.arange(200.0)
    like = [m.place for m in filter_pairs(pairs, values, keep=0.5).pairs if m.place is not None]
    told = decisions_of(PhraseJudge(), pairs)
    draws = [{m.place for m in matched_at_random(pairs, told, like, seed=s).pairs} for s in range(20)]
    assert len({frozenset(d) for d in draws}) == 20
    overlap = np.mean([len(d & set(like)) / 100 for d in draws])
    assert 0.42 < overlap < 0.58


def test_a_threshold_judges_each_pair_alone_and_the_order_of_rows_does_not_matter() -> None:
    pairs = [pair(n, kind="benign" if n % 2 else "harmful") for n in range(10)]
    values = np.array([1.0, -1.0, 1.0, -1.0, 0.0, -1.0, np.nan, 2.0, 1.0, -1.0])
    outcome = filter_pairs(pairs, values, above=0.0)
    assert [m.place for m in outcome.pairs] == [0, 2, 7, 8]
    assert outcome.left_out["has no safety influence"] == (6,)
    tied = filter_pairs(pairs, np.zeros(10), keep=0.4)
    turned = filter_pairs(pairs[::-1], np.zeros(10), keep=0.4)
    assert {m.pair.id for m in tied.pairs} == {m.pair.id for m in turned.pairs}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "either which share"),
        ({"keep": 0.5, "above": 0.0}, "either which share"),
        ({"keep": 0.0}, "keep 0"),
        ({"above": 9.0}, "none of 4 pairs"),
        ({"above": 0.0, "band": True}, "middle band is a share"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        filter_pairs([pair(n) for n in range(4)], np.zeros(4), **options)
    with pytest.raises(InputError, match="3 values"):
        filter_pairs([pair(n) for n in range(4)], np.zeros(3), keep=0.5)


def test_the_middle_band_leaves_out_both_ends_alike_and_pairs_without_a_value_first() -> None:
    pairs = [pair(n) for n in range(10)]
    values = np.array([3.0, 9.0, 1.0, 8.0, 2.0, 7.0, 0.0, 6.0, 4.0, 5.0])
    outcome = filter_pairs(pairs, values, keep=0.4, band=True)
    assert sorted(values[m.place] for m in outcome.pairs) == [3.0, 4.0, 5.0, 6.0]
    assert set(outcome.left_out) == {"safety influence is not in the middle 40% of its kind of prompt"}
    values[[1, 3]] = np.nan
    outcome = filter_pairs(pairs, values, keep=0.4, band=True)
    assert sorted(values[m.place] for m in outcome.pairs) == [2.0, 3.0, 4.0, 5.0]
    whole = filter_pairs(pairs, values, keep=0.9, band=True)
    assert len(whole.pairs) == 9
    told = decisions_of(PhraseJudge(), pairs)
    like = [m.place for m in outcome.pairs if m.place is not None]
    assert len(matched_at_random(pairs, told, like).pairs) == 4


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 30), max_size=6), st.data())
def test_dividing_is_proportional_to_within_one(sizes, data):  # type: ignore[no-untyped-def]
    everything = sum(sizes.values())
    total = data.draw(st.integers(0, everything))
    parts = divide(total, sizes)
    assert sum(parts.values()) == total
    for key, size in sizes.items():
        assert 0 <= parts[key] <= size
        assert everything == 0 or abs(parts[key] - total * size / everything) < 1
