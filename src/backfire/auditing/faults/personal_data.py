"""`personal-data`: kinds of personal data in responses and prompts, such as e-mail addresses; never the data themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backfire.answers.audit import AuditReport
from backfire.answers.confounds import Confounds
from backfire.auditing.affected import PROMPT, Affected, Flags, joined_parts, side_codes
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import commonest, rate, sides
from backfire.auditing.conclusion.evidence import Evidence, counted_pairs, fault, listing
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.counting import in_prompts
from backfire.auditing.faults.finding import (
    NOT_LOOKED_AT,
    Condition,
    Finding,
    Looking,
    Occurrences,
    Tally,
    by_side,
    occurring,
    of_prompts,
    of_side,
)
from backfire.texts import PERSONAL

NAME = "personal-data"


def _look(looking: Looking) -> Occurrences:
    audited, kinds = looking.audited, _kinds(looking.audited)
    return Occurrences(
        {
            "personal": tuple(looking.counted(kind, has[:, 1:]) for kind, has in kinds if has[:, 1:].any()),
            "prompt_personal": tuple(
                in_prompts(kind, has[:, 0], audited) for kind, has in kinds if has[:, 0].any()
            ),
        },
        [rows_with_personal_data(audited)],
    )


def rows_with_personal_data(audited: AuditedPairs) -> Affected:
    """Every row with personal data in a side or in the prompt, with their kind."""
    prompts, kinds = np.full(audited.pairs, PROMPT, np.int8), _kinds(audited)
    parts = [(kind, *side_codes(has[:, 1:])) for kind, has in kinds if has[:, 1:].any()]
    parts += [(kind, has[:, 0], prompts) for kind, has in kinds if has[:, 0].any()]
    return joined_parts(NAME, parts, audited)


def _kinds(audited: AuditedPairs) -> list[tuple[str, Flags]]:
    """Each kind with the texts that hold it: [pairs, 3], prompt, chosen and rejected."""
    return [(kind, audited.faults.personal.kind(number)) for number, kind in enumerate(PERSONAL)]


def _effects(evidence: Evidence) -> Iterator[Effected]:
    rows, personal = evidence.rows_of(NAME), evidence.confounds.personal
    if len(rows):
        kinds = f": {commonest(personal)}" if personal else " in the prompt"
        what = f"{counted_pairs(evidence, rows)} hold personal data{kinds}."
        yield fault(evidence, NAME, what, rows, listing(evidence), NAME)


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    for one in confounds.personal:
        yield of_side(one, kind="personal data", compared=NAME)
    for kind in confounds.prompt_personal:
        yield of_prompts(kind, kind="personal data in prompts", compared=f"{NAME}: {kind.what}, prompts")


def _sentences(confounds: Confounds) -> Iterator[str]:
    kinds = [f"{one.what} in {sides(one)}" for one in confounds.personal]
    kinds += [f"{one.what} in {rate(one.pairs)} of prompts" for one in confounds.prompt_personal]
    if kinds:
        yield f"There are personal data: {'; '.join(kinds)}. A model can learn to repeat them."


def _step(effect: Effected, _: Confounds) -> Step:
    count = pairs_touched(effect)
    return Step(
        f"Read {count} with personal data, and take out what is real; this lists them", effect.command
    )


def _check(report: AuditReport, bound: float) -> tuple[bool | None, str]:
    if report.confounds.cut_ends is None:
        return None, NOT_LOOKED_AT
    parts = [part for one in report.confounds.personal for part in by_side(one)]
    parts += [(f"{one.what}, prompts", one.pairs, one.rows) for one in report.confounds.prompt_personal]
    return any((share.rate or 0.0) > bound for _, share, _ in parts), occurring(parts)[1]


PERSONAL_DATA = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
    conditions=(
        Condition(NAME, "prompts or responses hold personal data, such as e-mail addresses", _check),
        Condition(
            f"{NAME}>X",
            "a kind of personal data stands in a share above X of chosen responses, of rejected ones or of prompts",
            _check,
        ),
    ),
    listed_where_it_occurs=True,
)
