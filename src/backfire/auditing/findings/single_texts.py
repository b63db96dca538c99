"""Faults of single texts, counted by side: cut ends, echoed prompts, personal data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from backfire.answers.confounds import Counted, InPrompts
from backfire.auditing.affected import PROMPT, Affected, Flags, joined_parts, of_sides, side_codes
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.findings.generation_traces import counted, first_rows
from backfire.auditing.probes.folds import Split
from backfire.auditing.probes.uncertainty import share
from backfire.texts import ENDINGS, PERSONAL


class SingleTexts(NamedTuple):
    """The fields of `Confounds` of the same names."""

    cut_ends: Counted | None
    echoed: Counted | None
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
        echoed=sides("repeats its prompt", faults.echoes) if faults.echoes.any() else None,
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


def affected_by_single_texts(audited: AuditedPairs, *, stops_recorded: bool) -> list[Affected]:
    """Every row of them. Truncation goes by recorded stop reasons where there are any, and by the texts elsewhere."""
    faults, rows, earlier = audited.faults, audited.rows, audited.earlier_rows
    personal = [(kind, faults.personal.kind(i)) for i, kind in enumerate(PERSONAL)]
    parts = [(kind, *side_codes(has[:, 1:])) for kind, has in personal if has[:, 1:].any()]
    parts += [
        (kind, has[:, 0], np.full(len(rows), PROMPT, np.int8)) for kind, has in personal if has[:, 0].any()
    ]
    affected = [
        of_sides("echo", [("repeats its prompt", faults.echoes)], rows, earlier=earlier),
        joined_parts("personal-data", parts, rows, earlier=earlier),
    ]
    if not stops_recorded:
        every = [(kind, faults.endings.kind(i)) for i, kind in enumerate(ENDINGS)]
        endings = [(kind, has) for kind, has in every if has.any()]
        affected.append(of_sides("truncation", endings, rows, earlier=earlier))
    return [one for one in affected if len(one.rows)]
