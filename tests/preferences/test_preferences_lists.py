"""Lists of responses and lists of turns in the spellings that public data sets have, and what is said of unknown ones."""

from __future__ import annotations

from typing import Any

import pytest
from preference_rows import assistant, read, user

from backfire.errors import InputError
from backfire.preferences import open_preferences

RIVER = ("Name a river.", "The Rhine.", "A stone.")
BIRD = ("Name a bird.", "The wren.", "A shoe.")
BOTH = [RIVER, BIRD]


def pairs(rows: Any, **options: Any) -> list[tuple[str, str, str]]:
    return [(r["prompt"], r["chosen"], r["rejected"]) for r in read(open_preferences(rows, **options))]


def counted(rows: Any) -> dict[str, int]:
    preferences = open_preferences(rows)
    read(preferences)
    return {str(kind): len(numbers) for kind, numbers in preferences.defects.items()}


def parted(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}


@pytest.mark.parametrize("number", ["pm_score", "score", "votes", "selected"])
def test_answers_with_a_number_or_a_mark_of_their_own(number: str) -> None:
    worse, better = (False, True) if number == "selected" else (0, 4)
    rows = [
        {"question": p, "answers": [{"text": r, number: worse}, {"text": c, number: better}]}
        for p, c, r in BOTH
    ]
    assert pairs(rows) == BOTH


@pytest.mark.parametrize("missing", [[None, None], None, [1, None]])
def test_rows_without_ratings_first_do_not_hide_those_of_the_others(missing: Any) -> None:
    rows = [{"instruction": p, "generations": [r, c], "ratings": [1, 5]} for p, c, r in BOTH]
    unrated = [{"instruction": "Why?", "generations": ["a", "b"], "ratings": missing}] * 9
    assert pairs([*unrated, *rows]) == BOTH
    assert counted([*unrated, *rows]) == {"no preference": 9}


@pytest.mark.parametrize(
    "choices",
    [{"choice": 1}, {"preference": "B"}, {"chosen_index": 1}, {"chosen": 2, "rejected": 1}, {"preferred": 2}],
)
def test_a_column_says_which_of_two_responses_is_meant(choices: dict[str, Any]) -> None:
    assert pairs([{"prompt": p, "responses": [r, c], **choices} for p, c, r in BOTH]) == BOTH


def test_whole_numbers_as_sides_beside_a_list_are_places_in_it() -> None:
    rows = [{"prompt": p, "responses": [r, "Water.", c], "chosen": 2, "rejected": 0} for p, c, r in BOTH]
    assert pairs(rows) == BOTH
    wrong = {"prompt": "Why?", "responses": ["a", "b"], "chosen": 7, "rejected": 0}
    assert counted([*rows * 9, wrong]) == {"no preference": 1}
    assert pairs([{"prompt": p, "chosen": 1, "rejected": 2} for p, _, _ in BOTH])[0] == (RIVER[0], "1", "2")


def test_summaries_with_a_choice() -> None:
    rows = [
        {"info": {"id": "x", "post": p}, "summaries": [{"text": r, "policy": "a"}, {"text": c}], "choice": 1}
        for p, c, r in BOTH
    ]
    assert pairs(rows) == BOTH


def test_turns_in_parts_as_gemini_has_them() -> None:
    rows = [
        {
            "contents": [parted("user", p)],
            "completions": [
                {"score": 0.0, "completion": parted("model", r)},
                {"score": 1.0, "completion": parted("model", c)},
            ],
        }
        for p, c, r in BOTH
    ]
    assert pairs(rows) == BOTH


@pytest.mark.parametrize("keys", [("from", "content"), ("role", "message"), ("speaker", "text")])
def test_turns_in_rarer_spellings(keys: tuple[str, str]) -> None:
    def turn(role: str, text: str) -> dict[str, str]:
        return dict(zip(keys, (role, text), strict=True))

    rows = [
        {"dialogue": [turn("user", p)], "chosen": turn("assistant", c), "rejected": turn("assistant", r)}
        for p, c, r in BOTH
    ]
    assert pairs(rows) == BOTH
    whole = [
        {
            "chosen": [turn("user", p), turn("assistant", c)],
            "rejected": [turn("user", p), turn("assistant", r)],
        }
        for p, c, r in BOTH
    ]
    assert pairs(whole) == BOTH


def test_a_trajectory_is_the_prompt() -> None:
    rows = [{"trajectory": [{"from": "user", "value": p}], "chosen": c, "rejected": r} for p, c, r in BOTH]
    assert pairs(rows) == BOTH


def test_history_stands_before_any_request() -> None:
    rows = [
        {"query": p, "response": c, "rejected_response": r, "history": [["Hello.", "Good day."]]}
        for p, c, r in BOTH
    ]
    [first, _] = read(open_preferences(rows))
    assert first["chosen"] == RIVER[1]
    assert [part in first["prompt"] for part in ("Hello.", "Good day.", RIVER[0])] == [True] * 3


def test_texts_in_lists_of_one_are_these_texts() -> None:
    assert pairs([{"prompt": [p], "chosen": [c], "rejected": [r]} for p, c, r in BOTH]) == BOTH


def test_thoughts_in_parts_are_kept_beside_the_text() -> None:
    rows = [
        {
            "prompt": [user(p)],
            "chosen": [
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": c}],
                }
            ],
            "rejected": [assistant(r)],
        }
        for p, c, r in BOTH
    ]
    assert pairs(rows) == BOTH
    assert '"reasoning_content":"Hm."' in str(read(open_preferences(rows))[0]["chosen_messages"])


def test_text_among_whole_conversations_is_no_prompt_in_common() -> None:
    turns = [{"chosen": [user(p), assistant(c)], "rejected": [user(p), assistant(r)]} for p, c, r in BOTH]
    text = [
        {"chosen": f"\n\nHuman: {p}\n\nAssistant: {c}", "rejected": f"\n\nHuman: {p}\n\nAssistant: {r}"}
        for p, c, r in BOTH
    ]
    rows = [*turns * 2, *text]
    assert pairs(rows) == BOTH * 2
    assert counted(rows) == {"wrong type": 2}


def test_a_prompt_of_an_image_alone_is_no_prompt() -> None:
    shown = [{"role": "user", "content": [{"type": "image"}]}]
    rows = [{"prompt": shown, "chosen": [assistant(c)], "rejected": [assistant(r)]} for _, c, r in BOTH]
    assert counted(rows) == {"no prompt": 2}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"data": {"prompt": "a", "chosen": "b", "rejected": "c"}}], "`data` holds objects with the columns prompt"),
        ([{"prompt": "a", "completions": [{"response": "b", "annotations": {}}] * 2}], "known as a rank or a score"),
        ([{"prompt": [{"user": "a"}], "chosen": [{"bot": "b"}], "rejected": [{"bot": "c"}]}], "have the keys user"),
        ([["a", "b", "c"]], "not a list, a text or a number"),
        ([{"prompt": b"a", "chosen": "b", "rejected": "c"}], "prompt (bytes)"),
    ],
)  # fmt: skip
def test_what_is_unknown_is_told_by_what_is_there(rows: Any, said: str) -> None:
    with pytest.raises(InputError) as error:
        open_preferences(rows)
    assert said in str(error.value)
