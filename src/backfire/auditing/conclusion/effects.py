"""Everything that was found, as one list: what it is, whom it touches, how much, and the command that removes it."""

from __future__ import annotations

from collections.abc import Sequence

from backfire.answers.conclusion import Effect
from backfire.auditing.conclusion.evidence import Evidence
from backfire.auditing.conclusion.fault_effects import (
    of_left_out,
    of_prompts,
    of_remains,
    of_repeats,
    of_sides,
)
from backfire.auditing.conclusion.label_effects import of_cues, of_labels, of_lengths, of_sources

WORTH = 0.05
"""A fault of this share of the pairs stands among the first three effects, and length is worth evening out that tells so many
bits of the label."""
BEFORE_FAULTS = 2
"""Effects that tell the label, and that may stand before such a fault."""
TELLING = ("fixed-sources", "sources", "length", "cue:", "decoding")
"""Beginnings of the names of effects that tell the label, beside the faults of single pairs."""


def effects_of(found: Evidence) -> tuple[Effect, ...]:
    """Every effect, the largest first.

    The size of a fault is the share of pairs that it touches: their label says less, or nothing. The size of what tells the label
    is the information that it gives about the label of a pair, in bits, of which there is one: 1 - H(a) at pairwise accuracy a
    beyond the swapped control. So a cue that ranks 58% of the pairs right (.02) lies below a fault in 3 of 100 pairs, and one
    that ranks 90% right (.53) above a fault in half of them. A fault of WORTH or more stands third at worst.
    """
    every = [
        *of_sources(found),
        *of_lengths(found),
        *of_cues(found),
        *of_labels(found),
        *of_repeats(found),
        *of_remains(found),
        *of_sides(found),
        *of_prompts(found),
        *of_left_out(found),
    ]
    return _in_order([effect for effect in every if effect.size > 0 or effect.rows])


def _in_order(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    ordered = sorted(effects, key=lambda effect: -effect.size)
    first = next((e for e in ordered if e.size >= WORTH and not e.name.startswith(TELLING)), None)
    if first is not None and ordered.index(first) > BEFORE_FAULTS:
        ordered.remove(first)
        ordered.insert(BEFORE_FAULTS, first)
    return tuple(ordered)
