"""The confounds that are worth acting on, each in a sentence."""

from __future__ import annotations

from backfire.answers.confounds import Confounds, Counted
from backfire.answers.numerals import plural
from backfire.auditing.conclusion.count_words import MANY, pairs_text, rate, sides, uneven, worth_telling
from backfire.auditing.conclusion.fault_words import faulty_texts, turned_round

REPEATS = {
    "exact duplicates": ("repeats an earlier one exactly", "repeat an earlier one exactly"),
    "contradictions": (
        "contradicts another with the same two responses",
        "contradict another with the same two responses",
    ),
    "near duplicates": ("nearly repeats another", "nearly repeat another"),
    "repeated prompts": ("has the prompt of an earlier one", "have the prompt of an earlier one"),
    "near-duplicate prompts": ("has nearly the prompt of another", "have nearly the prompt of another"),
}
"""For each kind of `repeats.repeats`, what one pair and what several do."""


def confounded(confounds: Confounds) -> list[str]:
    """Sentences on what differs by side, and on what occurs in more than a hundredth of the pairs."""
    sentences = turned_round(confounds)
    if confounds.truncated is not None and uneven(confounds.truncated):
        sentences.append(
            f"Truncation differs by side: {sides(confounds.truncated)} stop at the token limit, and a cut-off end is itself a cue."
        )
    sentences += [
        f"Stop reason {reason.what!r} differs by side: {sides(reason)}."
        for reason in confounds.stop_reasons[:3]
        if uneven(reason) and not (confounds.truncated is not None and uneven(confounds.truncated))
    ]
    if confounds.decoding_differs is not None and confounds.decoding_differs.hits:
        sentences.append(
            f"{rate(confounds.decoding_differs)} of pairs were decoded differently on their two sides."
        )
    if confounds.thoughts is not None:
        sentences.append(_thoughts(confounds.thoughts))
    sentences += [
        f"{remains.what}: in {sides(remains)}"
        + (", more often on one side." if uneven(remains, tests=len(confounds.debris)) else ".")
        for remains in confounds.debris
        if worth_telling(remains, tests=len(confounds.debris))
    ]
    sentences += [
        f"{one.what} in the prompts of {pairs_text(one.pairs.hits)} ({rate(one.pairs)}), and not of the others: what is left of a"
        " template there is trained on as if a user had written it."
        for one in confounds.prompt_debris
        if (one.pairs.rate or 0) >= MANY
    ]
    sentences += [
        f"{pairs_text(repeat.pairs.hits)} ({rate(repeat.pairs)}) {plural(repeat.pairs.hits, *REPEATS[repeat.what])}."
        for repeat in confounds.repeats
        if repeat.pairs.hits and (repeat.what == "contradictions" or (repeat.pairs.rate or 0) >= MANY)
    ]
    sentences += [
        f"{pairs_text(one.pairs.hits)} {plural(one.pairs.hits, 'has', 'have')} a prompt of {one.name}: a score on it after"
        " training on them is contaminated."
        for one in confounds.evaluation_sets
    ]
    sentences += faulty_texts(confounds)
    if confounds.overlap is not None and (confounds.overlap.exact.hits or confounds.overlap.near.hits):
        sentences.append(
            f"Prompts that {confounds.overlap.other} has too: {pairs_text(confounds.overlap.exact.hits)} with the same, and"
            f" {pairs_text(confounds.overlap.near.hits)} with nearly the same."
        )
    return sentences


def _thoughts(counted: Counted) -> str:
    text = f"Thoughts stand before the answer in {sides(counted)}; decisions are read from what follows them."
    if uneven(counted):
        text = f"{text[:-1]}. That differs by side, so that the label can be learned as whether a response thinks."
    return text
