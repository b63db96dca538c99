"""Echoes: a prompt that stands whole in a response, as a sentence of its own."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_texts import alpaca, arrow

from backfire.texts import echo_mask

PROMPT = "How do I cook a salmon fillet on a stove?"
ECHOED = [
    PROMPT,
    f"{PROMPT}\n\nHeat the pan.",
    f" Human: {PROMPT}",
    f"Heat the pan.\n\n{PROMPT.upper()}",
    f"**{PROMPT}**\n\nHeat the pan.",
    f"# {PROMPT}\nHeat the pan.",
    "How do I cook a salmon fillet\non a stove. Heat the pan.",
    f"I am happy to help. {PROMPT} Heat the pan.",
    "How do I cook a salmon fillet on a stove ? Heat the pan.",
    "How do I cook a salmon fillet on a stove ...\n\nHeat the pan.",
]
NATURAL = [
    "",
    "Heat the pan.",
    "How do I cook a salmon fillet on a stove-top grill?",
    "To answer how do I cook a salmon fillet on a stove, heat the pan.",
    f'The question "{PROMPT}" is asked by many.',
    "How do I cook a salmon fillet on a stov",
    "How do I cook a salmon",
]


@pytest.mark.parametrize("text", ECHOED)
def test_the_whole_prompt_is_found(text: str) -> None:
    assert echo_mask(arrow([PROMPT]), arrow([text])).all()


@pytest.mark.parametrize("text", NATURAL)
def test_an_answer_that_speaks_of_it_is_none(text: str) -> None:
    assert not echo_mask(arrow([PROMPT]), arrow([text])).any()


@pytest.mark.parametrize("prompt", ["", "Hello", "What is the capital of France?"[:23], "Tell me more."])
def test_a_short_prompt_is_not_looked_for(prompt: str) -> None:
    assert not echo_mask(arrow([prompt]), arrow([f"{prompt} I see."])).any()


def by_hand(prompt: str, text: str) -> bool:
    """The rule as a regular expression of Python."""
    wanted = prompt.strip().rstrip(".?!: \n")
    if len(wanted.split()) < 6 or len(prompt.encode()) < 24:
        return False
    inside = (
        r"(?:\A|[\n.?!:>#*])[ \t]{0,3}"
        + r"\s".join(map(re.escape, wanted.split(" ")))
        + r"(?:\Z|[\n.?!:*\r]|[ \t\r]{1,3}(?:\Z|[\n.?!:]))"
    )
    return re.search(inside, text, re.IGNORECASE) is not None


PIECES = [PROMPT, PROMPT[:-1], PROMPT.lower(), PROMPT[:20], "Yes", " ", "\n", ". ", "** ", ": ", "é", "?"]


@given(st.lists(st.tuples(st.sampled_from([PROMPT, "Hi", f" {PROMPT} "]), st.lists(st.sampled_from(PIECES)))))
def test_it_is_what_a_plain_search_finds(rows: list[tuple[str, list[str]]]) -> None:
    prompts, texts = [prompt for prompt, _ in rows], ["".join(pieces) for _, pieces in rows]
    found = echo_mask(arrow(prompts), arrow(texts))
    assert found.tolist() == [by_hand(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]


def test_real_answers_with_their_prompt_before_them(real_data) -> None:  # type: ignore[no-untyped-def]
    import json

    rows = json.loads((real_data / "alpaca-eval" / "gpt4_1106_preview.json").read_text(encoding="utf-8"))
    prompts = [row["instruction"] for row in rows]
    assert echo_mask(arrow(prompts), arrow(alpaca(real_data, "gpt4_1106_preview"))).sum() == 0
    echoed = [f"{row['instruction']}\n\n{row['output']}" for row in rows]
    long = np.array([len(prompt.split()) >= 7 for prompt in prompts])
    assert echo_mask(arrow(prompts), arrow(echoed))[long].mean() > 0.99
