"""Topic by source by decision by predicted push: the table of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backfire.answers.estimates import Share
from backfire.answers.topics import SideDecides, Topic, TopicCell, Topics
from backfire.auditing.audited_pairs import COMPLY, KINDS, REFUSE, UNDECIDED, AuditedPairs, Ints
from backfire.auditing.probes.uncertainty import Values, share
from backfire.auditing.topics.grouping import PromptTopics, rows_order
from backfire.auditing.topics.prompt_words import asked_texts

MEASURES = ("safety_influence", "activation_contrast", "projection_difference")
"""Columns of what is predicted of each pair, below 0 away from refusing; the first of them that was measured is the push."""
MOST_SOURCES = 8
"""Sources that have cells of their own; the rarer ones stand together."""
OTHERS = "other sources"
ROWS_LISTED = 20
MOST_CHARACTERS = 200
DECISIONS: dict[int, SideDecides] = {COMPLY: "complies", REFUSE: "refuses", UNDECIDED: "undecided"}


def push_measured(columns: Mapping[str, Values]) -> str | None:
    """The measure whose sum is called push: the first of MEASURES that there is a column of."""
    return next((name for name in MEASURES if name in columns), None)


def topics_answer(grouping: PromptTopics, audited: AuditedPairs, columns: Mapping[str, Values]) -> Topics:
    """The table, with the push where a column of it was measured."""
    measure = push_measured(columns)
    values = None if measure is None else columns[measure]
    if grouping.reason is not None:
        return Topics(by=grouping.by, prompts=grouping.prompts, reason=grouping.reason)
    pushes = _Pushes(values)
    sources, names = _chosen_sources(audited)
    order = rows_order(audited.rows, values)
    texts = _Examples(audited)
    topics = []
    for number in [*range(1, len(grouping.terms) + 1), 0]:
        inside = order[grouping.codes[order] == number]
        if not len(inside):
            continue
        cells = _cells(inside, sources, names, audited, pushes, texts)
        decisions, kinds = audited.decisions[inside], audited.kinds[inside]
        topics.append(
            Topic(
                number=number,
                terms=grouping.terms[number - 1] if number else (),
                named=grouping.named[number - 1] if number else None,
                pairs=len(inside),
                harmful=_share(kinds == KINDS.index("harmful"), kinds != KINDS.index("unknown"))
                if (kinds != KINDS.index("unknown")).any()
                else None,
                chosen_complies=_share(decisions[:, 0] == COMPLY, decisions[:, 0] != UNDECIDED),
                rejected_complies=_share(decisions[:, 1] == COMPLY, decisions[:, 1] != UNDECIDED),
                **pushes.of(inside),
                cells=tuple(cells),
            )
        )
    return Topics(
        by=grouping.by,
        prompts=grouping.prompts,
        measure=measure,
        read=0 if values is None else int(np.isfinite(values).sum()),
        topics=tuple(topics),
    )


class _Pushes:
    """Sums of what is predicted of pairs."""

    def __init__(self, values: Values | None) -> None:
        self.values = values
        self.below = 0.0 if values is None else float(-np.nansum(np.minimum(values, 0)))

    def of(self, pairs: Ints) -> dict[str, float]:
        """`push` and `away` of these pairs; nothing where none was read."""
        if self.values is None or not np.isfinite(self.values[pairs]).any():
            return {}
        inside = self.values[pairs]
        away = (
            {}
            if not self.below
            else {"away": min(1.0, float(-np.nansum(np.minimum(inside, 0))) / self.below)}
        )
        return {"push": float(np.nansum(inside)), **away}


class _Examples:
    """Prompts of the pairs whose text is kept."""

    def __init__(self, audited: AuditedPairs) -> None:
        self.text = audited.text
        self.place = np.full(audited.pairs, -1, dtype=np.int64)
        self.place[audited.sample] = np.arange(len(audited.sample))

    def of(self, pairs: Ints) -> str | None:
        places = self.place[pairs]
        places = places[places >= 0]
        if not len(places):
            return None
        row = self.text.slice(int(places[0]), 1)
        asked: str = asked_texts(*(row[name].combine_chunks() for name in ("prompt", "messages")))[0].as_py()
        return " ".join(asked[:MOST_CHARACTERS].split())


def _share(hits: NDArray[np.bool_], scored: NDArray[np.bool_]) -> Share:
    count = int(scored.sum())
    return share(int((hits & scored).sum()), count, len(scored) - count)


def _chosen_sources(audited: AuditedPairs) -> tuple[Ints, tuple[str | None, ...]]:
    """Of every pair a number of who wrote the chosen response, and what each number stands for: the commonest sources, all
    others together, and None where it is not recorded."""
    codes = audited.sources.codes[:, 0].astype(np.int64)
    counts = np.bincount(codes[codes >= 0], minlength=len(audited.sources.names))
    common = np.argsort(-counts, kind="stable")[:MOST_SOURCES]
    common = common[counts[common] > 0]
    number = np.full(len(audited.sources.names) + 1, len(common), dtype=np.int64)
    number[common] = np.arange(len(common))
    number[-1] = len(common) + 1
    return number[codes], (*(audited.sources.names[code] for code in common), OTHERS, None)


def _cells(
    pairs: Ints,
    sources: Ints,
    names: tuple[str | None, ...],
    audited: AuditedPairs,
    pushes: _Pushes,
    texts: _Examples,
) -> list[TopicCell]:
    """The cells of one topic, the largest push away first, else the most pairs. `pairs` stand in the order of their rows' push."""
    decisions = audited.decisions[pairs].astype(np.int64)
    of_source = np.bincount(sources[pairs], minlength=len(names))
    key: NDArray[Any] = sources[pairs] * 9 + (decisions[:, 0] + 1) * 3 + decisions[:, 1] + 1
    cells = []
    for value in np.unique(key).tolist():
        inside = pairs[key == value]
        source, rest = divmod(value, 9)
        chosen, rejected = divmod(rest, 3)
        cells.append(
            TopicCell(
                source=names[source],
                chosen=DECISIONS[chosen - 1],
                rejected=DECISIONS[rejected - 1],
                pairs=len(inside),
                of=int(of_source[source]),
                **pushes.of(inside),
                rows=tuple(audited.rows[inside[:ROWS_LISTED]].tolist()),
                example=texts.of(inside),
            )
        )
    return sorted(cells, key=lambda cell: (-(cell.away or 0.0), -cell.pairs, cell.source or "", cell.chosen))
