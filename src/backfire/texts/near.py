"""Near-duplicate texts: MinHash signatures (Broder 1997), buckets of bands (Indyk and Motwani 1998)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from backfire.texts.hashing import hash_spans, mix
from backfire.texts.pieces import Piece, as_texts, folded, pieces
from backfire.texts.words import words_of

WIDTH = 64
"""Hash functions of a signature: an estimated Jaccard similarity of .8 has a standard error of .05."""
BAND = 4
"""Signature entries that two texts must share in one of WIDTH / BAND places to be compared."""
NO_WORD = np.uint32(0xFFFFFFFF)
"""Every entry of the signature of a text without a word."""

_FACTORS = (mix(np.arange(1, WIDTH + 1, dtype=np.uint64)) >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
_SUMMANDS = (mix(np.arange(1001, WIDTH + 1001, dtype=np.uint64)) >> np.uint64(32)).astype(np.uint32)
_FINISH = np.uint32(0x85EBCA6B)
_FIRST, _SECOND = np.uint64(0x9FB21C651E98DF25), np.uint64(0xD6E8FEB86659FD93)
_AT_ONCE = 1 << 18


def signatures(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.uint32]:
    """MinHash of the runs of three words: uint32 [texts, WIDTH].

    Case is folded. A text of one or two words counts by these words; one without a word has NO_WORD in every
    place. The share of equal places estimates the Jaccard similarity of two texts.
    """
    texts = as_texts(texts)
    signed = np.full((len(texts), WIDTH), NO_WORD, dtype=np.uint32)
    for piece in pieces(texts):
        shingles, firsts = _shingles(Piece(piece.first, folded(piece.data), piece.offsets))
        some = np.flatnonzero(firsts[1:] > firsts[:-1])
        if not len(some):
            continue
        least = np.empty((WIDTH, len(some)), dtype=np.uint32)
        value, other = np.empty_like(shingles), np.empty_like(shingles)
        for place in range(WIDTH):
            np.multiply(shingles, _FACTORS[place], out=value)
            value += _SUMMANDS[place]
            np.right_shift(value, np.uint32(15), out=other)
            value ^= other
            value *= _FINISH
            np.minimum.reduceat(value, firsts[some], out=least[place])
        signed[piece.first + some] = np.minimum(least.T, NO_WORD - np.uint32(1))
    return signed


def near_links(signed: NDArray[np.uint32], similarity: float = 0.8) -> NDArray[np.int64]:
    """Pairs of rows whose signatures agree in a share of places of at least `similarity`: int64 [pairs, 2].

    Equal signatures are linked to the first of them. The others are compared where a band of BAND places is
    equal: with the first such row and with the row before, so that time is in proportion to the rows however
    many share a band. Links need not be complete, but every one is verified; texts without a word have none.
    """
    rows = np.flatnonzero(signed[:, 0] != NO_WORD)
    every = np.zeros(len(rows), dtype=np.uint64)
    bands = []
    for place in range(0, signed.shape[1], BAND):
        band = np.zeros(len(rows), dtype=np.uint64)
        for column in range(place, place + BAND):
            band = mix(band + signed[rows, column])
        bands.append(band)
        every = mix(every + band)
    _, first, which = np.unique(every, return_index=True, return_inverse=True)
    same = np.stack([rows[first[which]], rows], axis=1)
    links = [same[same[:, 0] != same[:, 1]]]
    alone = np.sort(first)
    candidates = np.unique(np.concatenate([_neighbours(band[alone], rows[alone]) for band in bands]))
    one, other = candidates >> np.uint64(32), candidates & np.uint64(0xFFFFFFFF)
    pairs = np.stack([one.astype(np.int64), other.astype(np.int64)], axis=1)
    for at in range(0, len(pairs), _AT_ONCE):
        few = pairs[at : at + _AT_ONCE]
        agreed = np.count_nonzero(signed[few[:, 0]] == signed[few[:, 1]], axis=1)
        links.append(few[agreed >= similarity * signed.shape[1]])
    return np.concatenate(links)


def groups_of(count: int, links: NDArray[np.int64]) -> NDArray[np.int64]:
    """The group of each of `count` rows, [rows]: linked rows share one; numbered by their first row."""
    ones = np.ones(len(links), dtype=np.int8)
    graph = sparse.csr_matrix((ones, (links[:, 0], links[:, 1])), shape=(count, count))
    label = csgraph.connected_components(graph, directed=False)[1]
    _, first, which = np.unique(label, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[which]


def _shingles(piece: Piece) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """As many as there are words: where a run of three would leave its text, the one before is repeated."""
    words = words_of(piece)
    hashed = hash_spans(piece.data, words.starts, words.lengths)
    runs = hashed.copy()
    runs[:-2] += hashed[1:-1] * _FIRST + hashed[2:] * _SECOND
    last, counts = words.firsts[1:] - 1, words.counts
    for missing in (1, 0):
        cut = last[counts > 2] - missing
        runs[cut] = runs[last[counts > 2] - 2]
    few = np.concatenate([last[counts == 1], last[counts == 2], last[counts == 2] - 1])
    runs[few] = hashed[few]
    return (mix(runs) >> np.uint64(32)).astype(np.uint32), words.firsts


def _neighbours(band: NDArray[np.uint64], rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Rows of one band value, each with the first of them and with the one before, as row << 32 | row."""
    order = np.argsort(band, kind="stable")
    ranked, rows = band[order], rows[order].astype(np.uint64)
    begins = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1]))[: len(ranked)])
    first = np.repeat(rows[begins], np.diff(begins, append=len(ranked)))
    beside = np.concatenate([first, np.where(ranked[1:] == ranked[:-1], rows[:-1], rows[1:])])
    itself = np.concatenate([rows, rows[1:]])
    linked: NDArray[np.uint64] = (beside << np.uint64(32) | itself)[beside != itself]
    return linked
