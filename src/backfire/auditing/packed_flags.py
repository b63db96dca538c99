"""Flags of many kinds for every pair, eight of them in a byte: of a million pairs most have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


def bytes_of(kinds: int) -> int:
    """How many bytes hold a flag of each kind."""
    return -(-kinds // 8)


@dataclass(frozen=True)
class PackedFlags:
    """Whether each of [...] texts has each of so many kinds."""

    bits: NDArray[np.uint8]
    """[..., bytes]: kind 0 is the highest bit of the first byte."""
    kinds: int

    @classmethod
    def of(cls, flags: Flags) -> PackedFlags:
        """flags: [..., kinds]."""
        return cls(np.packbits(flags, axis=-1), flags.shape[-1])

    @classmethod
    def joined(cls, parts: Sequence[PackedFlags]) -> PackedFlags:
        """Those of several blocks of texts, one after the other."""
        return cls(np.concatenate([part.bits for part in parts]), parts[0].kinds)

    def kind(self, number: int) -> Flags:
        """Which texts have one kind: [...]."""
        byte, bit = divmod(number, 8)
        flags: Flags = (self.bits[..., byte] & np.uint8(128 >> bit)) != 0
        return flags

    def any_kind(self) -> Flags:
        """Which texts have any kind: [...]."""
        flags: Flags = np.asarray(self.bits.any(axis=-1))
        return flags

    def take(self, places: NDArray[np.int64]) -> PackedFlags:
        """Those of some texts, by their indices."""
        return PackedFlags(self.bits[places], self.kinds)
