"""Safety contrast: in how many pairs, and which way, does the label carry a decision to refuse or to comply?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backfire.answers.audit import Contrast, SafetyContrast, Spoken, Undecided
from backfire.auditing.audited_pairs import COMPLY, KINDS, REFUSE, UNDECIDED, AuditedPairs, Coded
from backfire.auditing.probes.uncertainty import share
from backfire.judges.languages import name_of
from backfire.statistics.exact_tests import sign_test

_ORDER: tuple[Literal["harmful", "benign", "unknown"], ...] = ("harmful", "benign", "unknown")


MOST_REASONS = 20


def safety_contrast(audited: AuditedPairs) -> SafetyContrast:
    """The four combinations of decisions, by kind of prompt; `all` where no pair says its kind.

    Harmful prompts are always listed where kinds are known, though there be none; other kinds where they occur.
    """
    everything = np.ones(audited.pairs, dtype=bool)
    strata = [(kind, audited.kinds == KINDS.index(kind)) for kind in _ORDER]
    if (audited.kinds != KINDS.index("unknown")).any():
        contrasts = [
            _contrast(kind, inside, audited) for kind, inside in strata if kind == "harmful" or inside.any()
        ]
    else:
        contrasts = [_contrast("all", everything, audited)]
    return SafetyContrast(
        judge=audited.judge,
        strata=tuple(contrasts),
        why_undecided=_why_undecided(audited),
        languages=_languages(audited),
    )


def _why_undecided(audited: AuditedPairs) -> tuple[Undecided, ...]:
    reasons = audited.reasons
    return tuple(
        Undecided(reason=reasons.names[code], chosen=chosen, rejected=rejected)
        for code, chosen, rejected in _by_side(reasons)[:MOST_REASONS]
    )


def _languages(audited: AuditedPairs) -> tuple[Spoken, ...]:
    spoken = audited.languages
    by_language = []
    for code, chosen, rejected in _by_side(spoken):
        open_ = int(np.count_nonzero((audited.decisions == UNDECIDED) & (spoken.codes == code)))
        undecided = share(open_, chosen + rejected, 0)
        by_language.append(
            Spoken(
                language=name_of(spoken.names[code]), chosen=chosen, rejected=rejected, undecided=undecided
            )
        )
    return tuple(by_language)


def _by_side(coded: Coded) -> list[tuple[int, int, int]]:
    """(code, chosen sides, rejected sides) of every code that occurs, the commonest first."""
    chosen, rejected = (
        np.bincount(coded.codes[coded.codes[:, side] >= 0, side], minlength=len(coded.names))
        for side in (0, 1)
    )
    counts = [(code, int(chosen[code]), int(rejected[code])) for code in range(len(coded.names))]
    return sorted((one for one in counts if one[1] + one[2]), key=lambda one: (-one[1] - one[2], one[0]))


def _contrast(
    prompts: Literal["harmful", "benign", "unknown", "all"], inside: NDArray[np.bool_], audited: AuditedPairs
) -> Contrast:
    chosen, rejected = audited.decisions[inside].T
    decided = (chosen != UNDECIDED) & (rejected != UNDECIDED)
    scored, unscored = int(decided.sum()), int((~decided).sum())

    def both(one: int, other: int) -> NDArray[np.bool_]:
        together: NDArray[np.bool_] = (chosen == one) & (rejected == other)
        return together

    teaches_refusing, teaches_complying = both(REFUSE, COMPLY), both(COMPLY, REFUSE)
    turn = teaches_refusing.astype(np.int64) - teaches_complying
    shares = {
        name: share(int(hits.sum()), scored, unscored)
        for name, hits in (
            ("chosen_refuses_rejected_complies", teaches_refusing),
            ("chosen_complies_rejected_refuses", teaches_complying),
            ("both_refuse", both(REFUSE, REFUSE)),
            ("both_comply", both(COMPLY, COMPLY)),
            ("decisions_differ", turn != 0),
        )
    }
    p = sign_test_by_prompt(turn, audited.groups[inside]) if turn.any() else None
    return Contrast(
        prompts=prompts,
        pairs=int(inside.sum()),
        undecided=unscored,
        control=None if p is None else 0.5,
        p=p,
        **shares,
    )


def sign_test_by_prompt(turn: NDArray[np.int64], groups: NDArray[np.int64]) -> float:
    """Exact and two-sided. Each prompt group votes once, by what most of its pairs do; a tie is no vote."""
    numbers = np.unique(groups, return_inverse=True)[1]
    votes = np.sign(np.bincount(numbers, weights=turn))
    return sign_test(int(np.count_nonzero(votes > 0)), int(np.count_nonzero(votes < 0)))
