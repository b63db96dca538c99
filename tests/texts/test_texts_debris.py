"""Debris: each kind where it is, and not where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_texts import alpaca, arrow, broken

from backfire.texts import DEBRIS, debris

EXAMPLES: dict[str, list[str]] = {
    "ChatML marks": ["<|im_start|>user", "done<|im_end|>"],
    "Llama 3 marks": ["ok<|eot_id|>", "<|start_header_id|>assistant<|end_header_id|>", "<|begin_of_text|>"],
    "Gemma marks": ["<start_of_turn>model", "bye<end_of_turn>", "<eos>"],
    "NeMo marks": ["<extra_id_1>User", "done\n<extra_id_1>"],
    "other <|...|> tokens": ["the end<|endoftext|>", "<|assistant|>", "<｜Assistant｜>Hello"],
    "[INST] marks": ["[INST] Say hi [/INST]", "<<SYS>> be kind <</SYS>>"],
    "<s> or </s>": ["<s>Hello", "Hello</s>"],
    "padding or unknown tokens": ["a <unk> b", "end[PAD][PAD]", "[CLS] a"],
    "### Instruction or ### Response": [
        "### Instruction:\nAdd.",
        "Fine.\n### Response:",
        "### Human: hi",
        "## Input",
    ],
    "Human: or Assistant: at the start of a line": ["Yes.\n\nHuman: more", "USER: hi", "Assistant: hi"],
    "broken encoding": ["cafÃ©", "itâ€™s", "5Â°", "ï»¿Hello"],
    "replacement character": ["caf\ufffd"],
    "control characters": ["a\0b", "a\x08", "a\x7f"],
    "zero-width or byte-order marks": ["\ufeffHello", "a\u200bb"],
    "HTML entities": ["Tom &amp; Jerry", "5 &lt; 6", "&#39;", "&#x27;"],
    "HTML line breaks": ["a<br>b", "a<BR />b"],
    "white space at the start": [" Hello", "\nHello"],
    "white space at the end": ["Hello ", "Hello\n"],
}
CLEAN = [
    *(
        "",
        "Hello.",
        "I said: Human beings",
        "a human: what?",
        "x < y | z > w",
        "<|>",
        "# Response times",
        "AT&T; b",
    ),
    *(
        "São Paulo, Ångström, Âge, naïve café",
        "tab\tand\nline",
        "[insert] <strong>",
        "1 &lt 2",
        "The user: me",
    ),
    *("### Summary", "Assistants: two", "<think", "😀 中文 – “quoted”"),
]


@pytest.mark.parametrize("kind", DEBRIS)
def test_each_kind_is_found_and_alone(kind: str) -> None:
    found = debris(arrow(EXAMPLES[kind]))
    assert found[:, DEBRIS.index(kind)].all()
    others = found.any(axis=0)
    assert [name for name, hit in zip(DEBRIS, others, strict=True) if hit] == [kind]


@pytest.mark.parametrize("text", CLEAN)
def test_clean_texts_have_none(text: str) -> None:
    assert [name for name, hit in zip(DEBRIS, debris(arrow([text]))[0], strict=True) if hit] == []


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(DEBRIS)


@given(
    st.lists(st.sampled_from([*CLEAN, *(text for texts in EXAMPLES.values() for text in texts)]), max_size=9)
)
def test_rows_keep_their_places(texts: list[str]) -> None:
    found = debris(arrow(texts))
    assert found.shape == (len(texts), len(DEBRIS))
    for row, text in zip(found, texts, strict=True):
        assert np.array_equal(row, debris(arrow([text]))[0])


def test_real_answers_have_little(real_data) -> None:  # type: ignore[no-untyped-def]
    found = debris(arrow(alpaca(real_data)))
    assert found.any(axis=1).mean() < 0.05


def test_bytes_that_are_no_utf8_pass() -> None:
    assert debris(broken([b"\xff<s>", b"\xc3", b"\x80\xff"]))[0, DEBRIS.index("<s> or </s>")]


def test_thoughts_are_no_debris() -> None:
    texts = ["<think>\nhm\n</think>\n\nYes.", "<thinking>hm</thinking>Yes."]
    assert not debris(arrow(texts)).any()
