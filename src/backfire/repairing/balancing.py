"""`balance`: break the mapping from source to label by re-pairing stored responses. No label is flipped.

Who wrote a response decides its label where one source is always chosen. Swapping the sides of half of the pairs would
break that too, and teach wrong preferences. Here the reward model ranks instead: a re-paired couple are two stored
responses to one prompt of which the higher scored is chosen. Two kinds of couples break the mapping:

- two responses of one source, matched on stop reason and, within a quarter, on length; of those that match, the couple
  of widest score margin, which is the most certain preference;
- two of different sources against the usual direction, where the reward model prefers the usually rejected source's;
  never the pair's own two responses the other way round.

Given pairs stay as they are as far as they balance: pairs within one source, and between two sources as many of either
direction. Afterwards every source is chosen exactly as often as rejected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from math import isfinite

from backfire.errors import InputError
from backfire.pairs import Pair
from backfire.records import Response
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of

LENGTH = 0.25
"""Lengths in words that differ by at most this part of the longer one count as matched."""
UNKNOWN = "unknown"
"""The source of a response of which nobody said who wrote it."""


def balance_pairs(
    pairs: Sequence[Pair],
    pool: Mapping[str, Sequence[Response]],
    scores: Mapping[str, float],
) -> Outcome:
    """Re-pair until every source is chosen as often as rejected.

    Args:
        pool: stored responses by prompt id; those of the pairs need not be among them.
        scores: the reward model's score by response id. Responses without one are never re-paired.

    Raises:
        InputError: sources are unknown, or no prompt has what re-pairing needs: the message names it.
    """
    unknown = sum(UNKNOWN in (p.chosen.source, p.rejected.source) for p in pairs)
    if unknown:
        raise InputError(
            f"balance: of {unknown} of {len(pairs)} pairs nobody said who wrote them: name the columns by source columns"
        )
    keep = {place for place, p in enumerate(pairs) if p.chosen.source == p.rejected.source}
    within, against = _couples(pairs, pool, scores, keep)
    reverse: set[int] = set()
    for usual, other in _directions(pairs):
        staying, turned = _balanced(usual, other, within, against)
        keep |= staying
        reverse |= turned
    repaired_pairs, left_out = [], []
    for place, pair in enumerate(pairs):
        if place in keep:
            repaired_pairs.append(RepairedPair(pair, "kept", _why_kept(pair), place))
        elif place in reverse:
            repaired_pairs.append(
                RepairedPair(
                    against[place], "re-paired", _why("against the usual direction", against[place]), place
                )
            )
        elif place in within:
            repaired_pairs.append(
                RepairedPair(within[place], "re-paired", _why("within one source", within[place]), place)
            )
        else:
            left_out.append(("its prompt has no couple that balances it", place))
    if not repaired_pairs:
        raise InputError(_needed(pairs, pool, scores))
    return outcome_of(repaired_pairs, left_out)


def _couples(
    pairs: Sequence[Pair], pool: Mapping[str, Sequence[Response]], scores: Mapping[str, float], done: set[int]
) -> tuple[dict[int, Pair], dict[int, Pair]]:
    """By place, the best couple within one source and the best one against the pair's direction, where there are any."""
    within: dict[int, Pair] = {}
    against: dict[int, Pair] = {}
    taken: set[str] = set()
    for place, pair in enumerate(pairs):
        if place in done:
            continue
        couples = list(_ranked(pair, pool, scores))
        same = [c for c in couples if c.chosen.source == c.rejected.source and c.id not in taken]
        sources = (pair.rejected.source, pair.chosen.source)
        turned = [c for c in couples if (c.chosen.source, c.rejected.source) == sources and c.id not in taken]
        for couples_by_place, best in ((within, same), (against, turned)):
            if best:
                couples_by_place[place] = min(best, key=_mismatch)
                taken.add(couples_by_place[place].id)
    return within, against


