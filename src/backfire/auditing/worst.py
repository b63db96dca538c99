"""Which pairs a person should look at first, and their texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backfire.answers.decisions import pair_key
from backfire.answers.worst_pairs import WorstPair, WorstPairs, WorstSide
from backfire.auditing.affected import Affected
from backfire.auditing.audited_pairs import COMPLY, KINDS, REFUSE, Ints
from backfire.auditing.faults.registry import finding_named
from backfire.auditing.probes.probe import MeasuredProbe
from backfire.auditing.probes.uncertainty import Values
from backfire.auditing.reading import PairsRead
from backfire.auditing.topics.grouping import rows_order
from backfire.auditing.topics.tabulating import DECISIONS, push_measured
from backfire.preferences import prompt_of

TAUGHT = "chosen complies, rejected refuses"
BY_FAULTS = (
    "by the number of findings that name a pair, a chosen response that complies where the rejected one refuses being one of them;"
    " among equals by how easily the pair is told apart"
)


@dataclass(frozen=True)
class ForReading:
    """How many pairs are wanted, and who gets them."""

    count: int
    give: Callable[[WorstPairs], None]


def worst_pairs(
    pairs: PairsRead,
    wanted: int,
    columns: Mapping[str, Values],
    affected: Sequence[Affected],
    probe: MeasuredProbe | None,
) -> WorstPairs:
    """Those that push most away from refusing, where that was measured; else those that most findings name.

    columns: what is predicted of each pair, by its name. affected: every row of each finding. probe: which tells how easily each
    pair is told apart.
    """
    audited = pairs.audited
    reasons = _reasons(pairs, affected)
    measure = push_measured(columns)
    if measure is not None:
        values = columns[measure]
        order = rows_order(audited.rows, values)
        order = order[np.isfinite(values[order])]
        for place in order[:wanted].tolist():
            reasons[place].insert(0, f"{measure} {values[place]:.3g}")
        in_words = f"by {measure}, the largest push away from refusing first"
    else:
        named = np.array([len(reasons[place]) for place in range(audited.pairs)])
        ease = np.zeros(audited.pairs) if probe is None else probe.measured.bits
        order, in_words = np.lexsort((audited.rows, -ease, -named)), BY_FAULTS
    return WorstPairs(
        pairs.data.origin,
        pairs.data.read_digest(),
        audited.pairs,
        in_words,
        tuple(_with_texts(pairs, order[:wanted], reasons)),
    )


def _reasons(pairs: PairsRead, affected: Sequence[Affected]) -> defaultdict[int, list[str]]:
    """The findings that name each pair, by its index. Cues, lengths and sources tell the label and are no fault of one pair."""
    audited = pairs.audited
    reasons: defaultdict[int, list[str]] = defaultdict(list)
    taught = (audited.decisions[:, 0] == COMPLY) & (audited.decisions[:, 1] == REFUSE)
    for place in np.flatnonzero(taught & (audited.kinds != KINDS.index("benign"))).tolist():
        reasons[place].append(TAUGHT)
    for one in affected:
        if finding_named(one.finding) is None:
            continue
        for place in np.flatnonzero(np.isin(audited.rows, one.rows)).tolist():
            reasons[place].append(one.finding)
    return reasons


def _with_texts(pairs: PairsRead, order: Ints, reasons: Mapping[int, list[str]]) -> list[WorstPair]:
    """The pairs at these indices with their texts, in this order, by one more pass over the data."""
    wanted = set(order.tolist())
    by_place: dict[int, WorstPair] = {}
    start = 0
    for block in pairs.blocks():
        for place in sorted(place for place in wanted if start <= place < start + len(block)):
            index = place - start
            prompt = prompt_of(block, index)
            chosen, rejected = (block[side][index].as_py() for side in ("chosen", "rejected"))
            by_place[place] = WorstPair(
                int(pairs.audited.rows[place]),
                pair_key(prompt.id, chosen, rejected),
                block["prompt"][index].as_py(),
                KINDS[int(pairs.audited.kinds[place])],
                _side(pairs, place, 0, chosen),
                _side(pairs, place, 1, rejected),
                tuple(dict.fromkeys(reasons.get(place, ()))),
            )
        start += len(block)
        if len(by_place) == len(wanted):
            break
    return [by_place[place] for place in order.tolist()]


def _side(pairs: PairsRead, place: int, side: int, text: str) -> WorstSide:
    code = int(pairs.audited.sources.codes[place, side])
    source = pairs.audited.sources.names[code] if code >= 0 else None
    return WorstSide(text, DECISIONS[int(pairs.audited.decisions[place, side])], source)
