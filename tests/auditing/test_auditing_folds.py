"""Pairs of one prompt stay together, and the division does not hang on the order of the rows."""

from __future__ import annotations

import numpy as np

from backfire.auditing.folds import assign_folds, normalised, prompt_groups, sample_groups
from backfire.auditing.labelled_pair import LabelledPair
from backfire.records import Prompt


def pair(prompt: str | list[str], chosen: str, rejected: str) -> LabelledPair:
    turns = [prompt] if isinstance(prompt, str) else prompt
    messages = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)]
    return LabelledPair(1, Prompt.of_messages(messages), chosen, rejected)


def test_the_same_prompt_in_other_clothes_is_one_group() -> None:
    pairs = [
        pair("How do I mend a lamp?", "a", "b"),
        pair("  how do i MEND a lamp", "c", "d"),
        pair("Other", "e", "f"),
    ]
    groups = prompt_groups(pairs)
    assert groups[0] == groups[1] != groups[2]
    assert normalised("Ｆｕｌｌ Width! ") == "full width"


def test_a_conversation_and_its_continuation_are_one_group() -> None:
    pairs = [
        pair(["Hi lamp", "Yes?", "Mend it"], "a", "b"),
        pair("Hi lamp", "c", "d"),
        pair("Hi stone", "e", "f"),
    ]
    groups = prompt_groups(pairs)
    assert groups[0] == groups[1] != groups[2]


def test_the_same_two_responses_are_one_group_whichever_was_chosen() -> None:
    groups = prompt_groups([pair("One", "a", "b"), pair("Two", "b", "a"), pair("Three", "a", "c")])
    assert groups[0] == groups[1] != groups[2]


def test_blank_prompts_bind_nothing() -> None:
    groups = prompt_groups([pair("", "a", "b"), pair(" ", "c", "d")])
    assert groups[0] != groups[1]


def test_no_group_is_split_and_folds_are_even() -> None:
    groups = [f"g{i % 40}" for i in range(200)]
    folds = assign_folds(groups, 5, seed=0)
    for group in set(groups):
        assert len({int(f) for f, g in zip(folds, groups, strict=True) if g == group}) == 1
    assert np.bincount(folds).tolist() == [40] * 5


def test_folds_follow_content_not_position() -> None:
    groups = [f"g{i % 30}" for i in range(100)]
    forwards = dict(zip(groups, assign_folds(groups, 5, seed=3), strict=True))
    backwards = dict(zip(groups[::-1], assign_folds(groups[::-1], 5, seed=3), strict=True))
    assert forwards == backwards
    assert forwards != dict(zip(groups, assign_folds(groups, 5, seed=4), strict=True))


def test_a_sample_keeps_groups_whole() -> None:
    groups = [f"g{i // 4}" for i in range(100)]
    kept = sample_groups(groups, 30, seed=0)
    assert len(kept) == 28
    assert all([groups[i] for i in kept].count(g) == 4 for g in {groups[i] for i in kept})
