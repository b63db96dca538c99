"""Texts as bytes: cutting, slices, lower case, hashes of stretches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_texts import AWKWARD, any_texts, arrow, broken, fold, words

from backfire.texts.hashing import hash_spans, mix
from backfire.texts.pieces import PADDING, as_arrays, as_texts, folded, pieces
from backfire.texts.words import words_of


@given(any_texts, st.integers(1, 50))
def test_pieces_hold_every_text_once(texts: list[str], size: int) -> None:
    seen: list[bytes] = []
    for piece in pieces(arrow(texts), size):
        assert piece.first == len(seen)
        assert not piece.data[-PADDING:].any()
        held = [
            piece.data[a : b - 1].tobytes() for a, b in zip(piece.offsets, piece.offsets[1:], strict=False)
        ]
        assert piece.lengths.tolist() == [len(text) for text in held]
        seen += held
    assert seen == [text.encode() for text in texts]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_every_kind_of_string_is_taken_and_null_is_empty(kind: pa.DataType) -> None:
    plain = pa.array(["a", None, "É"], pa.string()).cast(kind)
    assert as_texts(plain).to_pylist() == ["a", "", "É"]
    assert as_texts(pa.chunked_array([plain, plain])).to_pylist() == ["a", "", "É"] * 2
    assert [part.to_pylist() for part in as_arrays([plain[1:], plain[:1]])] == [["", "É"], ["a"]]


def test_no_array_is_an_empty_one() -> None:
    assert as_texts(pa.chunked_array([], pa.large_string())).to_pylist() == []
    assert list(pieces(pa.array([], pa.large_string()))) == []
    assert [len(p) for p in pieces(pa.array([None, None], pa.large_string()))] == [2]


@given(any_texts)
def test_lower_case_is_that_of_every_letter(texts: list[str]) -> None:
    for piece in pieces(arrow([*texts, *AWKWARD])):
        lower = folded(piece.data)[:-PADDING].tobytes().decode()
        assert lower == "".join(fold(text) + "\n" for text in [*texts, *AWKWARD])


def test_lower_case_of_every_character_there_is() -> None:
    every = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    [piece] = pieces(arrow([every]))
    assert folded(piece.data)[: -PADDING - 1].tobytes().decode() == fold(every)


@given(any_texts)
def test_words_are_the_runs_of_a_regular_expression(texts: list[str]) -> None:
    texts = [*texts, *AWKWARD]
    found: list[list[bytes]] = []
    for piece in pieces(arrow(texts), 64):
        spans = words_of(piece)
        held = [piece.data[s : s + n].tobytes() for s, n in zip(spans.starts, spans.lengths, strict=True)]
        found += [held[a:b] for a, b in zip(spans.firsts, spans.firsts[1:], strict=False)]
    assert found == [words(text) for text in texts]


def plain_hash(data: bytes) -> int:
    def one(value: int) -> int:
        return int(mix(np.array([value % 2**64], dtype=np.uint64))[0])

    blocks = [int.from_bytes(data[at : at + 8], "little") for at in range(0, max(1, len(data)), 8)]
    first = one(blocks[0] + len(data) * 0xD6E8FEB86659FD93)
    return (first + sum(one(block) * (one(n) | 1) for n, block in enumerate(blocks[1:], 1))) % 2**64


def test_mixing_is_the_published_finaliser() -> None:
    """The first outputs of splitmix64 seeded with 0 are its finaliser of 1, 2, 3 times the golden step."""
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert mix(np.arange(1, 4, dtype=np.uint64)).tolist() == published


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=10))
def test_hashes_of_stretches_are_those_of_each_alone(stretches: list[bytes]) -> None:
    data = np.frombuffer(b"".join(stretches) + bytes(PADDING), dtype=np.uint8)
    lengths = np.array([len(s) for s in stretches])
    hashed = hash_spans(data, np.cumsum(lengths) - lengths, lengths)
    assert hashed.tolist() == [plain_hash(s) for s in stretches]


def test_many_stretches_are_hashed_as_few() -> None:
    data = np.random.default_rng(0).integers(0, 256, 100_000).astype(np.uint8)
    starts = np.arange(0, 90_000)
    lengths = starts % 23
    hashed = hash_spans(data, starts, lengths)
    for at in (0, 8, 9, 32767, 32768, 65537, 89_999):
        assert hashed[at] == plain_hash(data[at : at + at % 23].tobytes())
    assert len(np.unique(hashed[lengths > 8])) == np.count_nonzero(lengths > 8)


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=8))
def test_bytes_that_are_no_utf8_pass(texts: list[bytes]) -> None:
    for piece in pieces(broken(texts)):
        assert len(folded(piece.data)) == len(piece.data)
        assert words_of(piece).counts.sum() >= 0
