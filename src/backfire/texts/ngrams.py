"""TF-IDF of hashed word or character n-grams, without a Python loop over texts or words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from backfire.texts.hashing import Hashes, hash_spans
from backfire.texts.pieces import PADDING, Piece, as_arrays, as_texts, folded, pieces
from backfire.texts.words import words_of

Units = Literal["words", "characters"]

BUCKETS = 1 << 20
"""n-grams are told apart, and their document frequencies counted, in this many hash buckets."""
ORDERS: dict[Units, tuple[int, int]] = {"words": (1, 2), "characters": (3, 4)}
_PIECE_BYTES: dict[Units, int] = {"words": 4 << 20, "characters": 1 << 19}
_BUCKET_SHIFT = np.uint64(64 - 20)
_BEFORE = np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class _Grams:
    """Every n-gram of a piece: two beginning at each word or character, the shorter one first."""

    bucket: NDArray[np.int32]
    """[n-grams]; BUCKETS where the text ends before the n-gram does."""
    firsts: NDArray[np.int64]
    """[texts + 1]: the n-grams of text i are firsts[i] up to firsts[i + 1]."""
    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    """Of every word or character in `data`."""


@dataclass(frozen=True)
class _Distinct:
    """Distinct (bucket, text) pairs of a piece, by bucket and then by text."""

    bucket: NDArray[np.int64]
    """The buckets that occur, ascending."""
    documents: NDArray[np.int64]
    """In how many texts each of these does."""
    row: NDArray[np.int32]
    """[pairs]"""
    count: NDArray[np.int64]
    """[pairs]: how often the text has it."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Which n-grams have a column, and every n-gram's inverse document frequency."""

    units: Units
    width: int
    """Columns: as many as were asked for, or as many n-grams as there are."""
    buckets: NDArray[np.int64]
    """[width]: the n-gram of each column, ascending."""
    rarity: NDArray[np.float32]
    """[BUCKETS]: log((1 + texts) / (1 + texts with it)) + 1."""

    @classmethod
    def of(
        cls, texts: Sequence[pa.Array] | pa.ChunkedArray | pa.Array, units: Units, width: int
    ) -> Vocabulary:
        """The n-grams of most weight, texts * idf^2, over these texts: a choice that sees no label.

        Case is folded. Words are runs of ASCII letters, digits, `_` and `'`, every byte outside ASCII
        counting as a letter; their n-grams are of 1 and 2. Characters are code points, their n-grams of 3
        and 4. Ties go to the lower hash.
        """
        documents, count = np.zeros(BUCKETS, dtype=np.int64), 0
        for part in as_arrays(texts):
            count += len(part)
            for piece in pieces(part, _PIECE_BYTES[units]):
                distinct = _distinct(_grams(piece, units))
                documents[distinct.bucket] += distinct.documents
        rarity = np.log((1 + count) / np.arange(1, documents.max() + 2)) + 1
        heaviest = _heaviest(documents, rarity**2 * np.arange(len(rarity)), width)
        return cls(units, len(heaviest), heaviest, rarity[documents].astype(np.float32))

    def features(self, texts: pa.Array | pa.ChunkedArray) -> sparse.csr_matrix:
        """(1 + log count) * idf, over the norm of all n-grams of the text: float32 [texts, width].

        Rows have norm 1 before the n-grams without a column are left out, and at most 1 after. A text without
        an n-gram has an empty row. Indices are sorted.
        """
        column = np.full(BUCKETS, -1, dtype=np.int32)
        column[self.buckets] = np.arange(self.width)
        parts = [
            self._weights(_grams(piece, self.units), column)
            for piece in pieces(as_texts(texts), _PIECE_BYTES[self.units])
        ]
        if not parts:
            return sparse.csr_matrix((0, self.width), dtype=np.float32)
        return sparse.vstack(parts, format="csr")

    def names(self, texts: pa.Array | pa.ChunkedArray, columns: Sequence[int]) -> list[str]:
        """For each of these columns its n-gram in lower case, found in these texts; "" where none has it.

        Reads until every column is found. Where several n-grams share a column, the commonest one so far.
        """
        in_question = np.zeros(BUCKETS + 1, dtype=bool)
        in_question[self.buckets[list(columns)]] = True
        names: dict[int, Counter[str]] = {}
        for piece in pieces(as_texts(texts)):
            grams = _grams(piece, self.units)
            for at in np.flatnonzero(in_question[grams.bucket]).tolist():
                names.setdefault(int(grams.bucket[at]), Counter())[_surface(grams, self.units, at)] += 1
            if len(names) == len(set(columns)):
                break
        sought = self.buckets[list(columns)].tolist()
        return [names[b].most_common(1)[0][0] if b in names else "" for b in sought]

    def _weights(self, grams: _Grams, column: NDArray[np.int32]) -> sparse.csr_matrix:
        distinct, rows = _distinct(grams), len(grams.firsts) - 1
        if not len(distinct.row):
            return sparse.csr_matrix((rows, self.width), dtype=np.float32)
        frequency = (1 + np.log(np.arange(1, distinct.count.max() + 1))).astype(np.float32)
        weight = frequency[distinct.count - 1]
        weight *= np.repeat(self.rarity[distinct.bucket], distinct.documents)
        norm = np.sqrt(np.bincount(distinct.row, weight * weight, minlength=rows))
        norm[norm == 0] = 1
        at = column[distinct.bucket]
        with_column = np.repeat(at >= 0, distinct.documents)
        row = distinct.row[with_column]
        value = weight[with_column] / norm.astype(np.float32)[row]
        ends = np.zeros(self.width + 1, dtype=np.int64)
        ends[at[at >= 0] + 1] = distinct.documents[at >= 0]
        by_column = sparse.csc_matrix((value, row, np.cumsum(ends)), shape=(rows, self.width))
        return by_column.tocsr()


