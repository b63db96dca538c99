"""Several people's votes on a pair, in the layouts that have them; and columns that only look like them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from backfire.preferences import open_preferences

Row = dict[str, Any]
Votes = tuple[float | None, float | None, float | None]


def votes_of(rows: Sequence[Mapping[str, Any]], **options: Any) -> dict[int, Votes]:
    """By row, the votes for chosen, for rejected and for neither."""
    data = open_preferences(list(rows), **options)
    read: dict[int, Votes] = {}
    for block in data.blocks():
        for row in block.to_pylist():
            read[row["row"]] = (row["chosen_votes"], row["rejected_votes"], row["tied_votes"])
    return read


def two(place: int, **more: Any) -> Row:
    return {
        "prompt": f"Name river {place}.",
        "response_1": f"Rhine {place}.",
        "response_2": f"Stone {place}.",
    } | more


def sides(place: int, **more: Any) -> Row:
    return {
        "prompt": f"Name river {place}.",
        "chosen": f"Rhine {place}.",
        "rejected": f"Stone {place}.",
    } | more


def test_helpsteer3_says_what_each_annotator_preferred() -> None:
    each = [([-2, -1, 1], -1), ([3, 2, 0], 2), ([-1], -3)]
    rows = [
        two(
            place,
            overall_preference=overall,
            individual_preference=[{"score": s, "reasoning": "so"} for s in scores],
        )
        for place, (scores, overall) in enumerate(each)
    ]
    assert votes_of(rows) == {1: (2, 1, 0), 2: (2, 0, 1), 3: (1, 0, 0)}


@pytest.mark.parametrize("as_text", [False, True])
def test_a_list_of_words_beside_a_preference(as_text: bool) -> None:
    lists = [["A", "A", "B"], ["B", "B", "B"], ["A", "tie", "A"]]
    rows = [
        {
            "prompt": f"Name river {place}.",
            "response_a": f"Rhine {place}.",
            "response_b": f"Stone {place}.",
            "winner": "A" if said.count("A") > 1 else "B",
            "annotator_labels": json.dumps(said) if as_text else said,
        }
        for place, said in enumerate(lists)
    ]
    assert votes_of(rows) == {1: (2, 1, 0), 2: (3, 0, 0), 3: (2, 0, 1)}


def test_a_column_for_each_annotator() -> None:
    said = [(1, 1, 2), (2, 2, 1), (1, None, 1)]
    rows = [
        two(
            place,
            preference=1 if s.count(1) > s.count(2) else 2,
            annotator_1=s[0],
            annotator_2=s[1],
            annotator_3=s[2],
        )
        for place, s in enumerate(said)
    ]
    assert votes_of(rows) == {1: (2, 1, 0), 2: (2, 1, 0), 3: (2, 0, 0)}


def test_counts_of_votes_beside_two_responses_follow_the_chosen_one() -> None:
    rows = [
        {
            "prompt": f"Name river {place}.",
            "response_a": f"Rhine {place}.",
            "response_b": f"Stone {place}.",
            "winner": winner,
            "votes_a": a,
            "votes_b": b,
            "votes_tie": tied,
        }
        for place, (winner, a, b, tied) in enumerate([("A", 5, 1, 0), ("B", 2, 3, 1), ("A", 4, 4, 0)])
    ]
    assert votes_of(rows) == {1: (5, 1, 0), 2: (3, 2, 1), 3: (4, 4, 0)}


def test_beside_chosen_and_rejected_counts_and_names_are_read() -> None:
    counted = [sides(place, chosen_votes=3 - place, rejected_votes=place) for place in range(2)]
    assert votes_of(counted) == {1: (3, 0, 0), 2: (2, 1, 0)}
    named = [sides(place, annotations=["chosen", "rejected", "chosen"]) for place in range(3)]
    assert set(votes_of(named).values()) == {(2, 1, 0)}


@pytest.mark.parametrize(
    "more",
    [
        {"annotations": ["a", "b"]},  # of chosen and rejected it is not known which is A
        {"annotations": [{"rating": 4}, {"rating": 5}]},
        {"label_1": "geography", "label_2": "school"},
        {"chosen_votes": -1, "rejected_votes": 2},
        {"votes": "3 to 1"},
        {"labels": ["geography", "rivers"]},
    ],
)
def test_what_cannot_be_read_as_votes_is_not(more: Row) -> None:
    assert set(votes_of([sides(place, **more) for place in range(4)]).values()) == {(None, None, None)}


def test_label_studio_and_argilla_count_their_annotators() -> None:
    def annotation(side: str) -> Row:
        return {"result": [{"type": "pairwise", "value": {"selected": side}}]}

    studio = [
        {
            "data": {
                "prompt": f"Name river {place}.",
                "answer1": f"Rhine {place}.",
                "answer2": f"Stone {place}.",
            },
            "annotations": [annotation("right"), annotation("right"), annotation("left")],
        }
        for place in range(2)
    ]
    assert set(votes_of(studio).values()) == {(2, 1, 0)}
    argilla = [
        {
            "fields": {
                "prompt": f"Name river {place}.",
                "response_1": f"Rhine {place}.",
                "response_2": f"Stone {place}.",
            },
            "responses": {
                "preference": [{"value": "response_1"}, {"value": "response_1"}, {"value": "response_2"}]
            },
        }
        for place in range(2)
    ]
    assert set(votes_of(argilla).values()) == {(2, 1, 0)}


def test_a_row_that_cannot_be_read_costs_its_own_votes_only() -> None:
    rows = [sides(place, chosen_votes=2, rejected_votes=1) for place in range(20)]
    rows[3]["chosen_votes"] = "many"
    rows[4]["rejected_votes"] = None
    read = votes_of(rows)
    assert (read[4], read[5], read[6]) == ((None,) * 3, (None,) * 3, (2, 1, 0))
    assert len(read) == 20
