"""Pairs that a reward model is not trained on: which they are, and how often the trained model agrees with them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backfire.errors import InputError, setting
from backfire.records import Prompt, digest
from backfire.statistics import clustered_rate_of
from backfire.training.log import Agreement, HeldOut

UNKNOWN = "unknown"


class About(NamedTuple):
    """What is known of a pair beside its texts."""

    kind: str
    """harmful, benign or unknown."""
    writers: str
    """`gpt4o over self`: who wrote chosen, and who wrote rejected."""


@dataclass(frozen=True)
class HeldOutPair:
    """A pair that is not trained on."""

    chosen_ids: list[int]
    rejected_ids: list[int]
    about: About
    prompt_group: int
    reason: str = ""
    """Why it cannot be scored; empty where it can."""


def question_of(prompt: Prompt) -> str:
    """What a prompt says, without its system turn: one that all prompts share would make all of them nearly equal."""
    return "\n\n".join(turn.content for turn in prompt.messages if turn.role != "system")


def prompt_groups(questions: Sequence[str]) -> NDArray[np.int64]:
    """The group of each pair by what its prompt says, [pairs]: equal and nearly equal prompts share one."""
    import pyarrow as pa

    from backfire.texts import groups_of, near_links, signatures, text_keys

    places: dict[str, int] = {}
    which = np.array([places.setdefault(text, len(places)) for text in questions], dtype=np.int64)
    texts = pa.array(list(places), pa.large_string())
    order = np.argsort(keys := text_keys(texts), kind="stable")
    equal = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    links = np.concatenate(
        [np.stack([order[equal], order[equal + 1]], axis=1), near_links(signatures(texts))]
    )
    return groups_of(len(places), links)[which]


def held_out_pairs(
    groups: NDArray[np.int64], questions: Sequence[str], share: float, seed: int
) -> NDArray[np.bool_]:
    """Which pairs are held out, [pairs]: whole groups of prompts, in an order made of their contents, up to the share of pairs.

    The order of the rows does not matter. A group with which there would be more than the share is trained on, so that one
    prompt with many pairs does not take the training data away; where every group is so large, the smallest is held out.

    Raises InputError where all pairs have one prompt.
    """
    held = np.zeros(len(groups), dtype=np.bool_)
    if not share:
        return held
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        raise InputError(
            f"all {len(groups)} pairs have the same prompt, or nearly the same, so that none can be held out: give "
            f"{setting('held_out')} 0 to train on all of them, or more prompts"
        )
    keys: dict[int, str] = {}
    for group, question in zip(groups.tolist(), questions, strict=True):
        key = digest("held out", seed, question)
        keys[group] = min(key, keys.get(group, key))
    most, count = max(1, round(share * len(groups))), 0
    chosen: list[int] = []
    for group in sorted(keys, key=lambda group: keys[group])[:-1]:
        if count + sizes[group] <= most:
            chosen.append(group)
            count += int(sizes[group])
    held[np.isin(groups, chosen or [int(sizes.argmin())])] = True
    return held


def agreement(
    pairs: Sequence[HeldOutPair],
    share: float,
    score: Callable[[list[dict[str, list[int]]]], list[float]],
) -> HeldOut:
    """Score both sides of every pair, and say how often the chosen one is higher; `score` takes token rows."""
    usable = [pair for pair in pairs if not pair.reason]
    rows = [{"input_ids": ids} for pair in usable for ids in (pair.chosen_ids, pair.rejected_ids)]
    values = iter(score(rows))
    cases = []
    for pair in pairs:
        if pair.reason:
            cases.append(_Case(pair, None, False, pair.reason))
            continue
        chosen, rejected = next(values), next(values)
        if math.isfinite(chosen) and math.isfinite(rejected):
            cases.append(_Case(pair, chosen > rejected, chosen == rejected, ""))
        else:
            cases.append(_Case(pair, None, False, "the score is not finite"))
    return HeldOut(
        share=share,
        all=_agreement(cases),
        by_kind=_by(cases, [case.pair.about.kind for case in cases]),
        by_writers=_by(cases, [case.pair.about.writers for case in cases]),
    )


class _Case(NamedTuple):
    pair: HeldOutPair
    agrees: bool | None
    tie: bool
    reason: str


def _by(cases: Sequence[_Case], names: Sequence[str]) -> dict[str, Agreement]:
    return {
        name: _agreement([case for case, its in zip(cases, names, strict=True) if its == name])
        for name in sorted(set(names))
    }


def _agreement(cases: Iterable[_Case]) -> Agreement:
    cases = list(cases)
    rate = clustered_rate_of((case.agrees, case.pair.prompt_group) for case in cases)
    return Agreement(
        pairs=rate.scored,
        prompts=len({case.pair.prompt_group for case in cases if case.agrees is not None}),
        agrees=rate.hits,
        ties=sum(case.tie for case in cases),
        unscored=dict(sorted(Counter(case.reason for case in cases if case.reason).items())),
        rate=rate.rate,
        low=rate.low,
        high=rate.high,
    )
