"""64-bit keys that say which texts are the same, stable across machines and versions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.texts.hashing import Hashes, hash_spans, mix
from backfire.texts.pieces import as_texts, folded, pieces

_NEXT = np.uint64(0xA0761D6478BD642F)
_SPACE = ord(" ")
_SPACED = np.arange(256, dtype=np.uint8)
_SPACED[[9, 10, 11, 12, 13, 28, 29, 30, 31, 32]] = _SPACE
_WIDE_SPACES = [
    chr(code) for code in (0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
]


def exact_keys(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.uint64]:
    """Equal where the texts are equal byte for byte, else different but for one pair in 2^64: [texts]."""
    texts = as_texts(texts)
    keys = np.empty(len(texts), dtype=np.uint64)
    for piece in pieces(texts):
        keys[piece.rows] = hash_spans(piece.data, piece.offsets[:-1], piece.lengths)
    return keys


def text_keys(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.uint64]:
    """Equal where the texts differ in case and white space only: [texts].

    Case is folded as `folded` says; a run of white space (as `str.split` has it) counts as one space, and as
    nothing at either end.
    """
    texts = as_texts(texts)
    keys = np.empty(len(texts), dtype=np.uint64)
    for piece in pieces(texts):
        data = plain_spaces(folded(piece.data))
        space = data == _SPACE
        repeated = space.copy()
        repeated[1:] &= space[:-1]
        left_out = np.flatnonzero(repeated)
        offsets = piece.offsets - np.searchsorted(left_out, piece.offsets)
        np.logical_not(repeated, out=repeated)
        lengths = np.maximum(np.diff(offsets) - 1, 0)
        keys[piece.rows] = hash_spans(data[repeated], offsets[:-1], lengths)
    return keys


def combine_keys(*keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One key for each row of several columns of keys; their order counts."""
    together: Hashes = np.zeros(len(keys[0]), dtype=np.uint64)
    for column in keys:
        together = mix(together * _NEXT + column)
    return together


def plain_spaces(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy in which every byte of a white-space character is a space."""
    data = np.take(_SPACED, data, mode="clip")
    if data.max(initial=0) < 0x80:
        return data
    for lead in {space.encode()[0] for space in _WIDE_SPACES}:
        at = np.flatnonzero(data == lead)
        for encoded in (space.encode() for space in _WIDE_SPACES):
            if encoded[0] == lead:
                hit = at[np.logical_and.reduce([data[at + i] == byte for i, byte in enumerate(encoded)])]
                for i in range(len(encoded)):
                    data[hit + i] = _SPACE
    return data
