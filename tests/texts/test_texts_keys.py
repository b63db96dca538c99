"""Keys: equal for what counts as the same text, and the same for ever."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_texts import AWKWARD, alpaca, any_texts, arrow, broken, fold

from backfire.texts import combine_keys, exact_keys, text_keys

GOLDEN_TEXT = [
    "0000000000000000",
    "8acd43c3b8d23633",
    "8acd43c3b8d23633",
    "85df758e34df6e5f",
    "77d86a6606e3dbe6",
]
GOLDEN_EXACT = [
    "0000000000000000",
    "bbfc5aabafb88b00",
    "230cad864d784f92",
    "586ecc637389c5f6",
    "77d86a6606e3dbe6",
]


def same_partition(keys: np.ndarray, names: list[str]) -> bool:
    pairs = set(zip(keys.tolist(), names, strict=True))
    return len(pairs) == len(set(keys.tolist())) == len(set(names))


def normal(text: str) -> str:
    return " ".join(fold(text).split())


@given(any_texts)
def test_keys_are_equal_where_the_texts_are(texts: list[str]) -> None:
    texts = [*texts, *AWKWARD, *(text.upper() for text in texts), *(f" {text}\u3000\n" for text in texts)]
    assert same_partition(exact_keys(arrow(texts)), texts)
    assert same_partition(text_keys(arrow(texts)), [normal(text) for text in texts])


@pytest.mark.parametrize(
    "space", ["\t", "\n", "\x0b", "\x1c", "\x85", "\xa0", "\u1680", "\u2003", "\u2029", "\u202f", "\u3000"]
)
def test_every_white_space_counts_as_one_space(space: str) -> None:
    texts = [f"a{space}b", f"{space}A {space}\nB{space}", "a b"]
    assert len(set(text_keys(arrow(texts)).tolist())) == 1
    assert text_keys(arrow(["ab"]))[0] != text_keys(arrow(["a b"]))[0]


def test_keys_are_the_same_on_every_machine_and_version() -> None:
    """Golden: these values are in data files."""
    texts = ["", "How do I tie a bowline?", "  HOW do i\ttie a  bowline? ", "Ä" * 50, "中文\0"]
    assert [f"{key:016x}" for key in text_keys(arrow(texts)).tolist()] == GOLDEN_TEXT
    assert [f"{key:016x}" for key in exact_keys(arrow(texts)).tolist()] == GOLDEN_EXACT


def test_no_two_real_texts_share_a_key(real_data) -> None:  # type: ignore[no-untyped-def]
    texts = alpaca(real_data) + alpaca(real_data, "Qwen1.5-7B-Chat")
    assert same_partition(exact_keys(arrow(texts)), texts)
    assert same_partition(text_keys(arrow(texts)), [normal(text) for text in texts])


def test_a_text_has_its_key_wherever_it_stands() -> None:
    texts = [f"text {n} " * (n % 7) for n in range(3000)]
    whole = text_keys(arrow(texts))
    chunks = pa.chunked_array([arrow(texts[:7]), arrow([]), arrow(texts[7:])])
    assert np.array_equal(whole, text_keys(chunks))
    assert np.array_equal(whole[5:9], text_keys(arrow(texts)[5:9]))


def test_combined_keys_know_the_order_and_the_number() -> None:
    a, b = exact_keys(arrow(["a", "b", "a"])), exact_keys(arrow(["b", "a", "a"]))
    ab, ba = combine_keys(a, b), combine_keys(b, a)
    assert ab[0] == ba[1]
    assert ab[1] == ba[0]
    assert ab[2] == ba[2]
    assert len({*ab.tolist(), *ba.tolist(), *a.tolist(), *b.tolist(), *combine_keys(a).tolist()}) == 7
    assert len(combine_keys(a[:0], b[:0])) == 0


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=8))
def test_bytes_that_are_no_utf8_have_keys(texts: list[bytes]) -> None:
    keys = exact_keys(broken(texts))
    assert len(set(keys.tolist())) == len(set(texts))
    assert len(text_keys(broken(texts))) == len(texts)
