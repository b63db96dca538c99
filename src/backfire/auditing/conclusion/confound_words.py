"""The confounds that are worth acting on, each in a sentence."""

from __future__ import annotations

from backfire.answers.audit import Confounds, Counted
from backfire.answers.estimates import Share

ALPHA = 0.05
MANY = 0.01
"""Share of pairs from which repeats, evaluation items and debris on both sides alike are worth a sentence."""
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


def confounded(found: Confounds) -> list[str]:
    """Sentences on what differs by side, and on what occurs in more than a hundredth of the pairs."""
    told: list[str] = []
    if found.truncated is not None and uneven(found.truncated):
        told.append(
            f"Truncation differs by side: {sides(found.truncated)} stop at the token limit, and a cut-off end is itself a cue."
        )
    told += [
        f"Stop reason {reason.what!r} differs by side: {sides(reason)}."
        for reason in found.stop_reasons[:3]
        if uneven(reason) and not (found.truncated is not None and uneven(found.truncated))
    ]
    if found.decoding_differs is not None and found.decoding_differs.hits:
        told.append(f"{rate(found.decoding_differs)} of pairs were decoded differently on their two sides.")
    if found.thoughts is not None:
        told.append(_thoughts(found.thoughts))
    told += [
        f"{remains.what}: in {sides(remains)}"
        + (", more often on one side." if uneven(remains, tests=len(found.debris)) else ".")
        for remains in found.debris
        if worth_telling(remains, tests=len(found.debris))
    ]
    told += [
        f"{one.what} in the prompts of {pairs(one.pairs.hits)} ({rate(one.pairs)}), and not of the others: what is left of a"
        " template there is trained on as if a user had written it."
        for one in found.prompt_debris
        if (one.pairs.rate or 0) >= MANY
    ]
    told += [
        f"{pairs(repeat.pairs.hits)} ({rate(repeat.pairs)}) {plural(repeat.pairs.hits, *REPEATS[repeat.what])}."
        for repeat in found.repeats
        if repeat.pairs.hits and (repeat.what == "contradictions" or (repeat.pairs.rate or 0) >= MANY)
    ]
    told += [
        f"{pairs(one.pairs.hits)} {plural(one.pairs.hits, 'has', 'have')} a prompt of {one.name}: a score on it after"
        " training on them is contaminated."
        for one in found.evaluation_sets
    ]
    if found.overlap is not None and (found.overlap.exact.hits or found.overlap.near.hits):
        told.append(
            f"Prompts that {found.overlap.other} has too: {pairs(found.overlap.exact.hits)} with the same, and"
            f" {pairs(found.overlap.near.hits)} with nearly the same."
        )
    return told


def _thoughts(found: Counted) -> str:
    text = f"Thoughts stand before the answer in {sides(found)}; decisions are read from what follows them."
    if uneven(found):
        text = f"{text[:-1]}. That differs by side, so that the label can be learned as whether a response thinks."
    return text


def uneven(found: Counted, tests: int = 1) -> bool:
    """Whether it differs by side, beyond swaps; Bonferroni over `tests`, as far as the swaps can tell."""
    return (
        found.p is not None
        and found.p <= max(ALPHA / max(tests, 1), 0.005)
        and found.chosen.hits != found.rejected.hits
    )


def worth_telling(found: Counted, tests: int) -> bool:
    """Whether debris differs by side or is frequent on either."""
    return uneven(found, tests) or max(found.chosen.rate or 0, found.rejected.rate or 0) >= MANY


def sides(found: Counted) -> str:
    return f"{rate(found.chosen)} of chosen and {rate(found.rejected)} of rejected responses"


def rate(found: Share) -> str:
    return "none" if found.rate is None else f"{found.rate:.1%}"


def plural(count: int, one: str, several: str) -> str:
    return one if count == 1 else several


def pairs(count: int) -> str:
    return f"{count:,} {plural(count, 'pair', 'pairs')}"
