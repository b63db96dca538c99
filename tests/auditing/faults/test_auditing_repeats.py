"""Duplicates, contradictions and overlap, counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from audited_by_hand import audited_by_hand
from backfire.auditing.faults.overlap import overlap
from backfire.auditing.faults.repeats import repeated, repeats

LONG = "the quick brown fox jumps over the lazy dog while the old grey cat sleeps on a warm red brick wall near {}"


def pair(prompt: str, chosen: str, rejected: str) -> dict[str, Any]:
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def counted(rows: list[dict[str, Any]]) -> dict[str, tuple[int, tuple[int, ...]]]:
    return {one.what: (one.pairs.hits, one.rows) for one in repeats(audited_by_hand(rows))}


PLAIN = [
    pair("how do I bake bread at home", "mix flour and water", "no idea"),
    pair("which river runs through Paris", "the Seine", "the Rhine"),
    pair("how tall is the highest mountain", "8,849 metres", "rather tall"),
]


def test_nothing_repeats() -> None:
    assert {hits for hits, _ in counted(PLAIN).values()} == {0}


def test_exact_duplicates_count_from_the_second_on() -> None:
    found = counted([*PLAIN, PLAIN[0], PLAIN[0] | {"prompt": "How do I  bake BREAD at home"}, PLAIN[1]])
    assert found["exact duplicates"] == (3, (4, 5, 6))
    assert found["repeated prompts"] == (3, (4, 5, 6))
    assert found["near duplicates"] == (0, ())
    assert found["contradictions"] == (0, ())


def test_a_response_in_other_letters_is_no_exact_duplicate() -> None:
    assert counted([*PLAIN, PLAIN[1] | {"chosen": "the seine"}])["exact duplicates"] == (0, ())


def test_contradictions_count_every_pair_concerned() -> None:
    other = pair(PLAIN[0]["prompt"], PLAIN[0]["rejected"], PLAIN[0]["chosen"])
    elsewhere = pair("another question altogether", PLAIN[1]["rejected"], PLAIN[1]["chosen"])
    assert counted([*PLAIN, other, other, elsewhere])["contradictions"] == (3, (1, 4, 5))


def test_near_repeats_are_those_that_are_not_exact() -> None:
    near = [
        pair(LONG.format("home"), LONG.format("x"), "an entirely different reply from the model"),
        pair(LONG.format("work"), LONG.format("y"), "an entirely different reply from the model"),
    ]
    found = counted([*PLAIN, *near, PLAIN[0]])
    assert found["near duplicates"] == (2, (4, 5))
    assert found["near-duplicate prompts"] == (2, (4, 5))


def test_where_near_responses_were_not_looked_for_there_is_no_rate() -> None:
    audited = replace(audited_by_hand(PLAIN), near_sides=None)
    near = next(one for one in repeats(audited) if one.what == "near duplicates")
    assert (near.pairs.scored, near.pairs.unscored, near.pairs.rate) == (0, 3, None)


def test_counts_do_not_hang_on_the_order() -> None:
    rows = [*PLAIN, PLAIN[0], PLAIN[1], pair(LONG.format("a"), "b", "c"), pair(LONG.format("d"), "b", "c")]
    one, other = counted(rows), counted(rows[::-1])
    assert {what: hits for what, (hits, _) in one.items()} == {
        what: hits for what, (hits, _) in other.items()
    }


def test_overlap_with_another_set() -> None:
    here = audited_by_hand([*PLAIN, pair(LONG.format("home"), "a", "b")])
    there = audited_by_hand(
        [
            pair("WHICH river runs  through Paris", "x", "y"),
            pair(LONG.format("work"), "x", "y"),
            pair("unrelated things that nobody asked", "x", "y"),
        ]
    )
    both = (here.prompt_signatures, there.prompt_signatures)
    found = overlap(here, "test split", there.prompt_keys, both)
    assert (found.other, found.exact.hits, found.near.hits, found.rows) == ("test split", 1, 1, (2, 4))
    assert found.other_rows == (1, 2)
    numbered = overlap(here, "test split", there.prompt_keys, both, 100 + there.rows)
    assert numbered.other_rows == (101, 102)
    blind = overlap(here, "test split", there.prompt_keys)
    assert (blind.exact.hits, blind.near.scored, blind.near.unscored) == (1, 0, 4)


def test_each_repeat_names_the_pair_that_it_repeats() -> None:
    turned = pair(PLAIN[0]["prompt"], PLAIN[0]["rejected"], PLAIN[0]["chosen"])
    near = [
        pair(LONG.format(place), LONG.format(letter), "an entirely different reply from the model")
        for place, letter in (("home", "x"), ("work", "y"), ("home", "x"))
    ]
    found = repeated(audited_by_hand([*PLAIN, turned, PLAIN[1], *near, PLAIN[1]]))
    assert found.duplicates.tolist() == [-1, -1, -1, -1, 1, -1, -1, 5, 1]
    assert found.contradictions.tolist() == [3, -1, -1, 0, -1, -1, -1, -1, -1]
    assert found.near_duplicates is not None
    assert found.near_duplicates.tolist() == [-1, -1, -1, -1, -1, 6, 5, 6, -1]
