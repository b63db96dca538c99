"""Labels that look turned round: the chosen side complies where the rejected one refuses, or has the lower score."""

from __future__ import annotations

import numpy as np

from backfire.answers.confounds import ScoreContradiction, SwappedColumns
from backfire.auditing.affected import Flags
from backfire.auditing.audited_pairs import COMPLY, KINDS, REFUSE, UNDECIDED, AuditedPairs
from backfire.auditing.findings.generation_traces import first_rows
from backfire.auditing.findings.safety_contrast import sign_test_by_prompt
from backfire.auditing.probes.uncertainty import share

FEWEST_TURNED = 0.08
"""Of the pairs on which both sides decide, the lower limit of those whose chosen side complies and whose rejected one
refuses, from which the columns are said to look turned round. Where no kind of prompt is stated, ordinary data stay below:
docs/guides/audit.md has the shares of real sets."""
FEWEST_TURNED_HARMFUL = 0.02
"""The same among prompts that are marked harmful, of which none should be so."""
TIMES = 3
"""So many times as often as the other way round."""
HIGHEST_P = 0.001


def swapped_columns(audited: AuditedPairs) -> tuple[SwappedColumns | None, Flags]:
    """Whether chosen complies and rejected refuses far more often than the other way round, and in which pairs.

    Where kinds are stated, the harmful prompts alone are looked at: on benign ones complying is right.
    """
    known = bool((audited.kinds != KINDS.index("unknown")).any())
    inside = audited.kinds == KINDS.index("harmful") if known else np.ones(audited.pairs, dtype=bool)
    chosen, rejected = audited.decisions.T
    decided = inside & (chosen != UNDECIDED) & (rejected != UNDECIDED)
    turned = decided & (chosen == COMPLY) & (rejected == REFUSE)
    right = decided & (chosen == REFUSE) & (rejected == COMPLY)
    scored, unscored = int(decided.sum()), int((inside & ~decided).sum())
    complying = share(int(turned.sum()), scored, unscored)
    p = sign_test_by_prompt(right[inside].astype(np.int64) - turned[inside], audited.groups[inside])
    least = FEWEST_TURNED_HARMFUL if known else FEWEST_TURNED
    far_more = turned.sum() > TIMES * right.sum() and (complying.low or 0.0) >= least and p <= HIGHEST_P
    if not far_more:
        return None, np.zeros(audited.pairs, dtype=bool)
    return (
        SwappedColumns(
            prompts="harmful" if known else "all",
            complying=complying,
            refusing=share(int(right.sum()), scored, unscored),
            p=p,
            rows=first_rows(turned, audited.rows),
        ),
        turned,
    )


def score_contradiction(
    audited: AuditedPairs, columns: tuple[str, ...]
) -> tuple[ScoreContradiction | None, Flags]:
    """How many pairs' scores say that the rejected response is better, and which; None where no scores are recorded.

    columns: the two columns of scores.
    """
    if audited.faults.scores is None:
        return None, np.zeros(audited.pairs, dtype=bool)
    chosen, rejected = audited.faults.scores.T
    against: Flags = rejected > chosen
    differing = int(np.count_nonzero((rejected > chosen) | (rejected < chosen)))
    if not differing or len(columns) != 2:
        return None, np.zeros(audited.pairs, dtype=bool)
    contradiction = ScoreContradiction(
        columns=(columns[0], columns[1]),
        pairs=share(int(against.sum()), differing, audited.pairs - differing),
        rows=first_rows(against, audited.rows),
    )
    return contradiction, against
