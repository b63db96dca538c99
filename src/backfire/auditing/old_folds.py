"""Which pairs belong together, and which fold each goes to: by content, never by position."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.labelled_pair import LabelledPair
from backfire.records import digest

_NOT_WORD = re.compile(r"[\W_]+")


def normalised(text: str) -> str:
    """Compatibility form, case folded, runs of anything but letters and digits as one space."""
    return _NOT_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def prompt_groups(pairs: Sequence[LabelledPair]) -> list[str]:
    """A group name for each pair; pairs of one group must never stand on both sides of a fold.

    Together go pairs whose prompts are the same once normalised, prompts that continue one another
    (a conversation at several depths), and pairs whose two responses are both the same. A blank prompt
    binds nothing.
    """
    union = _Union(len(pairs))
    by_key: dict[str, int] = {}
    prefixes: list[list[str]] = []
    for index, pair in enumerate(pairs):
        turns = [normalised(m.content) for m in pair.prompt.messages]
        keys = [digest(turns[: depth + 1]) for depth in range(len(turns))]
        if any(turns):
            union.join(index, by_key.setdefault("prompt " + keys[-1], index))
        sides = sorted((pair.chosen.strip(), pair.rejected.strip()))
        union.join(index, by_key.setdefault("sides " + digest(sides), index))
        messages = pair.prompt.messages
        prefixes.append([keys[d] for d in range(len(turns) - 1) if messages[d].role == "user" and turns[d]])
    for index, keys in enumerate(prefixes):
        for key in keys:
            if (other := by_key.get("prompt " + key)) is not None:
                union.join(index, other)
    names: dict[int, str] = {}
    for index, pair in enumerate(pairs):
        root = union.root(index)
        names[root] = min(names.get(root, pair.id), pair.id)
    return [names[union.root(index)] for index in range(len(pairs))]


def assign_folds(groups: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """Fold numbers [pairs]: whole groups, largest first, then in a seeded order, each to the emptiest fold."""
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    order = sorted(sizes, key=lambda group: (-sizes[group], _shuffled(group, seed)))
    filled = [0] * folds
    fold_of: dict[str, int] = {}
    for group in order:
        fold = filled.index(min(filled))
        fold_of[group] = fold
        filled[fold] += sizes[group]
    return np.array([fold_of[group] for group in groups], dtype=np.int64)


def sample_groups(groups: Sequence[str], max_pairs: int, seed: int) -> list[int]:
    """Indices of at most `max_pairs` pairs, whole groups in a seeded order."""
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    kept: list[int] = []
    for group in sorted(members, key=lambda group: _shuffled(group, seed)):
        if len(kept) + len(members[group]) <= max_pairs:
            kept.extend(members[group])
    return sorted(kept)


def _shuffled(group: str, seed: int) -> str:
    return hashlib.blake2b(f"{seed} {group}".encode(), digest_size=16).hexdigest()


class _Union:
    def __init__(self, size: int) -> None:
        self.parent = list(range(size))

    def root(self, index: int) -> int:
        while self.parent[index] != index:
            self.parent[index] = self.parent[self.parent[index]]
            index = self.parent[index]
        return index

    def join(self, one: int, other: int) -> None:
        a, b = self.root(one), self.root(other)
        if a != b:
            self.parent[max(a, b)] = min(a, b)
