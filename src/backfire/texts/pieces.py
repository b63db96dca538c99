"""Arrow texts as bytes that fit in the cache: what every other file here computes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

SEPARATOR = ord("\n")
PADDING = 16
"""Zero bytes behind a piece's data, so that eight bytes can be read from any place in it."""
PIECE_BYTES = 1 << 18
PIECE_TEXTS = 1 << 14


@dataclass(frozen=True)
class Piece:
    """Consecutive texts of an array, a line feed behind each, and PADDING zero bytes behind all."""

    first: int
    """Index of the first of these texts in the array."""
    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    """[texts + 1]: text i is data[offsets[i] : offsets[i + 1] - 1]."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + len(self))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Bytes of each text."""
        return np.diff(self.offsets) - 1

    def counts(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many of these places, in ascending order, lie in each text (or on its line feed): [texts]."""
        return np.diff(np.searchsorted(positions, self.offsets))

    def owners(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which text, counted from 0, each of these places lies in; the places ascend."""
        return np.repeat(np.arange(len(self)), self.counts(positions))


def as_texts(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One contiguous large_string array; a null counts as an empty text."""
    if isinstance(texts, pa.ChunkedArray):
        texts = pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], texts.type)
    if texts.type != pa.large_string():
        texts = texts.cast(pa.large_string())
    return texts.fill_null("") if texts.null_count else texts


def as_arrays(texts: pa.Array | pa.ChunkedArray | Sequence[pa.Array]) -> list[pa.Array]:
    """The same as a list of large_string arrays, none of them copied where they are of that type already."""
    if isinstance(texts, pa.Array):
        return [as_texts(texts)]
    return [as_texts(part) for part in (texts.chunks if isinstance(texts, pa.ChunkedArray) else texts)]


def pieces(texts: pa.Array, piece_bytes: int = PIECE_BYTES) -> Iterator[Piece]:
    """Cut at whole texts, about `piece_bytes` bytes each; a longer text is a piece of its own."""
    texts = as_texts(texts)
    first, ends = 0, buffers_of(texts)[1][1:]
    while first < len(texts):
        begun = ends[first - 1] if first else ends[0] - ends[0]
        last = int(np.searchsorted(ends, begun + piece_bytes, side="right"))
        last = min(max(last, first + 1), first + PIECE_TEXTS, len(texts))
        yield _piece(texts, first, last)
        first = last


def buffers_of(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A large_string array's bytes and its offsets into them, [texts + 1], neither copied."""
    _, offsets, data = texts.buffers()
    bytes_ = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    if not len(texts):
        return bytes_, np.zeros(1, dtype=np.int64)
    return bytes_, np.frombuffer(offsets, dtype=np.int64, count=texts.offset + len(texts) + 1)[texts.offset :]


def _piece(texts: pa.Array, first: int, last: int) -> Piece:
    mark = pa.scalar(chr(SEPARATOR), pa.large_string())
    joined = pc.binary_join_element_wise(texts[first:last], mark, pa.scalar("", pa.large_string()))
    data, offsets = buffers_of(joined)
    begun, size = int(offsets[0]), int(offsets[-1] - offsets[0])
    padded = np.empty(size + PADDING, dtype=np.uint8)
    padded[:size] = data[begun : begun + size]
    padded[size:] = 0
    return Piece(first, padded, offsets - begun)


def _lower_table(low: int, high: int) -> NDArray[np.int64]:
    """For each character of low..high its lower case, where that is one character of the same range."""
    lowered = [chr(code).lower() for code in range(low, high)]
    codes = [ord(text) if len(text) == 1 else 0 for text in lowered]
    return np.array([new if low <= new < high else low + i for i, new in enumerate(codes)], dtype=np.int64)


_ASCII_LOWER = np.arange(256, dtype=np.uint8)
_ASCII_LOWER[ord("A") : ord("Z") + 1] += 32
_TWO_BYTES = _lower_table(0x80, 0x800)
_LATIN_AND_GREEK_ADDED = _lower_table(0x1E00, 0x2000)


def folded(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy in lower case, of the same length: ASCII, U+0080-07FF, U+1E00-1FFF (Latin, Greek, Cyrillic).

    Only letters whose lower case is one character of the same range change, so that the result does not hang
    on a version of Unicode. Bytes that are no UTF-8 stay as they are.
    """
    lower: NDArray[np.uint8] = np.take(_ASCII_LOWER, data, mode="clip")
    if not len(data) or data.max() < 0xC2:
        return lower
    at = np.flatnonzero((lower - np.uint8(0xC2)) < 0xE0 - 0xC2)
    at = at[(lower[at + 1] & 0xC0) == 0x80]
    code = (lower[at] & 0x1F).astype(np.int64) << 6 | lower[at + 1] & 0x3F
    code = _TWO_BYTES[code - 0x80]
    lower[at] = 0xC0 | code >> 6
    lower[at + 1] = 0x80 | code & 0x3F
    at = np.flatnonzero(lower == 0xE1)
    at = at[(lower[at + 1] >= 0xB8) & (lower[at + 1] < 0xC0) & ((lower[at + 2] & 0xC0) == 0x80)]
    code = (lower[at + 1] & 0x3F).astype(np.int64) << 6 | lower[at + 2] & 0x3F
    code = _LATIN_AND_GREEK_ADDED[code - 0xE00]
    lower[at + 1] = 0x80 | code >> 6 & 0x3F
    lower[at + 2] = 0x80 | code & 0x3F
    return lower
