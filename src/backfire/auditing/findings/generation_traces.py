"""What was left by how responses were made: cut ends, stop reasons, decoding, remains of templates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backfire.answers.confounds import Counted, InPrompts
from backfire.answers.estimates import Share
from backfire.auditing.affected import Affected, of_prompts, of_sides
from backfire.auditing.audited_pairs import AuditedPairs, Coded, Ints
from backfire.auditing.probes.folds import Split
from backfire.auditing.probes.uncertainty import share
from backfire.texts import DEBRIS, TEMPLATE_MARKS

TRUNCATED = ("length", "max_tokens")
NOT_GENERATED = "given"
"""The stop reason of responses that a file gave: it says nothing."""
MOST_ROWS = 1_000
MOST_REASONS = 20
"""Stop reasons listed, the commonest first."""

Flags = NDArray[np.bool_]


class GenerationTraces(NamedTuple):
    """The fields of `Confounds` of the same names."""

    truncated: Counted | None
    stop_reasons: tuple[Counted, ...]
    decoding_differs: Share | None
    decoding_example: tuple[str, str] | None
    thoughts: Counted | None
    debris: tuple[Counted, ...]
    prompt_debris: tuple[InPrompts, ...]


def generation_traces(audited: AuditedPairs, split: Split) -> GenerationTraces:
    """Count them by side. What the data do not state is unscored; where they state nothing of it, there is no entry."""
    stops = audited.stops
    cut, stated = stopped_short(stops)
    truncated, reasons = None, tuple[Counted, ...]()
    if stated.any():
        truncated = counted("stopped by the token limit", cut, stated, audited, split)
        occurring, counts = np.unique(stops.codes[stated], return_counts=True)
        order = sorted(zip(-counts, occurring, strict=True), key=lambda e: (e[0], stops.names[e[1]]))
        reasons = tuple(
            counted(stops.names[code], stops.codes == code, stated, audited, split)
            for _, code in order[:MOST_REASONS]
        )
    differs, example = _decoding(audited.decodings)
    pairs = audited.pairs
    everywhere = np.ones((pairs, 2), dtype=bool)
    debris = tuple(counted(name, has, everywhere, audited, split) for name, has in kinds_of_debris(audited))
    in_prompts = tuple(
        InPrompts(
            what=name,
            pairs=share(int(np.count_nonzero(has)), pairs),
            rows=first_rows(has, audited.rows),
        )
        for name, has in kinds_of_marks(audited)
    )
    thoughts = None
    if audited.thinks.any():
        thoughts = counted("thoughts before the answer", audited.thinks, everywhere, audited, split)
    return GenerationTraces(truncated, reasons, differs, example, thoughts, debris, in_prompts)


def rows_with_debris(audited: AuditedPairs) -> Affected:
    """Every row with remains of templates in a side."""
    return of_sides("debris", list(kinds_of_debris(audited)), audited)


def rows_with_marks(audited: AuditedPairs) -> Affected:
    """Every row with marks of a template in the prompt."""
    return of_prompts("prompt-debris", list(kinds_of_marks(audited)), audited)


def kinds_of_debris(audited: AuditedPairs) -> Iterator[tuple[str, Flags]]:
    """The kinds of debris that occur, with the sides that have each: [pairs, 2]."""
    for number, name in enumerate(DEBRIS):
        has = audited.debris.kind(number)
        if has.any():
            yield name, has.reshape(2, audited.pairs).T


def kinds_of_marks(audited: AuditedPairs) -> Iterator[tuple[str, Flags]]:
    """The marks of templates that occur in prompts, with the pairs that have each."""
    for number, name in enumerate(TEMPLATE_MARKS):
        has = audited.prompt_marks.kind(number)
        if has.any():
            yield name, has


def stopped_short(stops: Coded) -> tuple[Flags, Flags]:
    """Which sides stopped at the token limit, and of which a stop reason is told, both [pairs, 2]."""
    stated: Flags = np.array([name != NOT_GENERATED for name in stops.names] + [False])[stops.codes]
    cut: Flags = np.array([name in TRUNCATED for name in stops.names] + [False])[stops.codes]
    return cut, stated


def counted(what: str, has: Flags, stated: Flags, audited: AuditedPairs, split: Split) -> Counted:
    """How often either side has it, among those of which it is told; both [pairs, 2].

    p is two-sided: how often random swaps of whole prompt groups part the sides at least as far, over the pairs that
    tell it of both sides.
    """
    has = has & stated
    both = stated.all(axis=1)
    uneven = np.flatnonzero(both & (has[:, 0] != has[:, 1]))
    p = None
    if both.any():
        apart = has[uneven, 0].astype(np.float64) * 2 - 1
        swapped = np.abs(split.subset(uneven).swapped_sums(apart))
        p = (1 + int(np.count_nonzero(swapped >= abs(apart.sum())))) / (1 + split.controls)
    sides = [
        share(
            int(np.count_nonzero(has[:, side])),
            int(np.count_nonzero(stated[:, side])),
            int(np.count_nonzero(~stated[:, side])),
        )
        for side in (0, 1)
    ]
    either = has[:, 0] | has[:, 1]
    return Counted(what=what, chosen=sides[0], rejected=sides[1], p=p, rows=first_rows(either, audited.rows))


def first_rows(hits: Flags, rows: Ints) -> tuple[int, ...]:
    """Row numbers of the first MOST_ROWS hits, both [pairs]."""
    return tuple(np.sort(rows[hits])[:MOST_ROWS].tolist())


def _decoding(decodings: Coded) -> tuple[Share | None, tuple[str, str] | None]:
    known = decodings.known()
    if not known.any():
        return None, None
    codes = decodings.codes[known]
    apart = codes[codes[:, 0] != codes[:, 1]]
    differs = share(len(apart), len(codes), len(known) - len(codes))
    if not len(apart):
        return differs, None
    combinations, counts = np.unique(apart, axis=0, return_counts=True)
    best = min(
        zip(-counts, combinations, strict=True),
        key=lambda e: (e[0], decodings.names[e[1][0]], decodings.names[e[1][1]]),
    )[1]
    return differs, (decodings.names[best[0]], decodings.names[best[1]])
