"""Openers of a decision that a policy never made by itself on a prompt, and the policy's continuations of them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

import yaml

from backfire.records import Decoding, Prompt, digest

if TYPE_CHECKING:
    from backfire.models import Generation, LocalModel

Decision = Literal["refusal", "compliance"]

WORDS = 4
"""Of an opening, at most."""
OWN = 3
"""Openers taken from the policy's own responses."""
LISTED = 4
"""Openers taken from openers.yaml."""
COMMON = 0.2
"""A word of a share of the prompts at least so large is no topic of one prompt."""


@cache
def listed_openers() -> Mapping[str, tuple[str, ...]]:
    """openers.yaml: openers by decision."""
    text = files("backfire.influence").joinpath("openers.yaml").read_text(encoding="utf-8")
    return {decision: tuple(openers) for decision, openers in yaml.safe_load(text).items()}


def own_openers(responses: Sequence[tuple[Prompt, str]], most: int = OWN) -> tuple[str, ...]:
    """The commonest openings of about four words, commonest first; each opens responses to two prompts at least.

    An opening ends before a word that names what its prompt is about (a word of the prompt that few prompts have), so
    that it fits other prompts.
    """
    prompts = {prompt.id: prompt.text for prompt, _ in responses}
    words = {key: set(_words(text)) for key, text in prompts.items()}
    spread = Counter(word for openings in words.values() for word in openings)
    heard: dict[str, set[str]] = defaultdict(set)
    for prompt, text in responses:
        topics = {w for w in words[prompt.id] if spread[w] < COMMON * len(words) or len(words) == 1}
        if opening := _opening(text, topics):
            heard[opening].add(prompt.id)
    ranked = sorted(heard, key=lambda opening: (-len(heard[opening]), opening))
    return tuple(opening for opening in ranked if len(heard[opening]) > 1)[:most]


def continued(
    model: LocalModel,
    prompts: Sequence[Prompt],
    decision: Decision,
    own: Sequence[str],
    *,
    decides: Callable[[Prompt, Generation], Decision | None],
    decoding: Decoding,
    seed: int,
    most: int,
    batch_size: int = 64,
) -> dict[str, tuple[str, ...]]:
    """Up to `most` different continuations a prompt that make the decision, by prompt id; prompts without are left out.

    own: the policy's own openers, tried first, from a place that the prompt's id draws so that no opener is everybody's;
    those of openers.yaml follow. decides: what a continuation decides. Each opener is tried once a prompt; where prompt,
    opener and max_new_tokens exceed the context, it is not tried.
    """
    listed = listed_openers()[decision][:LISTED]
    queues = {
        p.id: [*_turned(own, p.id), *(opener for opener in _turned(listed, p.id) if opener not in own)]
        for p in prompts
    }
    by_prompt: dict[str, list[str]] = defaultdict(list)
    for turn in range(len(own) + len(listed)):
        pairs = [
            (p, queues[p.id][turn])
            for p in prompts
            if len(by_prompt[p.id]) < most and turn < len(queues[p.id])
        ]
        for batch in _batches(model, pairs, decoding, batch_size):
            texts = model.continue_texts([p for p, _ in batch], [o for _, o in batch], decoding, seed)
            for (prompt, _), done in zip(batch, texts, strict=True):
                if done.text not in by_prompt[prompt.id] and decides(prompt, done) == decision:
                    by_prompt[prompt.id].append(done.text)
    return {key: tuple(texts) for key, texts in by_prompt.items() if texts}


def _batches(
    model: LocalModel, pairs: Sequence[tuple[Prompt, str]], decoding: Decoding, size: int
) -> Iterable[Sequence[tuple[Prompt, str]]]:
    """Those that fit the context, longest first."""
    lengths = [len(ids) for ids, _ in model.template.opened_ids(pairs)]
    bound = model.context
    fitting = [k for k, n in enumerate(lengths) if bound is None or n + decoding.max_new_tokens <= bound]
    fitting.sort(key=lambda k: (-lengths[k], pairs[k][0].id))
    start = 0
    while start < len(fitting):
        longest = lengths[fitting[start]]
        most = min(size, model.rows_at_once(longest, longest + decoding.max_new_tokens))
        yield [pairs[k] for k in fitting[start : start + most]]
        start += most


def _opening(text: str, topics: set[str]) -> str:
    """The first words, up to WORDS, before a topic; empty where the text starts with one."""
    words: list[str] = []
    for word in text.split()[:WORDS]:
        if topics.intersection(_words(word)):
            break
        words.append(word)
    return " ".join(words)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _turned(openers: Sequence[str], key: str) -> list[str]:
    if not openers:
        return []
    start = int(digest("opener", key)[:8], 16) % len(openers)
    return [*openers[start:], *openers[:start]]
