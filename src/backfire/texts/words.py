"""Where the words of texts are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backfire.texts.pieces import Piece

_IS_WORD = np.zeros(256, dtype=bool)
_IS_WORD[128:] = True
_IS_WORD[[*b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_'"]] = True


@dataclass(frozen=True)
class Words:
    """The words of a piece's texts in their order."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    """In bytes."""
    firsts: NDArray[np.int64]
    """[texts + 1]: the words of text i are firsts[i] up to firsts[i + 1]."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """Words of each text."""
        return np.diff(self.firsts)


def words_of(piece: Piece) -> Words:
    """Words are runs of ASCII letters, digits, `_` and `'`, every byte outside ASCII counting as a letter."""
    inside = np.take(_IS_WORD, piece.data, mode="clip")
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    edges += 1
    if inside[0]:
        edges = np.concatenate(([0], edges))
    starts = edges[::2].copy()
    return Words(starts, edges[1::2] - starts, np.searchsorted(starts, piece.offsets))
