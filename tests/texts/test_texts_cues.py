"""Cues: each on a text that has it and on one that has not; counts against regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_texts import AWKWARD, alpaca, any_texts, arrow, broken, words

from backfire.judges import is_refusal
from backfire.texts import CUES, cue_features, cue_presence
from backfire.texts.word_groups import GROUPS

NAMES = [cue.name for cue in CUES]

EXAMPLES: dict[str, tuple[str, str]] = {
    "length": ("a" * 1001, "a" * 1000),
    "words": ("a " * 201, "a " * 200),
    "sentences": ("Go! " * 6, "Go! " * 5),
    "words a sentence": ("go " * 21 + ".", "go " * 20 + "."),
    "letters a word": ("extraordinary", "short words"),
    "lines": ("a\nb", "a b"),
    "blank lines": ("a\n \t\nb", "a\nb"),
    "words a line": ("go " * 41, "go " * 40 + "\ngo"),
    "indented lines": ("a\n  b", "a \nb"),
    "lines that end in a colon": ("Take:\nsalt", "Take: salt"),
    "list items": ("a\n• b", "a - b"),
    "numbered items": ("1. a\n2) b", "1.5 a"),
    "headings": ("## A\nb", "#hashtag"),
    "bold marks": ("a **b** c", "2 * 3 * 4"),
    "lines that open in bold": ("1. **A**: b", "a **b**"),
    "code blocks": ("```py\nx\n```", "`x`"),
    "backticks": ("`x`", "x"),
    "table rows": ("| a | b |", "a | b"),
    "links": ("see https://x.org", "see http"),
    "commas": ("a, b", "a; b"),
    "full stops": ("A.", "A!"),
    "exclamation marks": ("A!", "A."),
    "question marks": ("A?", "A."),
    "colons": ("a: b", "a; b"),
    "quotation marks": ('"a"', "'a'"),
    "apostrophes": ("it's", "its"),
    "curly quotes": ("“a”", '"a"'),
    "brackets": ("(a)", "a"),
    "hyphens": ("well-made", "well made"),
    "dashes": ("a – b", "a-b"),
    "ellipses": ("so...", "so.."),
    "emoji": ("nice 😀", "nice :)"),
    "capitals": ("ABCde", "abcdefghijklmnopqrstuvwXyz"),
    "digits": ("in 1999", "in may"),
    "opens with I": ("**I think", "It is"),
    "opens with Sure or Certainly": ("Sure! Here", "Surely not"),
    "opens with praise": ("What a lovely day", "What is it"),
    "opens with Yes or No": ("No, never", "Nothing"),
    "opens with Here": ("Here's a list", "Where"),
    "opens with The or A": ("The cat", "There"),
    "opens with a small letter": ("so it is", "So it is"),
    "opens in bold": ("**So** it is", "It is **so**"),
    "closes with an offer": ("Done. Let me know if not.", "Done."),
    "closes with a summary": ("A. In conclusion, b.", "A. Conclusion b."),
    "closes with advice": ("Remember to drink.", "He remembers."),
    "closes with a question": ("Shall we?**\n", "Shall we? Yes."),
    "closes with an exclamation": ("Enjoy!", "Enjoy! Now."),
    "ends unfinished": ("and so the", "and so it is.”\n"),
    "code block left open": ("```\nx", "```\nx\n```"),
    "reasoning block": ("<think>\nhm\n</think>\n\nYes.", "Say `<think>` first."),
    "refusal phrase": ("I cannot do that.", "I can do that."),
    "opens with sorry": ("Oh, I'm so sorry.", "So " * 30 + "sorry"),
    "words of warning": ("It is Illegal.", "It is legally fine."),
    "first person": ("what I'm at", "what is at"),
    "second person": ("your turn", "truly theirs"),
    "hedges": ("it Might rain", "it will rain"),
    "connectives": ("However, no", "how ever"),
    "negations": ("I don't", "I do"),
    "English function words": ("the cat and the dog", "el gato y el perro"),
    "function words of other languages": ("der Hund und die Katze", "the dog and the cat"),
    "Latin letters with marks": ("Müller", "Muller"),
    "Greek or Cyrillic letters": ("Привет", "Hi"),
    "Hebrew, Arabic, Indic or Thai letters": ("שלום नमस्ते", "Hi – 中"),
    "Chinese, Japanese or Korean": ("안녕 你好", "Hi é"),
}


def column(name: str, texts: list[str]) -> np.ndarray:
    return cue_features(arrow(texts))[:, NAMES.index(name)]


def test_every_cue_has_an_example_and_a_name_of_its_own() -> None:
    assert set(EXAMPLES) == set(NAMES)
    assert len(NAMES) == len(set(NAMES))
    assert all(cue.when for cue in CUES if cue.above)


@pytest.mark.parametrize("name", NAMES)
def test_each_cue_occurs_where_it_is_and_not_where_it_is_not(name: str) -> None:
    present = cue_presence(cue_features(arrow([*EXAMPLES[name]])))
    assert present[:, NAMES.index(name)].tolist() == [True, False]


def lines(text: str, pattern: str) -> int:
    return sum(bool(re.match(pattern, line, re.ASCII)) for line in text.split("\n"))


def of_group(name: str, text: str) -> float:
    held = [word.decode("utf-8", "replace") for word in words(text)]
    small = [word.lower() for word in held if len(word.encode()) <= 8]
    return sum(word in GROUPS[name].split() for word in small) / max(1, len(held))


def share(low: int, high: int) -> Callable[[str], float]:
    return lambda text: sum(low <= ord(c) < high for c in text) / max(1, len(text))


def sentences(text: str) -> int:
    return len(re.findall(r"[.!?](?=[ \t\r\n\"')\]*]|\Z)", text)) + text.count("。")


ITEM = r"[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]"
PLAIN: dict[str, Callable[[str], float]] = {
    "length": len,
    "words": lambda t: len(words(t)),
    "sentences": sentences,
    "words a sentence": lambda t: len(words(t)) / max(1, sentences(t)),
    "letters a word": lambda t: len(b"".join(words(t))) / max(1, len(words(t))),
    "lines": lambda t: t.count("\n") + 1,
    "blank lines": lambda t: lines(t, r"[ \t]*\r?\Z"),
    "words a line": lambda t: len(words(t)) / (t.count("\n") + 1),
    "indented lines": lambda t: lines(t, r"[ \t]+[^ \t]"),
    "lines that end in a colon": lambda t: lines(t, r"(?s).*:\Z"),
    "list items": lambda t: lines(t, ITEM),
    "numbered items": lambda t: lines(t, r"[ \t]*\d{1,3}[.)][ \t]"),
    "headings": lambda t: lines(t, r"[ \t]*#{1,6}[ \t]"),
    "bold marks": lambda t: len(re.findall(r"(?<!\*)\*\*", t)),
    "lines that open in bold": lambda t: lines(t, rf"(?:{ITEM}|[ \t]*)\*\*"),
    "code blocks": lambda t: (lines(t, r"[ \t]*```") + 1) // 2,
    "code block left open": lambda t: lines(t, r"[ \t]*```") % 2,
    "table rows": lambda t: lines(t, r"[ \t]*\|"),
    **{
        name: lambda t, mark=mark: t.count(mark)  # type: ignore[misc]
        for name, mark in {
            "commas": ",",
            "full stops": ".",
            "exclamation marks": "!",
            "question marks": "?",
            "colons": ":",
            "quotation marks": '"',
            "apostrophes": "'",
            "brackets": "(",
            "hyphens": "-",
            "backticks": "`",
        }.items()
    },
    "curly quotes": lambda t: len(re.findall("[\u2018-\u201d]", t)),
    "dashes": lambda t: len(re.findall("[–—]|(?<= )-(?= )", t)),
    "ellipses": lambda t: len(re.findall(r"…|(?<!\.)\.\.\.", t)),
    "emoji": lambda t: sum(0x1F000 <= ord(c) < 0x20000 for c in t),
    "capitals": share(65, 91),
    "digits": share(48, 58),
    **{name: lambda t, name=name: of_group(name, t) for name in GROUPS},  # type: ignore[misc]
    "Latin letters with marks": lambda t: share(0xC0, 0x280)(t) + share(0x1E00, 0x1F00)(t),
    "Greek or Cyrillic letters": lambda t: share(0x380, 0x400)(t) + share(0x400, 0x500)(t),
    "Hebrew, Arabic, Indic or Thai letters": lambda t: share(0x580, 0x700)(t) + share(0x800, 0x1000)(t),
    "Chinese, Japanese or Korean": share(0x3000, 0xD800),
    "refusal phrase": is_refusal,
}
LINE = st.sampled_from(
    ["", "  ", "- a", "\t* b", "12. c", "1234. d", "# e", "####### f", "```", "| g |", "• h", "•", "**i**"]
)
LAYOUTS = st.lists(
    LINE | st.sampled_from(["1) **j**", "k:", "l: ", "- - -", " \r", "1.", "mÉs", "the cat's I"])
).map("\n".join)


def agrees(texts: list[str]) -> None:
    features = cue_features(arrow(texts))
    assert features.shape == (len(texts), len(CUES))
    assert np.isfinite(features).all()
    for place, cue in enumerate(CUES):
        if cue.name in PLAIN:
            plain = np.array([PLAIN[cue.name](text) for text in texts], dtype=np.float64)
            plain = np.log1p(plain) if cue.scale == "count" else plain
            np.testing.assert_allclose(features[:, place], plain, rtol=1e-5, atol=1e-7, err_msg=cue.name)


@given(any_texts, st.lists(LAYOUTS, max_size=4))
def test_counts_are_those_of_regular_expressions(texts: list[str], layouts: list[str]) -> None:
    agrees([*texts, *layouts, *AWKWARD])


@pytest.mark.parametrize("model", ["gpt4_1106_preview", "Mistral-7B-Instruct-v0.2"])
def test_counts_of_real_answers(model: str, real_data) -> None:  # type: ignore[no-untyped-def]
    agrees(alpaca(real_data, model)[::4])


def test_flags_and_shares_stay_in_bounds(real_data) -> None:  # type: ignore[no-untyped-def]
    features = cue_features(arrow([*alpaca(real_data), *AWKWARD]))
    for place, cue in enumerate(CUES):
        values = features[:, place]
        if cue.scale == "flag":
            assert set(np.unique(values).tolist()) <= {0.0, 1.0}
        elif cue.scale == "share":
            assert 0 <= values.min() <= values.max() <= 1


def test_a_row_does_not_hang_on_its_neighbours(real_data) -> None:  # type: ignore[no-untyped-def]
    texts = arrow([*AWKWARD, *alpaca(real_data)[:300], *AWKWARD])
    whole = cue_features(texts)
    for at in (0, 1, 9, 100, len(texts) - 1):
        assert np.array_equal(cue_features(texts[at : at + 1])[0], whole[at])
    assert cue_features(texts[:0]).shape == (0, len(CUES))
    assert cue_presence(cue_features(texts[:0])).shape == (0, len(CUES))


def test_deep_lines_carry_no_mark() -> None:
    assert column("list items", [" " * 32 + "- a", " " * 40 + "- a"]).tolist() == [np.log1p(np.float32(1)), 0]


def test_the_ends_are_what_is_looked_at() -> None:
    far = " x" * 300
    assert column("closes with an offer", [f"Let me know.{far}", f"{far} Let me know."]).tolist() == [0, 1]
    assert column("opens with I", [f"I am.{far}", f"{far} I am."]).tolist() == [1, 0]
    assert column("ends unfinished", ["", " \n", "!?", "中", "中。", "a " * 300]).tolist() == [
        0,
        0,
        0,
        1,
        0,
        1,
    ]


def test_bytes_that_are_no_utf8_pass() -> None:
    rng = np.random.default_rng(0)
    texts = broken([rng.integers(0, 256, size).astype(np.uint8).tobytes() for size in range(300)])
    assert np.isfinite(cue_features(texts)).all()


@pytest.mark.parametrize("name", ["refusal phrase", "opens with sorry", "words of warning"])
def test_cues_of_refusing_are_of_what_follows_the_thoughts(name: str) -> None:
    refusing, plain = "Sorry, I cannot: it is illegal.", "Take a cloth."
    texts = [
        f"<think>\n{thought}\n</think>\n\n{answer}"
        for thought, answer in ((refusing, plain), (plain, refusing))
    ]
    found = column(name, [*texts, plain, refusing])
    assert found[0] == found[2] == 0
    assert found[1] == found[3] > 0
