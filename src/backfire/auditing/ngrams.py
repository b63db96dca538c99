"""Hashed word and byte n-grams of whole sets of responses, without a Python loop over words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 20
"""n-grams are told apart, and their document frequencies counted, in this many hash buckets."""
WIDTH = 1 << 12
"""Columns of the features, half of them for words and half for bytes."""
BYTE_ORDERS = (3, 4)
CHUNK_BYTES = 4 << 20

Keys = NDArray[np.uint64]
KeysOf = Callable[[NDArray[np.uint8], Keys], Iterator[Keys]]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_POWERS = np.cumprod(np.full(64, 0x100000001B3, dtype=np.uint64))
_IS_WORD = np.zeros(256, dtype=bool)
_IS_WORD[128:] = True
_IS_WORD[[*b"abcdefghijklmnopqrstuvwxyz0123456789_'"]] = True


@dataclass(frozen=True)
class _Counts:
    """Distinct (text, bucket) pairs of one chunk and how often each occurs."""

    row: NDArray[np.int64]
    bucket: NDArray[np.int64]
    count: NDArray[np.int64]


def ngram_features(texts: Sequence[str], width: int = WIDTH) -> NDArray[np.float32]:
    """TF-IDF of word 1-2-grams and of byte 3-4-grams: float32 [texts, at most `width`].

    Case is folded; words are runs of letters, digits, `_` and `'`, every byte outside ASCII counting as a
    letter, so that other scripts are covered by their bytes. Term frequencies are 1 + log(count), inverse
    document frequencies are smoothed, each text's words and bytes have Euclidean norm 1. Kept are the n-grams
    that carry the most weight over all texts: a choice that sees no label.
    """
    halves = [_block(texts, _word_keys, width // 2), _block(texts, _byte_keys, width - width // 2)]
    return np.hstack(halves)


def _block(texts: Sequence[str], keys_of: KeysOf, width: int) -> NDArray[np.float32]:
    chunks = list(_counted(texts, keys_of))
    documents = np.zeros(BUCKETS, dtype=np.int64)
    for chunk in chunks:
        documents += np.bincount(chunk.bucket, minlength=BUCKETS)
    rarity = np.log((1 + len(texts)) / (1 + documents)) + 1
    weight_of = documents * rarity**2
    kept = np.argsort(-weight_of, kind="stable")[: min(width, int(np.count_nonzero(documents)))]
    column = np.full(BUCKETS, -1, dtype=np.int64)
    column[kept] = np.arange(len(kept))
    features = np.zeros((len(texts), len(kept)), dtype=np.float32)
    for chunk in chunks:
        if not len(chunk.row):
            continue
        weight = (1 + np.log(chunk.count)) * rarity[chunk.bucket]
        local = chunk.row - chunk.row[0]
        norm = np.sqrt(np.bincount(local, weight * weight))
        at = column[chunk.bucket]
        inside = at >= 0
        features[chunk.row[inside], at[inside]] = (weight / norm[local])[inside]
    return features


def _counted(texts: Sequence[str], keys_of: KeysOf) -> Iterator[_Counts]:
    for start, encoded in _chunks(texts):
        lengths = np.fromiter((len(e) + 1 for e in encoded), dtype=np.int64, count=len(encoded))
        data = np.frombuffer(b"\0".join(encoded) + b"\0", dtype=np.uint8)
        owner = np.repeat(np.arange(len(encoded), dtype=np.uint64), lengths)
        keys = np.concatenate([np.zeros(0, dtype=np.uint64), *keys_of(data, owner)])
        keys.sort()
        fresh = np.concatenate(([True], keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, bool)
        at = np.flatnonzero(fresh)
        distinct = keys[at].astype(np.int64)
        count = np.diff(np.append(at, len(keys)))
        yield _Counts((distinct >> 20) + start, distinct & (BUCKETS - 1), count)


def _chunks(texts: Sequence[str]) -> Iterator[tuple[int, list[bytes]]]:
    start, size, chunk = 0, 0, list[bytes]()
    for index, text in enumerate(texts):
        encoded = text.lower().replace("\0", " ").encode("utf-8", "replace")
        chunk.append(encoded)
        size += len(encoded)
        if size >= CHUNK_BYTES or len(chunk) >= 1000:
            yield start, chunk
            start, size, chunk = index + 1, 0, []
    if chunk:
        yield start, chunk


def _word_keys(data: NDArray[np.uint8], owner: Keys) -> Iterator[Keys]:
    inside = _IS_WORD[data]
    edges = np.flatnonzero(np.diff(inside.astype(np.int8), prepend=0))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return
    position = np.arange(len(data)) - np.repeat(
        np.concatenate(([0], starts)), np.diff(np.concatenate(([0], starts, [len(data)])))
    )
    terms = (data.astype(np.uint64) + np.uint64(1)) * _POWERS[position & 63]
    terms[~inside] = 0
    words = np.add.reduceat(terms, starts) + (ends - starts).astype(np.uint64)
    text = owner[starts]
    yield _keys(text, _mix(words))
    together = text[1:] == text[:-1]
    yield _keys(text[1:][together], _mix((_mix(words[:-1]) + words[1:] * _MULTIPLIER)[together]))


def _byte_keys(data: NDArray[np.uint8], owner: Keys) -> Iterator[Keys]:
    wide = data.astype(np.uint64)
    for order in BYTE_ORDERS:
        windows = len(data) - order + 1
        if windows <= 0:
            continue
        code = np.full(windows, order, dtype=np.uint64)
        whole = np.ones(windows, dtype=bool)
        for offset in range(order):
            piece = wide[offset : offset + windows]
            code = (code << np.uint64(8)) | piece
            whole &= piece != 0
        yield _keys(owner[:windows][whole], _mix(code[whole]))


def _keys(text: Keys, hashed: Keys) -> Keys:
    return (text << np.uint64(20)) | (hashed >> np.uint64(44))


def _mix(value: Keys) -> Keys:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    value = value * _MULTIPLIER
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
