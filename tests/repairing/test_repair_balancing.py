"""`balance` and decoding ends: sources even out, labels are never turned round, and what is missing is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.errors import InputError
from backfire.repairing import balance_pairs, match_ends
from repairing.repair_pairs import pair, response, sources_of

PROMPT = st.tuples(
    st.sampled_from(
        [("strong", "self"), ("strong", "self"), ("self", "strong"), ("peer", "self"), ("self", "self")]
    ),
    st.lists(st.tuples(st.sampled_from(["strong", "self", "peer"]), st.integers(-3, 3)), max_size=5),
    st.tuples(st.none() | st.integers(-3, 3), st.none() | st.integers(-3, 3)),
)


@given(st.lists(PROMPT, min_size=1, max_size=25))
def test_every_source_is_chosen_as_often_as_rejected(rows):  # type: ignore[no-untyped-def]
    pairs, pool, scores = [], {}, {}
    for n, (sources, more, own) in enumerate(rows):
        given_pair = pair(n, sources=sources)
        pairs.append(given_pair)
        for side, value in zip((given_pair.chosen, given_pair.rejected), own, strict=True):
            if value is not None:
                scores[side.id] = float(value)
        drawn = [
            response(given_pair.prompt, s, f"take {k} of {s}", index=9 + k) for k, (s, _) in enumerate(more)
        ]
        pool[given_pair.prompt.id] = drawn
        scores |= {r.id: float(v) for r, (_, v) in zip(drawn, more, strict=True)}
    try:
        outcome = balance_pairs(pairs, pool, scores)
    except InputError:
        return  # nothing to balance with; what the message says is tested below
    outcome.account_for(len(pairs))
    assert set(sources_of([m.pair for m in outcome.pairs]).values()) <= {0}
    for m in outcome.pairs:
        assert m.place is not None
        old = pairs[m.place]
        if m.change == "kept":
            assert m.pair == old
        else:
            assert scores[m.pair.chosen.id] > scores[m.pair.rejected.id]
            assert (m.pair.chosen.text, m.pair.rejected.text) != (old.rejected.text, old.chosen.text)
            assert m.pair.prompt.id == old.prompt.id


def test_balanced_pairs_stay_as_they_are() -> None:
    pairs = [pair(n, sources=("a", "b") if n % 2 else ("b", "a")) for n in range(6)]
    outcome = balance_pairs(pairs, {}, {})
    assert [m.pair for m in outcome.pairs] == pairs
    assert {m.change for m in outcome.pairs} == {"kept"}


def test_a_couple_matched_on_length_and_end_is_taken_before_a_wider_margin() -> None:
    given_pair = pair(0)
    texts = {
        "five words that are good": (2.0, "eos"),
        "five words that are poor": (1.0, "eos"),
        "a very much longer response that goes on and on and on": (-9.0, "eos"),
        "five words cut off at": (-8.0, "length"),
    }
    pool = [
        response(given_pair.prompt, "peer", text, index=n, stop=stop)  # type: ignore[arg-type]
        for n, (text, (_, stop)) in enumerate(texts.items())
    ]
    scores = {r.id: value for r, (value, _) in zip(pool, texts.values(), strict=True)}
    outcome = balance_pairs([given_pair], {given_pair.prompt.id: pool}, scores)
    made = outcome.pairs[0]
    assert made.change == "re-paired"
    assert made.pair.chosen.text == "five words that are good"
    assert made.pair.rejected.text == "five words that are poor"
    assert "matched on length and stop reason" in made.why
    assert (made.pair.chosen_score, made.pair.rejected_score) == (2.0, 1.0)


def test_two_responses_a_prompt_cannot_be_balanced_and_it_says_what_is_missing() -> None:
    pairs = [pair(n) for n in range(4)]
    with pytest.raises(InputError, match=r"more than one response of a source.*and scores that rank"):
        balance_pairs(pairs, {}, {})
    swapped = {s.id: v for p in pairs for s, v in ((p.chosen, 0.0), (p.rejected, 1.0))}
    with pytest.raises(InputError, match="without turning labels round"):
        balance_pairs(pairs, {}, swapped)
    with pytest.raises(InputError, match="nobody said who wrote them"):
        balance_pairs([pair(0, sources=("unknown", "self"))], {}, {})


def test_ends_are_matched() -> None:
    both = pair(0, stops=("length", "length"))
    one = pair(1, stops=("length", "eos"), decisions=("comply", "refuse"))
    outcome = match_ends([both, one, pair(2)], "drop")
    outcome.account_for(3)
    assert [m.place for m in outcome.pairs] == [0, 2]
    cut = match_ends([both, one, pair(2)], "cut")
    cut.account_for(3)
    made = cut.pairs[1].pair
    assert cut.pairs[1].change == "response cut"
    assert made.chosen.text == "Sure, take the strong 1"
    assert made.rejected.text == "I'm sorry, but no self"
    assert made.chosen.truncated
    assert made.rejected.truncated
    assert made.rejected.id != one.rejected.id
    with pytest.raises(InputError, match="drop or cut"):
        match_ends([one], "trim")  # type: ignore[arg-type]
