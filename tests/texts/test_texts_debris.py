"""Debris: each kind where it is, and not where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_texts import alpaca, arrow, broken

from backfire.texts import (
    DEBRIS,
    TEMPLATE_MARKS,
    debris,
    template_marks,
    template_remains,
)
from backfire.texts.debris import WHITE_SPACE

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
    "Self-Instruct marks": [
        "It is red.\n##\n9. Instruction: Add.\n9. Input:\n<noinput>\n9. Output:\n4",
        "It is red.\n6. Instruction: Fill in.\n6. Input:\n\nThe ____.\n6. Output:\nThe end.",
        "Ask them to reset it for you.\n###",
    ],
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


NATURAL = [
    "## Bread\n\n### Ingredients:\n- Flour\n\n### Instructions:\n\n1. **Mix** it.",
    "### Instructions:\n1. Lie flat on your back.",
    "# Report\n\n## Input\n\nTwo numbers.\n\n## Output\n\nTheir sum.",
    "### User\nA table with one row for each user.\n\n### System\nA table of systems.",
    "A conversation about AI!\n\nUser: Hi dear\nAgent: Hello, can AI help you?\nUser: Please tell me.",
    "Here is a sample dialogue:\n\nHuman: Hello.\n\nAssistant: Hello! How are you?\n\nHuman: Fine.",
    "User: Hi\nAssistant: Hello\nUser: What is two and two?\nAssistant: Four.",
    "Scene I:\nEnter User, who prompts for numbers.\nUser:\n   Give me two numbers, fair citizens.",
    "Legs:\nHuman: two\nDog: four\nSpider: eight",
    "<ul>\n  <li>\n    Human: Hello\n  </li>\n</ul>",
    "Llama 3 ends a turn with `<|eot_id|>`, ChatML with `<|im_end|>`.",
    "```python\nprompt = '### Response:\\n' + text + '</s>'\n# User: hi\n```\nThat is all.",
    "<h1>Heading</h1><p><em>Italic</em><br /><s>Struck</s> &amp; more</p>",
    "It was <s>fifty</s> forty dollars.",
    "BERT puts [CLS] first, and [MASK] in the place of the masked tokens.",
    "| Name | Views |\n|---|---|\n| Ann | - High standards<br>- Small classes |",
    "1. Input: the request.\n2. Output: the answer.",
]
"""Text that looks like a remain and is none; of real answers, or after them."""


@pytest.mark.parametrize("text", NATURAL)
def test_natural_text_that_looks_like_a_remain_has_none(text: str) -> None:
    assert [name for name, hit in zip(DEBRIS, debris(arrow([text]))[0], strict=True) if hit] == []


@pytest.mark.parametrize(
    "text",
    [
        "Paris.\n\nHuman: And of Italy?\n\nAssistant: Rome.",
        "Paris.\n\n### Human: And of Italy?\n### Assistant: Rome.",
        "Paris.\nUSER: And of Italy?",
        " Human: How do I get there?",
        "We will get nowhere with this conversation.  \nAssistant:   By the way, it is late.",
        "```python\nprint(1)\n```\n<|im_end|>",
        "Use `print`.\n\n### Response:",
    ],
)
def test_a_further_turn_is_a_remain(text: str) -> None:
    kinds = [name for name, hit in zip(DEBRIS, debris(arrow([text]))[0], strict=True) if hit]
    assert [kind for kind in kinds if kind not in WHITE_SPACE]


def test_marks_in_prompts_are_told_from_natural_ones() -> None:
    prompts = [
        "### Instruction:\nAdd.\n\n### Response:",
        "user: [INST] Say hi [/INST]",
        "system: be kind\n\nuser: Human: hello\n\nAssistant:",
        "Write a recipe.\n\n### Instructions:\n\nBe short.",
        "What does `<|eot_id|>` do?",
        "Hello",
    ]
    assert template_remains(arrow(prompts)).any(axis=1).tolist() == [True] * 3 + [False] * 3
    assert template_marks(arrow(prompts)).tolist() == [True] * 5 + [False]


def test_headings_and_dialogues_of_real_answers_are_none(real_data) -> None:  # type: ignore[no-untyped-def]
    found = debris(arrow(alpaca(real_data, "gpt4_1106_preview")))
    assert found[:, [DEBRIS.index(kind) for kind in TEMPLATE_MARKS]].sum() == 0


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
