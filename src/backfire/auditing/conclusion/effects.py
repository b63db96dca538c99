"""Everything that was found, as one list: what it is, whom it touches, how much, and the command that removes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backfire.auditing.conclusion.commands import DATASET, Effected
from backfire.auditing.conclusion.evidence import Evidence
from backfire.auditing.conclusion.label_effects import of_cues, of_lengths, of_sources
from backfire.auditing.faults.registry import FINDINGS
from backfire.auditing.finding import Findings
from backfire.auditing.reading import PairsRead
from backfire.preferences.settings import Reading

WORTH = 0.05
"""A fault of this share of the pairs stands among the first three effects, and length is worth evening out that tells so many
bits of the label."""
BEFORE_FAULTS = 2
"""Effects that tell the label, and that may stand before such a fault."""
TELLING = ("fixed-sources", "sources", "length", "cue:", "decoding")
"""Beginnings of the names of effects that tell the label, beside the faults of single pairs."""


def effects_of(evidence: Evidence) -> tuple[Effected, ...]:
    """Every effect, the largest first.

    The size of a fault is the share of pairs that it touches: their label says less, or nothing. The size of what tells the label
    is the information that it gives about the label of a pair, in bits, of which there is one: 1 - H(a) at pairwise accuracy a
    beyond the swapped control. So a cue that ranks 58% of the pairs right (.02) lies below a fault in 3 of 100 pairs, and one
    that ranks 90% right (.53) above a fault in half of them. A fault of WORTH or more stands third at worst.
    """
    every = [*of_sources(evidence), *of_lengths(evidence), *of_cues(evidence)]
    every += [effect for finding in FINDINGS for effect in finding.effects(evidence)]
    return _in_order([one for one in every if one.effect.size > 0 or one.effect.rows])


def evidence_of(dataset: Any, reading: Reading, pairs: PairsRead, findings: Findings) -> Evidence:
    """What effects are made of, from the steps of an audit of `dataset`."""
    return Evidence(
        dataset=str(dataset) if isinstance(dataset, str | Path) else DATASET,
        reading=reading,
        columns=pairs.data.columns,
        rows=pairs.data.rows,
        pairs=pairs.audited.pairs,
        defects={str(kind): count for kind, count in pairs.left_out.items()},
        leak=findings.source_leak,
        shortcuts=findings.shortcuts,
        lengths=findings.lengths,
        confounds=findings.confounds,
        affected={one.finding: one for one in findings.affected},
    )


def _in_order(effects: Sequence[Effected]) -> tuple[Effected, ...]:
    ordered = sorted(effects, key=lambda one: -one.effect.size)
    faults = (one for one in ordered if one.effect.size >= WORTH and not one.effect.name.startswith(TELLING))
    first = next(faults, None)
    if first is not None and ordered.index(first) > BEFORE_FAULTS:
        ordered.remove(first)
        ordered.insert(BEFORE_FAULTS, first)
    return tuple(ordered)
