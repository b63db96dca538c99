"""`clean`: pairs with a fault of their own are taken out, by the audit's own findings. White space at the ends of responses is
taken off. Nothing else is changed."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from backfire.auditing.affected import Affected
from backfire.auditing.audited_pairs import AuditedPairs, Ints
from backfire.auditing.findings.generation_traces import rows_with_debris, rows_with_marks
from backfire.auditing.findings.repeated import NONE, repeated
from backfire.auditing.findings.single_texts import rows_cut_off, rows_with_echoes
from backfire.auditing.text_pass import NEAR_PAIRS, collect
from backfire.preferences import Preferences
from backfire.repairing.given import GivenPairs
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of
from backfire.repairing.settings import Fault
from backfire.repairing.white_space import trimmed_block, trimmed_pair

ROWS_WITH: dict[Fault, Callable[[AuditedPairs], Affected]] = {
    "debris": rows_with_debris,
    "prompt-debris": rows_with_marks,
    "echo": rows_with_echoes,
    "truncation": rows_cut_off,
}
"""By fault of single pairs, the rows that the audit lists. The first that a pair has is the reason for which it goes."""
REPEATS = {
    "contradictions": "another pair prefers the other response",
    "duplicates": "an earlier pair is the same",
    "near-duplicates": "an earlier pair is nearly the same",
}
"""Why a pair that repeats others goes."""
STAYS = "none of the faults was found that were looked for"
TRIMMED = "white space at the start or the end of a response was taken off"

Reason = tuple[str, int | None]
"""Why a pair goes, and the index of the other pair, if there is one."""


def clean_pairs(given: GivenPairs, data: Preferences, faults: Collection[Fault]) -> Outcome:
    """Take out the pairs with one of these faults. Of pairs that repeat each other, the first without another fault stays.

    White space at the ends of responses is debris that can be taken off without loss, and so it is; the pair stays.

    data: the same data set as `given`, as the audit reads it. It is read again until nothing more is found: what nearly
    repeats each other is found by links, which may change when pairs between are gone, and it is looked for in sets of
    up to NEAR_PAIRS pairs alone.
    """
    gone: dict[int, Reason] = {}
    alive: Ints | None = None
    places: list[int] = []
    while True:
        audited = collect(_blocks(data, alive, trims="debris" in faults))
        if alive is None:
            alive, places = np.arange(audited.pairs), _places(audited.rows.tolist(), given.rows)
        faulty = _faulty(audited, faults)
        gone |= {int(alive[i]): (why, None if o is None else int(alive[o])) for i, (why, o) in faulty.items()}
        alive = np.delete(alive, list(faulty))
        near = any(why.startswith("near-duplicates") for why, _ in faulty.values())
        now_near = audited.near_sides is None and len(alive) <= NEAR_PAIRS
        if "near-duplicates" not in faults or not (near or now_near) or not len(alive):
            break
    left_out = [(why, places[index]) for index, (why, _) in gone.items()]
    kinds = {row: kind for kind, rows in data.defects.items() for row in rows}
    left_out += [
        (f"gives no pair: {kinds.get(given.rows[place], 'not read')}", place)
        for place in sorted(set(range(len(given.pairs))) - set(places))
    ]
    outcome = outcome_of((_stays(given, places[i], "debris" in faults) for i in alive.tolist()), left_out)
    others = {places[i]: places[o] for i, (_, o) in gone.items() if o is not None}
    return replace(outcome, others=others)


def _stays(given: GivenPairs, place: int, trims: bool) -> RepairedPair:
    pair = given.pairs[place]
    trimmed = trimmed_pair(pair) if trims else pair
    if trimmed is pair:
        return RepairedPair(pair, "kept", STAYS, place)
    return RepairedPair(trimmed, "response trimmed", TRIMMED, place)


def _blocks(data: Preferences, alive: Ints | None, trims: bool) -> Iterator[pa.RecordBatch]:
    """The pairs at these places, ascending; all of them where none are given. trims: take white space off their responses."""
    start = 0
    for given in data.blocks():
        block = trimmed_block(given) if trims else given
        if alive is None:
            yield block
            continue
        low, high = np.searchsorted(alive, [start, start + len(block)])
        if high > low:
            yield block.take(pa.array(alive[low:high] - start))
        start += len(block)


def _places(rows: Sequence[int], given: Sequence[int]) -> list[int]:
    """Where each pair that the audit reads stands among the given ones; several of one row in their order."""
    waiting: defaultdict[int, deque[int]] = defaultdict(deque)
    for place, row in enumerate(given):
        waiting[row].append(place)
    return [waiting[row].popleft() for row in rows]


def _faulty(audited: AuditedPairs, faults: Collection[Fault]) -> dict[int, Reason]:
    """Why each pair with one of the faults goes, by its index."""
    numbered = replace(audited, rows=np.arange(1, audited.pairs + 1), earlier_rows=None)
    gone: dict[int, Reason] = {}
    for name, rows_with in ROWS_WITH.items():
        if name in faults:
            one = rows_with(numbered)
            details = one.details or ("",) * len(one.rows)
            for row, detail in zip(one.rows.tolist(), details, strict=True):
                gone.setdefault(row - 1, (f"{one.finding}: {detail}" if detail else one.finding, None))
    # Equal pairs have equal faults; of nearly equal ones, the first without a fault has to be told among those that stay.
    for finding in REPEATS:
        if finding in faults:
            rest = np.delete(np.arange(audited.pairs), list(gone))
            for place, other in _repeating(audited, rest, finding):
                gone[place] = (f"{finding}: {REPEATS[finding]}", other)
    return gone


def _repeating(audited: AuditedPairs, rest: Ints, finding: str) -> Iterator[tuple[int, int]]:
    """Which of the pairs `rest` go since they repeat or contradict another of them, and the other."""
    # The sample of texts has no part in it.
    repeats = repeated(replace(audited, sample=rest[:0]).subset(rest))
    others = {
        "contradictions": repeats.contradictions,
        "duplicates": repeats.duplicates,
        "near-duplicates": repeats.near_duplicates,
    }[finding]
    for place, other in enumerate([] if others is None else others.tolist()):
        if other != NONE and (finding == "contradictions" or other < place):
            yield int(rest[place]), int(rest[other])
