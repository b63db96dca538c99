"""Cut ends: each kind where it is, and not at the natural ends of real answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_texts import alpaca, arrow, broken

from backfire.texts import ENDINGS, cut_ends, cut_mask

EXAMPLES: dict[str, list[str]] = {
    "a word that goes on": [
        "The text is meant to help people who",
        "Tell me about my",
        "The scene with the horse, it’s",
        "We hope that it will not come to pass in 20",
        "So if it’s warm and dry, it’s all because\n",
    ],
    "a comma or an open bracket": [
        "They have some degree of privilege,",
        "Take the lid (",
        "It is then —",
        "Rest.\n\nRemember,",
        "Call 1-800-",
    ],
    "an unfinished sentence": [
        "I see. Would you like the red one today",
        "That cost 40. It’s hard to find anyt",
        "这是红色的。然后我们",
    ],
    "an unfinished paragraph": [
        "Here is how.\n\nRemember, these ways can help you sleep",
        "She said “no.”\n\nThis may save you money",
    ],
    "an unfinished list item": [
        "1. Be kind: it helps others.\n2. Be patien",
        "- Rest well.\n\n- Drink more water each day",
    ],
    "a bare list mark": ["1. Rest.\n2. Eat well.\n\n3.", "6. Set rules.\n\n7", "- One.\n- Two.\n-"],
    "an open bold mark": ["5. **Breathe:** Exhale.\n\n6. **Ret", "Then **the last"],
    "an open code fence": ["Like so:\n```python\nfor i in range(10):\n    print(i)", "```\nx = 1"],
}
DONE = [
    *("", "Yes", "Test", "42", "Paris", "NOT OFFENSIVE", "I would try heroin", "Arts & Culture", "😊👍"),
    "Here are five countries:\n\n1. Spain\n2. Sweden\n3. Switzerland\n4. South Africa\n5. Sri Lanka",
    "I hope so.\n\nWarm regards,\nMark",
    "I hope so!\n\nBest regards,\nYour future self",
    "Warm regards,",
    "Another bug bites the dust, yeah\nHey, I'm gonna debug you too\nAnother bug bites the dust",
    "Let's do it! #Collaboration #Innovation",
    "Look here. It is at https://en.wikipedia.org/wiki/Suicide",
    "Write to me. My address is bob@example.net",
    "Fine. Just let me know if you need more 😊",
    '"The universe and human stupidity." - Albert Einstein',
    "The formula is as follows.\n\na_n = 9n - 4",
    "Item, Qty | mango, 5 | oil, 2",
    "I'm not sure :D",
    "- Date: Tomorrow\n- Time: 5 pm\n- Location: The coffee shop on Main Street",
    "It is 5.\n\n```python\nprint(5)\n```",
    "It costs $47.50 + $6.65 = $54.15",
    "^(\\d{1,3}\\.){3}\\d{1,3}$",
    "3. Take the 101 north\n4. Follow the 101 until you see the sign",
    "Answer:\n8",
    'The word "f**k" is rude, and so is "bi**h"',
    "Use 1. Salt 2. Vinegar 3. Tea bags",
    "Let me help.\n```\nx = 1\n```\n```\nIt is clear that this example is right and done.",
    "Use a mirror.\n\n**Note:** It is **hot**",
    "The first is red. The second is blue.",
    "这是红色的。然后我们走了。",
]


@pytest.mark.parametrize("kind", ENDINGS)
def test_each_kind_is_found(kind: str) -> None:
    found = cut_ends(arrow(EXAMPLES[kind]))
    assert found[:, list(ENDINGS).index(kind)].all()


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(ENDINGS)


@pytest.mark.parametrize("text", DONE)
def test_what_is_done_is_not_cut(text: str) -> None:
    assert [kind for kind, hit in zip(ENDINGS, cut_ends(arrow([text]))[0], strict=True) if hit] == []


@given(
    st.lists(st.sampled_from([*DONE, *(text for texts in EXAMPLES.values() for text in texts)]), max_size=9)
)
def test_rows_keep_their_places(texts: list[str]) -> None:
    found = cut_ends(arrow(texts))
    assert found.shape == (len(texts), len(ENDINGS))
    for row, text in zip(found, texts, strict=True):
        assert np.array_equal(row, cut_ends(arrow([text]))[0])
    assert np.array_equal(cut_mask(arrow(texts)), found.any(axis=1))


def test_bytes_that_are_no_utf8_pass() -> None:
    assert cut_mask(broken([b"\xffthe", b"One. And \xc3\x28 then the"])).tolist()[1]


def test_a_tail_may_begin_inside_of_a_character() -> None:
    assert not cut_mask(arrow(["é" * 1000 + "."])).any()
    assert cut_mask(arrow(["é" * 1000 + ". And then we go to the"])).all()


def test_real_answers_end_and_their_halves_do_not(real_data) -> None:  # type: ignore[no-untyped-def]
    answers = [text.strip() for text in alpaca(real_data)]
    long = [text for text in answers if len(text.split()) >= 50]
    assert cut_mask(arrow(answers)).mean() < 0.01
    halves = [" ".join(text.split(" ")[: len(text.split(" ")) // 2]) for text in long]
    assert cut_mask(arrow(halves)).mean() > 0.5
