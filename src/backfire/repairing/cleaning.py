"""`clean`: pairs with a fault of their own are taken out, by the audit's own findings. White space at the ends of responses is
taken off. Nothing else is changed."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from backfire.auditing.audited_pairs import Ints
from backfire.auditing.faults.finding import AuditedTexts, Cleaned
from backfire.auditing.faults.registry import cleaned
from backfire.auditing.text_pass import NEAR_PAIRS, collect
from backfire.preferences import Preferences
from backfire.repairing.given import GivenPairs
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of
from backfire.repairing.white_space import trimmed_block, trimmed_pair

STAYS = "none of the faults was found that were looked for"
TRIMMED = "white space at the start or the end of a response was taken off"


@dataclass(frozen=True)
class Reason:
    """Why a pair goes."""

    fault: str
    why: str = ""
    other: int | None = None
    """The index of the pair that it repeats or contradicts, if there is one."""

    @property
    def text(self) -> str:
        return f"{self.fault}: {self.why}" if self.why else self.fault


def clean_pairs(given: GivenPairs, data: Preferences, faults: Collection[str]) -> Outcome:
    """Take out the pairs with one of these faults. Of pairs that repeat each other, the first without another fault stays.

    White space at the ends of responses is debris that can be taken off without loss, and so it is; the pair stays.

    data: the same data set as `given`, as the audit reads it. It is read again until nothing more is found: what nearly
    repeats each other is found by links, which may change when pairs between are gone, and it is looked for in sets of
    up to NEAR_PAIRS pairs alone.
    """
    wanted = {name: how for name, how in cleaned().items() if name in faults}
    trims = any(how.trims for how in wanted.values())
    gone: dict[int, Reason] = {}
    alive: Ints | None = None
    places: list[int] = []
    while True:
        texts = _texts(data, alive, trims)
        audited = texts.audited
        if alive is None:
            alive, places = np.arange(audited.pairs), _places(audited.rows.tolist(), given.rows)
        faulty, unseen = _faulty(texts, wanted)
        gone |= {
            int(alive[i]): one if one.other is None else replace(one, other=int(alive[one.other]))
            for i, one in faulty.items()
        }
        alive = np.delete(alive, list(faulty))
        changed = any(wanted[one.fault].again for one in faulty.values())
        if not (changed or (unseen and len(alive) <= NEAR_PAIRS)) or not len(alive):
            break
    left_out = [(one.text, places[index]) for index, one in gone.items()]
    kinds = {row: kind for kind, rows in data.defects.items() for row in rows}
    left_out += [
        (f"gives no pair: {kinds.get(given.rows[place], 'not read')}", place)
        for place in sorted(set(range(len(given.pairs))) - set(places))
    ]
    outcome = outcome_of((_stays(given, places[i], trims) for i in alive.tolist()), left_out)
    others = {places[i]: places[one.other] for i, one in gone.items() if one.other is not None}
    return replace(outcome, others=others)


def _stays(given: GivenPairs, place: int, trims: bool) -> RepairedPair:
    pair = given.pairs[place]
    trimmed = trimmed_pair(pair) if trims else pair
    if trimmed is pair:
        return RepairedPair(pair, "kept", STAYS, place)
    return RepairedPair(trimmed, "response trimmed", TRIMMED, place)


def _texts(data: Preferences, alive: Ints | None, trims: bool) -> AuditedTexts:
    """The pairs at these places, ascending, or all of them; their rows are numbered from 1."""

    def blocks() -> Iterator[pa.RecordBatch]:
        return _blocks(data, alive, trims)

    audited = collect(blocks())
    return AuditedTexts(audited, blocks)


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


def _faulty(texts: AuditedTexts, wanted: Mapping[str, Cleaned]) -> tuple[dict[int, Reason], bool]:
    """Why each pair with one of the faults goes, by its index, and whether a fault could not be looked for in so many pairs.

    The first fault that a pair has by itself is the reason for which it goes.
    """
    audited = replace(texts.audited, rows=np.arange(1, texts.audited.pairs + 1), earlier_rows=None)
    numbered = replace(texts, audited=audited)
    gone: dict[int, Reason] = {}
    for name, how in wanted.items():
        if how.rows is not None:
            one = how.rows(numbered)
            details = one.details or ("",) * len(one.rows)
            for row, detail in zip(one.rows.tolist(), details, strict=True):
                gone.setdefault(row - 1, Reason(name, detail))
    # Equal pairs have equal faults; of nearly equal ones, the first without a fault has to be told among those that stay.
    unseen = False
    for name, how in wanted.items():
        if how.others is not None:
            rest = np.delete(np.arange(audited.pairs), list(gone))
            # The sample of texts has no part in it.
            others = how.others(replace(audited, sample=rest[:0]).subset(rest))
            unseen |= others is None and how.again
            for place, other in enumerate([] if others is None else others.tolist()):
                if other >= 0 and (how.both or other < place):
                    gone[int(rest[place])] = Reason(name, how.why, int(rest[other]))
    return gone, unseen
