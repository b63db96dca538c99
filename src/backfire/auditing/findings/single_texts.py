"""Faults of single texts: cut ends and personal data counted by side, and the rows with cut ends and echoed prompts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from backfire.answers.confounds import Counted, InPrompts
from backfire.auditing.affected import PROMPT, Affected, Flags, joined_parts, of_sides, side_codes
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.findings.generation_traces import counted, first_rows, stopped_short
from backfire.auditing.probes.folds import Split
from backfire.auditing.probes.uncertainty import share
from backfire.texts import ENDINGS, PERSONAL

ECHOES = "repeats its prompt"
"""What a side that is an echo does."""


class SingleTexts(NamedTuple):
    """The fields of `Confounds` of the same names."""

    cut_ends: Counted | None
    personal: tuple[Counted, ...]
    prompt_personal: tuple[InPrompts, ...]


def single_texts(audited: AuditedPairs, split: Split) -> SingleTexts:
    """Count them. Every text is looked at; where no side has a fault, there is no entry, but for cut ends."""
    faults, everywhere = audited.faults, np.ones((audited.pairs, 2), dtype=bool)
    cut = faults.endings.any_kind()

    def sides(what: str, has: Flags) -> Counted:
        return counted(what, has, everywhere, audited, split)

    personal = [(kind, faults.personal.kind(i)) for i, kind in enumerate(PERSONAL)]
    return SingleTexts(
        cut_ends=sides("ends in the middle, by its text", cut) if audited.pairs else None,
        personal=tuple(sides(kind, has[:, 1:]) for kind, has in personal if has[:, 1:].any()),
        prompt_personal=tuple(
            InPrompts(
                what=kind,
                pairs=share(int(np.count_nonzero(has[:, 0])), audited.pairs),
                rows=first_rows(has[:, 0], audited.rows),
            )
            for kind, has in personal
            if has[:, 0].any()
        ),
    )


def rows_cut_off(audited: AuditedPairs) -> Affected:
    """Every row with a side that was cut off: by recorded stop reasons where there are any, and by the texts elsewhere."""
    cut, stated = stopped_short(audited.stops)
    if stated.any():
        return of_sides("truncation", [("stopped by the token limit", cut & stated)], audited)
    every = [(kind, audited.faults.endings.kind(i)) for i, kind in enumerate(ENDINGS)]
    return of_sides("truncation", [(kind, has) for kind, has in every if has.any()], audited)


def rows_with_echoes(audited: AuditedPairs) -> Affected:
    """Every row with a side that repeats its prompt."""
    return of_sides("echo", [(ECHOES, audited.faults.echoes)], audited)


def rows_with_personal_data(audited: AuditedPairs) -> Affected:
    """Every row with personal data in a side or in the prompt, with their kind."""
    prompts = np.full(audited.pairs, PROMPT, np.int8)
    personal = [(kind, audited.faults.personal.kind(i)) for i, kind in enumerate(PERSONAL)]
    parts = [(kind, *side_codes(has[:, 1:])) for kind, has in personal if has[:, 1:].any()]
    parts += [(kind, has[:, 0], prompts) for kind, has in personal if has[:, 0].any()]
    return joined_parts("personal-data", parts, audited)
