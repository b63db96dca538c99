"""Safety contrast: in how many pairs, and which way, does the label carry a decision to refuse or to comply?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.collected import COMPLY, KINDS, REFUSE, UNDECIDED, Collected
from backfire.auditing.estimate import share
from backfire.report.audit_answer import Contrast, SafetyContrast

_ORDER: tuple[Literal["harmful", "benign", "unknown"], ...] = ("harmful", "benign", "unknown")


def safety_contrast(collected: Collected) -> SafetyContrast:
    """The four combinations of decisions, by kind of prompt; `all` where no pair says its kind.

    Harmful prompts are always listed where kinds are known, though there be none; other kinds where they occur.
    """
    everything = np.ones(collected.pairs, dtype=bool)
    if not (collected.kinds != KINDS.index("unknown")).any():
        return SafetyContrast(judge=collected.judge, strata=(_contrast("all", everything, collected),))
    strata = [(kind, collected.kinds == KINDS.index(kind)) for kind in _ORDER]
    return SafetyContrast(
        judge=collected.judge,
        strata=tuple(
            _contrast(kind, inside, collected) for kind, inside in strata if kind == "harmful" or inside.any()
        ),
    )


def _contrast(
    prompts: Literal["harmful", "benign", "unknown", "all"], inside: NDArray[np.bool_], collected: Collected
) -> Contrast:
    chosen, rejected = collected.decisions[inside].T
    decided = (chosen != UNDECIDED) & (rejected != UNDECIDED)
    scored, unscored = int(decided.sum()), int((~decided).sum())

    def both(one: int, other: int) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (chosen == one) & (rejected == other)
        return found

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
    p = _sign_test(turn, collected.groups[inside]) if turn.any() else None
    return Contrast(
        prompts=prompts,
        pairs=int(inside.sum()),
        undecided=unscored,
        control=None if p is None else 0.5,
        p=p,
        **shares,
    )


def _sign_test(turn: NDArray[np.int64], groups: NDArray[np.int64]) -> float:
    """Exact and two-sided. Each prompt group votes once, by what most of its pairs do; a tie is no vote."""
    from scipy.special import bdtr

    numbers = np.unique(groups, return_inverse=True)[1]
    votes = np.sign(np.bincount(numbers, weights=turn))
    refusing, complying = int(np.count_nonzero(votes > 0)), int(np.count_nonzero(votes < 0))
    if refusing + complying == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(refusing, complying), refusing + complying, 0.5)))
