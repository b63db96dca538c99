"""Source leak: how far the label follows from who wrote the response, before a word of it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backfire.auditing.labelled_pair import LabelledPair
from backfire.auditing.separability import Rung, Split, rung

MOST_SOURCES = 200
"""Rarer sources count as one."""


@dataclass(frozen=True)
class SourceLeak:
    """Which sources stand on which side."""

    pairs: int
    """Pairs whose two sources are known."""
    unknown: int
    same_source: int
    """Pairs whose two sides have one source."""
    combinations: tuple[tuple[str, str, int], ...]
    """(chosen source, rejected source, pairs), most frequent first."""
    fixed: bool
    """Whether no source stands on both sides, so that the source decides the label."""
    mapping: str
    """The mapping in words."""
    probe: Rung
    """What the source alone predicts on held-out prompts, the text unseen."""

    def as_dict(self) -> dict[str, Any]:
        probe = self.probe.as_dict()
        return {
            "pairs": self.pairs,
            "unknown": self.unknown,
            "same_source": self.same_source,
            "fixed": self.fixed,
            "mapping": self.mapping,
            "combinations": [
                {"chosen": chosen, "rejected": rejected, "pairs": count}
                for chosen, rejected, count in self.combinations[:50]
            ],
            "pointwise": probe["pointwise"],
            "pairwise": probe["pairwise"],
            **({"reason": self.probe.reason} if self.probe.reason else {}),
        }


def source_leak(pairs: Sequence[LabelledPair], split: Split, folds: int, penalty: float) -> SourceLeak | None:
    """Predict the label from the two sources alone; None where no pair names both of its sources."""
    known = np.array(
        [i for i, p in enumerate(pairs) if p.chosen_from.source and p.rejected_from.source], dtype=np.int64
    )
    if not len(known):
        return None
    sides = [(str(pairs[i].chosen_from.source), str(pairs[i].rejected_from.source)) for i in known]
    counted = Counter(sides)
    combinations = tuple(
        (c, r, n) for (c, r), n in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    )
    chosen, rejected = {c for c, _ in sides}, {r for _, r in sides}
    fixed = not chosen & rejected
    names = [n for n, _ in Counter(source for pair in sides for source in pair).most_common(MOST_SOURCES)]
    column = {name: index for index, name in enumerate(names)}
    width = len(names) + 1

    def one_hot(side: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        features = np.zeros((len(sides), width))
        features[np.arange(len(sides)), [column.get(pair[side], width - 1) for pair in sides]] = 1
        return features

    probe = rung(
        "source",
        "who wrote each side, the text unseen",
        one_hot(0),
        one_hot(1),
        split.subset(known),
        folds=folds,
        penalty=penalty,
        dense=False,
    )
    return SourceLeak(
        len(known),
        len(pairs) - len(known),
        sum(n for c, r, n in combinations if c == r),
        combinations,
        fixed,
        _in_words(chosen, rejected, fixed),
        probe,
    )


def _in_words(chosen: set[str], rejected: set[str], fixed: bool) -> str:
    if fixed:
        return (
            f"fixed source-to-label mapping: chosen is always {_names(chosen)},"
            f" rejected is always {_names(rejected)}"
        )
    both = chosen & rejected
    if len(chosen | rejected) == 1:
        return f"one source, {_names(both)}, writes both sides"
    return f"{_names(both)} {'writes' if len(both) == 1 else 'write'} both chosen and rejected responses"


def _names(names: set[str]) -> str:
    listed = sorted(names)
    if len(listed) > 4:
        return f"{', '.join(listed[:3])} or one of {len(listed) - 3} others"
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} or {listed[-1]}"
