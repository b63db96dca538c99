"""Responses that repeat their prompt: the whole request stands in the answer, as a bad cut of a dialogue leaves it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from backfire.texts.hashing import hash_spans, read_eight
from backfire.texts.keys import plain_spaces
from backfire.texts.matching import counts
from backfire.texts.pieces import PADDING, as_texts, buffers_of, folded

FEWEST_WORDS = 6
"""A shorter prompt may stand in an answer by chance, or as its title."""
FEWEST_BYTES = 24
END_MARKS = ".?!:"
MOST_SPACES = 3
"""Between such a mark and the prompt."""
_AT_ONCE = 1 << 13
"""Texts that are looked at in one go, so that their bytes fit in the cache."""

_LETTER, _SPACE, _BEFORE = range(3)
_CLASS = np.zeros(256, dtype=np.uint8)
_CLASS[[*b" \t\r"]] = _SPACE
_CLASS[[*b"\n.?!:>#*"]] = _BEFORE
"""What a repeated prompt follows: the end of a line or sentence, a role's colon, or a mark of a heading or a quotation."""
_AFTER = np.zeros(256, dtype=bool)
_AFTER[[*b"\n\r.?!:*\0"]] = True
_MARK = np.zeros(256, dtype=bool)
_MARK[[*b"\n.?!:"]] = True
_SMALL = np.uint64(0x2020202020202020)
"""Set in every byte, it makes letters of either case equal (and some other bytes, which are told apart later)."""


def echo_mask(prompts: pa.Array | pa.ChunkedArray, texts: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether each text repeats its prompt whole, as a sentence or a line of its own: bool [texts].

    Letter case, kinds of white space and the prompt's last mark do not matter. A prompt that goes on in the answer's own
    sentence (`the best way to ...`) is no echo, and neither is one of fewer than FEWEST_WORDS words. Of a dialogue, give
    the last user turn.
    """
    prompts, texts = as_texts(prompts), as_texts(texts)
    echoes = np.zeros(len(texts), dtype=bool)
    if not len(texts):
        return echoes
    possible = np.flatnonzero(_sizes(prompts) >= FEWEST_BYTES)
    wanted = pc.utf8_rtrim(
        pc.utf8_trim_whitespace(prompts.take(pa.array(possible))), characters=END_MARKS + " \n"
    )
    fitting = np.flatnonzero((_sizes(wanted) >= 8) & (_sizes(wanted) <= _sizes(texts)[possible]))
    possible, wanted = possible[fitting], wanted.take(pa.array(fitting))
    for start in range(0, len(possible), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        alike = _begin_alike(wanted[some], texts.take(pa.array(possible[some])))
        echoes[possible[some][alike]] = True
    suspects = np.flatnonzero(echoes)
    if len(suspects):
        prompts_again = wanted.take(pa.array(np.searchsorted(possible, suspects)))
        echoes[suspects] = _repeat(prompts_again, texts.take(pa.array(suspects)))
    return echoes


def _begin_alike(wanted: pa.Array, texts: pa.Array) -> NDArray[np.int64]:
    """The texts of which a sentence or a line begins with the same eight bytes as the wanted one, case aside."""
    (needle, needles), (data, offsets) = _bytes(wanted), _bytes(texts)
    places = _sentences(data, offsets)
    owners: NDArray[np.int64] = np.searchsorted(offsets, places, side="right") - 1
    alike: NDArray[np.bool_] = (read_eight(data, places) | _SMALL) == (
        read_eight(needle, needles[:-1]) | _SMALL
    )[owners]
    few: NDArray[np.int64] = np.unique(owners[alike])
    return few


def _sentences(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where a sentence or a line of any text begins, ascending; some stand twice."""
    kind = np.take(_CLASS, data, mode="clip")
    ends = np.flatnonzero(kind[: offsets[-1]] == _BEFORE)
    places = np.concatenate([offsets[:-1], ends + 1])
    for _ in range(MOST_SPACES):
        places += kind[places] == _SPACE
    inside = (kind[places] == _LETTER) & (places < offsets[-1])
    ascending: NDArray[np.int64] = np.sort(places[inside])
    return ascending


def _repeat(wanted: pa.Array, texts: pa.Array) -> NDArray[np.bool_]:
    """Whether each text holds the wanted one of its row, from a sentence's or line's beginning to an end."""
    repeats = np.zeros(len(texts), dtype=bool)
    words = counts(wanted, r"\S+")
    (needle, needles), (data, offsets) = _bytes(wanted), _bytes(texts)
    places = _sentences(data, offsets)
    owners = np.searchsorted(offsets, places, side="right") - 1
    lengths = np.diff(needles)
    ends = places + lengths[owners]
    fits = (ends <= offsets[owners + 1]) & (words[owners] >= FEWEST_WORDS)
    fits &= _done(data, ends, offsets[owners + 1])
    places, owners = places[fits], owners[fits]
    needle, data = plain_spaces(folded(needle)), plain_spaces(folded(data))
    same = hash_spans(data, places, lengths[owners]) == hash_spans(needle, needles[:-1], lengths)[owners]
    repeats[owners[same]] = True
    return repeats


def _done(data: NDArray[np.uint8], ends: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a sentence or a line ends at each place; its mark may stand after spaces, as in `what is this ?`.

    stops: where the texts end.
    """
    after = np.minimum(ends, stops)
    done: NDArray[np.bool_] = _AFTER[data[after]]
    for _ in range(MOST_SPACES):
        after = np.minimum(after + (_CLASS[data[after]] == _SPACE), stops)
    done |= _MARK[data[after]] | (after == stops)
    return done


def _sizes(texts: pa.Array) -> NDArray[np.int64]:
    sizes: NDArray[np.int64] = pc.binary_length(texts).to_numpy(zero_copy_only=False)
    return sizes


def _bytes(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of texts, padded, and where each begins."""
    data, offsets = buffers_of(texts)
    begun, size = int(offsets[0]), int(offsets[-1] - offsets[0])
    padded = np.zeros(size + PADDING, dtype=np.uint8)
    padded[:size] = data[begun : begun + size]
    return padded, offsets - begun
