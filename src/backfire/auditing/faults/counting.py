"""How often something occurs, by side, with its first rows."""

from __future__ import annotations

import numpy as np

from backfire.answers.confounds import Counted, InPrompts
from backfire.auditing.affected import Flags
from backfire.auditing.audited_pairs import AuditedPairs, Ints
from backfire.auditing.probes.folds import Split
from backfire.auditing.probes.uncertainty import share

MOST_ROWS = 1_000
"""Row numbers that the answer lists; the file of `--rows` has all of them."""


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


def in_prompts(what: str, has: Flags, audited: AuditedPairs) -> InPrompts:
    """How many prompts have it: [pairs]."""
    pairs = share(int(np.count_nonzero(has)), audited.pairs)
    return InPrompts(what=what, pairs=pairs, rows=first_rows(has, audited.rows))


def first_rows(hits: Flags, rows: Ints) -> tuple[int, ...]:
    """Row numbers of the first MOST_ROWS hits, both [pairs]."""
    return tuple(np.sort(rows[hits])[:MOST_ROWS].tolist())