def _heaviest(documents: NDArray[np.int64], weight: NDArray[np.float64], width: int) -> NDArray[np.int64]:
    """The `width` buckets of the largest `weight[documents]`, ascending; among equals the first."""
    buckets = np.bincount(documents, minlength=len(weight))
    buckets[0] = 0
    order = np.argsort(-weight, kind="stable")
    up_to = np.cumsum(buckets[order])
    wanted = np.zeros(len(weight), dtype=bool)
    wanted[order] = (up_to <= width) & (buckets[order] > 0)
    heaviest = np.flatnonzero(wanted[documents])
    if len(heaviest) < min(width, up_to[-1]):
        level = np.flatnonzero(documents == order[np.argmax(up_to > width)])
        heaviest = np.sort(np.concatenate([heaviest, level[: width - len(heaviest)]]))
    return heaviest


def _grams(piece: Piece, units: Units) -> _Grams:
    lower = Piece(piece.first, folded(piece.data), piece.offsets)
    return _word_grams(lower) if units == "words" else _character_grams(lower)


def _word_grams(piece: Piece) -> _Grams:
    words = words_of(piece)
    hashed = hash_spans(piece.data, words.starts, words.lengths)
    bucket = np.empty(2 * len(hashed), dtype=np.int32)
    bucket[::2] = hashed >> _BUCKET_SHIFT
    bucket[1:-1:2] = _after(hashed[:-1], hashed[1:]) >> _BUCKET_SHIFT
    bucket[2 * words.firsts[1:][words.counts > 0] - 1] = BUCKETS
    return _Grams(bucket, 2 * words.firsts, piece.data, words.starts, words.starts + words.lengths)


def _after(one: Hashes, other: Hashes) -> Hashes:
    return one * _BEFORE + other


def _character_grams(piece: Piece) -> _Grams:
    text = piece.data[:-PADDING]
    starts = np.flatnonzero((text & 0xC0) != 0x80)
    firsts = np.searchsorted(starts, piece.offsets)
    until = np.append(starts, np.full(max(ORDERS["characters"]), len(text)))
    bucket = np.empty((len(starts), 2), dtype=np.int32)
    for place, order in enumerate(ORDERS["characters"]):
        lengths = until[order : order + len(starts)] - starts
        bucket[:, place] = hash_spans(piece.data, starts, lengths) >> _BUCKET_SHIFT
        for missing in range(order):
            cut = firsts[1:] - 1 - missing
            bucket[cut[cut >= firsts[:-1]], place] = BUCKETS
    return _Grams(bucket.ravel(), 2 * firsts, piece.data, starts, until[1 : len(starts) + 1])


def _surface(grams: _Grams, units: Units, at: int) -> str:
    first = at // 2
    last = first + ORDERS[units][at % 2] - 1
    if units == "characters":
        return grams.data[grams.starts[first] : grams.ends[last]].tobytes().decode("utf-8", "replace")
    spans = zip(grams.starts[first : last + 1], grams.ends[first : last + 1], strict=True)
    return b" ".join(grams.data[start:end].tobytes() for start, end in spans).decode("utf-8", "replace")


def _distinct(grams: _Grams) -> _Distinct:
    """Grouped by a counting sort on the bucket, which takes time in proportion to the n-grams."""
    shape = (len(grams.firsts) - 1, BUCKETS + 1)
    ones = np.ones(len(grams.bucket), dtype=np.int8)
    by_bucket = sparse.csr_matrix((ones, grams.bucket, grams.firsts), shape=shape).tocsc()
    edges = by_bucket.indptr[:-1]
    row = by_bucket.indices[: edges[-1]]
    bucket = np.flatnonzero(edges[1:] > edges[:-1])
    if not len(bucket):
        nothing = np.zeros(0, dtype=np.int64)
        return _Distinct(nothing, nothing, row, nothing)
    fresh = np.empty(len(row), dtype=bool)
    np.not_equal(row[1:], row[:-1], out=fresh[1:])
    begins = edges[bucket]
    fresh[begins] = True
    at = np.flatnonzero(fresh)
    documents = np.add.reduceat(fresh, begins, dtype=np.int64)
    return _Distinct(bucket, documents, row[at], np.diff(at, append=len(row)))
