"""How pairs are divided for cross-fitting, and how their labels are swapped for the control: whole prompt groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.audited_pairs import Ints
from backfire.auditing.settings import FEWEST_PAIRS

FEWEST_PROMPTS_A_FOLD = 2
DIVISIONS = 3
REPEATED_PAIRS = 1_000
"""Up to so many pairs cross-fitting is repeated over DIVISIONS divisions; above, how they fell hardly matters."""

Signs = NDArray[np.int8]


@dataclass(frozen=True)
class Split:
    """One division, shared by every probe, so that their controls can be compared."""

    folds: Ints
    """Fold of each pair."""
    groups: Ints
    """Prompt group of each pair; the same fold, and the same swaps, for a whole group."""
    count: int
    """Folds."""
    controls: int
    """Random swaps."""
    seed: int

    @property
    def pairs(self) -> int:
        return len(self.folds)

    @property
    def prompts(self) -> int:
        return len(np.unique(self.groups))

    @property
    def swaps(self) -> Signs:
        """[pairs, controls], +1 where a pair keeps its label and -1 where its sides change places.

        Copies of a pair and pairs that share a prompt are not independent; a control that swapped them one by one
        would be too narrow. A group's signs depend on its number and the seed alone.
        """
        numbers, inverse = np.unique(self.groups, return_inverse=True)
        return self._signs(numbers)[inverse]

    def swapped_sums(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum of values [pairs], each with its pair's sign, for every swap: [controls]. Memory does not grow with pairs."""
        numbers, inverse = np.unique(self.groups, return_inverse=True)
        sums = np.bincount(inverse, values, minlength=len(numbers))
        by_swap = np.zeros(self.controls)
        for start in range(0, len(numbers), 1 << 16):
            part = slice(start, start + (1 << 16))
            by_swap += sums[part] @ self._signs(numbers[part])
        return by_swap

    def _signs(self, numbers: Ints) -> Signs:
        signs = np.empty((len(numbers), self.controls), dtype=np.int8)
        for word in range(0, self.controls, 64):
            seeded = np.uint64(self.seed) * np.uint64(1_000_003) + np.uint64(word)
            bits = _scattered(numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + seeded)
            width = min(64, self.controls - word)
            coins = (bits[:, None] >> np.arange(width, dtype=np.uint64)) & np.uint64(1)
            signs[:, word : word + width] = coins.astype(np.int8) * 2 - 1
        return signs

    def subset(self, places: Ints) -> Split:
        """The same division of fewer pairs."""
        return Split(self.folds[places], self.groups[places], self.count, self.controls, self.seed)

    def divisions(self) -> list[Ints]:
        """Folds of each pair in every division that cross-fitting is repeated over: more of them where pairs are few."""
        more = DIVISIONS - 1 if self.pairs <= REPEATED_PAIRS else 0
        return [self.folds, *(_dealt(self.groups, self.count, self.seed + 1 + r) for r in range(more))]

    def part(self, most: int) -> Ints:
        """Indices, ascending, of at most `most` pairs: whole groups in a seeded order, passing over those too large."""
        if self.pairs <= most:
            return np.arange(self.pairs)
        numbers, inverse, sizes = np.unique(self.groups, return_inverse=True, return_counts=True)
        order = np.argsort(_scattered(numbers.astype(np.uint64) + np.uint64(self.seed)), kind="stable")
        taken = np.zeros(len(numbers), dtype=bool)
        left, smallest = most, int(sizes.min())
        for group, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
            if size <= left:
                taken[group] = True
                left -= size
            if left < smallest:
                break
        return np.flatnonzero(taken[inverse])


def make_split(groups: Ints, *, folds: int = 5, controls: int = 199, seed: int = 0) -> Split:
    """Deal whole prompt groups [pairs] into folds, and say how many swaps the control has."""
    return Split(_dealt(groups, folds, seed), groups, folds, controls, seed)


def _dealt(groups: Ints, folds: int, seed: int) -> Ints:
    """Whole groups, the largest first, dealt to and fro, those of equal size in a seeded order."""
    numbers, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    seeded = _scattered(numbers.astype(np.uint64) * np.uint64(3) + np.uint64(seed))
    order = np.lexsort((seeded, -sizes))
    there_and_back = np.concatenate([np.arange(folds), np.arange(folds)[::-1]])
    fold_of = np.empty(len(numbers), dtype=np.int64)
    fold_of[order] = there_and_back[np.arange(len(numbers)) % (2 * folds)]
    return fold_of[inverse]


def too_few(split: Split) -> str | None:
    """Why these pairs cannot be cross-fitted; None where they can."""
    if split.pairs < FEWEST_PAIRS:
        return f"too few pairs: {split.pairs} usable, {FEWEST_PAIRS} needed"
    fewest = FEWEST_PROMPTS_A_FOLD * split.count
    sizes = np.unique(split.groups, return_counts=True)[1]
    if len(sizes) < fewest or len(np.unique(split.folds)) < split.count:
        return f"too few prompts: {len(sizes)} distinct ones, {fewest} needed"
    if sizes.max() * 2 > split.pairs:
        return (
            f"too few prompts: one of them, with its near copies, holds {sizes.max()} of {split.pairs} pairs"
        )
    return None


def _scattered(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
