"""Dividing pairs and probes into shards, whole groups of prompts together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shards_of(groups: NDArray[np.int64], most: int, seed: int) -> list[NDArray[np.int64]]:
    """Positions in at most `most` parts of like size, whole groups together, in an order drawn by `seed`."""
    names, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    filled = np.cumsum(sizes[order]) - sizes[order] / 2
    part = np.empty(len(names), dtype=np.int64)
    part[order] = np.minimum(filled * min(most, len(names)) // len(groups), most - 1).astype(np.int64)
    shards = [np.flatnonzero(part[numbers] == k) for k in range(most)]
    return [positions for positions in shards if len(positions)]


def whole_groups(groups: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Positions of whole groups, drawn by `seed`, that are at most `most` (one group at the least)."""
    names, numbers, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    inside = np.zeros(len(names), dtype=bool)
    inside[order[np.cumsum(sizes[order]) <= most]] = True
    inside[order[:1]] = True
    return np.flatnonzero(inside[numbers])
