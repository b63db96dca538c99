"""Hashes of many stretches of bytes at once, the same on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_ONCE = np.uint64(0xBF58476D1CE4E5B9)
_TWICE = np.uint64(0x94D049BB133111EB)
_LENGTH = np.uint64(0xD6E8FEB86659FD93)
_AT_ONCE = 1 << 15
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(9)], dtype=np.uint64)
"""For 0 to 8 bytes read from memory as a little-endian number, the bits that they fill."""


def mix(value: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014), one to one on 64-bit numbers."""
    value = value * _STEP
    other = value >> np.uint64(30)
    value ^= other
    value *= _ONCE
    np.right_shift(value, np.uint64(27), out=other)
    value ^= other
    value *= _TWICE
    np.right_shift(value, np.uint64(31), out=other)
    value ^= other
    return value


def read_eight(data: NDArray[np.uint8], places: NDArray[np.int64]) -> Hashes:
    """The eight bytes from each place on as a little-endian number; every place + 8 lies within `data`."""
    whole = np.ndarray((max(0, len(data) - 7),), dtype="<u8", buffer=data, strides=(1,))
    return whole[places].astype(np.uint64, copy=False)


def read_bytes(data: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Hashes:
    """The first up to eight bytes of each stretch as a little-endian number, zeros where it is over."""
    value = read_eight(data, starts)
    value &= _MASKS[np.minimum(lengths, 8)]
    return value


def hash_spans(data: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Hashes:
    """A 64-bit hash of each stretch of bytes: [stretches]; eight bytes can be read from every place in one.

    The first eight bytes are mixed with the length; each further block of eight is mixed, multiplied by an
    odd number that hangs on its place, and added.
    """
    hashed = np.empty(len(starts), dtype=np.uint64)
    for at in range(0, len(starts), _AT_ONCE):
        few = slice(at, at + _AT_ONCE)
        hashed[few] = _hash_few(data, starts[few], lengths[few])
    return hashed


def _hash_few(data: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Hashes:
    value = read_bytes(data, starts, lengths)
    value += lengths.astype(np.uint64) * _LENGTH
    value = mix(value)
    longer = np.flatnonzero(lengths > 8)
    if len(longer):
        blocks = (lengths[longer] - 1) >> 3
        begins = np.cumsum(blocks) - blocks
        place = np.arange(1, blocks.sum() + 1) - np.repeat(begins, blocks)
        within = place << 3
        starts, lengths = np.repeat(starts[longer], blocks), np.repeat(lengths[longer], blocks)
        block = read_bytes(data, starts + within, lengths - within)
        block = mix(block)
        block *= mix(place.astype(np.uint64)) | np.uint64(1)
        value[longer] += np.add.reduceat(block, begins)
    return value