def _ranked(
    pair: Pair, pool: Mapping[str, Sequence[Response]], scores: Mapping[str, float]
) -> Iterator[Pair]:
    """Every couple of scored responses to the prompt, the higher scored chosen; never the pair turned round."""
    roles = {pair.rejected.source: pair.rejected_role, pair.chosen.source: pair.chosen_role}
    known = {r.id: r for r in (pair.chosen, pair.rejected, *pool.get(pair.prompt.id, ()))}
    scored = [r for r in known.values() if r.text.strip() and isfinite(scores.get(r.id, float("nan")))]
    own = {pair.chosen.text, pair.rejected.text}
    for better, worse in permutations(scored, 2):
        if scores[better.id] <= scores[worse.id] or better.text.split() == worse.text.split():
            continue
        if {better.text, worse.text} == own:
            continue
        yield replace(
            pair,
            chosen=better,
            rejected=worse,
            chosen_role=roles.get(better.source, better.source),
            rejected_role=roles.get(worse.source, worse.source),
            chosen_score=scores[better.id],
            rejected_score=scores[worse.id],
        )


def _mismatch(couple: Pair) -> tuple[bool, bool, float, str]:
    a, b = len(couple.chosen.text.split()), len(couple.rejected.text.split())
    assert couple.chosen_score is not None
    assert couple.rejected_score is not None
    return (
        couple.chosen.stop_reason != couple.rejected.stop_reason,
        abs(a - b) > LENGTH * max(a, b),
        couple.rejected_score - couple.chosen_score,
        couple.id,
    )


def _directions(pairs: Sequence[Pair]) -> Iterator[tuple[list[int], list[int]]]:
    """For every two sources, the places of the pairs of the commoner direction and of the rarer one."""
    by_sources: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
    for place, pair in enumerate(pairs):
        a, b = pair.chosen.source, pair.rejected.source
        if a != b:
            both = by_sources.setdefault((min(a, b), max(a, b)), ([], []))
            both[a > b].append(place)
    for one, other in by_sources.values():
        yield (one, other) if len(one) >= len(other) else (other, one)


def _balanced(
    usual: Sequence[int], other: Sequence[int], within: Mapping[int, Pair], against: Mapping[int, Pair]
) -> tuple[set[int], set[int]]:
    """Which pairs of two sources stay as they are, and which are turned against their direction.

    As many are left of either direction: len(kept usual) == len(other) + len(turned). The others are re-paired within
    a source where they can be. Pairs that can do nothing else are kept first.
    """
    fixed = [p for p in usual if p not in within and p not in against]
    turnable = [p for p in usual if p in against and p not in within]
    free = [p for p in usual if p in within]
    staying = (fixed + turnable + free)[: len(other)]
    rest = [p for p in fixed + turnable if p not in set(staying)]
    fixed = [p for p in rest if p not in against]
    turners = [p for p in rest if p in against] + [p for p in free if p in against and p not in set(staying)]
    partners = fixed[: len(turners)]
    turned = turners[: len(partners)]
    spare = [p for p in turners[len(partners) :] if p not in within]
    half = len(spare) // 2
    return {*other, *staying, *partners, *spare[:half]}, {*turned, *spare[half : 2 * half]}


def _why_kept(pair: Pair) -> str:
    if pair.chosen.source == pair.rejected.source:
        return "both sides are of one source"
    return "balanced by a pair of the same two sources in the other direction"


def _why(how: str, pair: Pair) -> str:
    assert pair.chosen_score is not None
    assert pair.rejected_score is not None
    unmatched = [
        name for name, differs in zip(("stop reason", "length"), _mismatch(pair)[:2], strict=True) if differs
    ]
    matched = (
        f"; {' and '.join(unmatched)} not matched" if unmatched else "; matched on length and stop reason"
    )
    return f"{how}, ranked by score ({pair.chosen_score:.3g} above {pair.rejected_score:.3g}){matched}"


def _needed(
    pairs: Sequence[Pair], pool: Mapping[str, Sequence[Response]], scores: Mapping[str, float]
) -> str:
    """What is missing for any re-pairing."""
    several = 0
    for pair in pairs:
        texts: dict[str, set[str]] = {}
        for r in (pair.chosen, pair.rejected, *pool.get(pair.prompt.id, ())):
            texts.setdefault(r.source, set()).add(r.text)
        several += any(len(of_source) > 1 for of_source in texts.values())
    lacking = []
    if not several:
        lacking.append(
            "more than one response of a source to a prompt (draw them with `backfire sample --n 8` and give the "
            "ledger as pool)"
        )
    if not scores:
        lacking.append("scores that rank them (name a reward model)")
    if not lacking:
        lacking.append("responses of one source to a prompt that differ in score")
    return (
        "balance: the source decides the label of every pair, and nothing can be re-paired without turning labels "
        f"round, which would teach wrong preferences; it needs {' and '.join(lacking)}"
    )
