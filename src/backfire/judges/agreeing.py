"""How well a judge agrees with people: accuracy, precision, recall, F1 and Cohen's kappa, with intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import isnan
from typing import TYPE_CHECKING

from backfire.answers.judge_agreement import Agreement
from backfire.errors import InputError
from backfire.statistics.confusion import figures, intervals

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def agreement(
    verdicts: Sequence[bool | None] | NDArray[np.bool_],
    labels: Sequence[bool] | NDArray[np.bool_],
    groups: Sequence[Hashable],
    *,
    judge: str,
) -> Agreement:
    """Compare findings with labels.

    Args:
        found: the judge's finding on each response; None where it left it unscored.
        labels: what people said of each.
        groups: what each response shares with others, such as its prompt; resampled together.

    Raises:
        InputError: sequences of different lengths, or empty ones.
    """
    import numpy as np

    if not len(verdicts) == len(labels) == len(groups) or not len(verdicts):
        raise InputError(
            f"{len(verdicts)} findings, {len(labels)} labels, {len(groups)} groups: one of each a response"
        )
    scored = [i for i, finding in enumerate(verdicts) if finding is not None]
    unscored = len(verdicts) - len(scored)
    if not scored:
        return Agreement(judge, 0, unscored, 0, 0, 0, 0, {}, {})
    judged = np.array([bool(verdicts[i]) for i in scored])
    labelled = np.array([bool(labels[i]) for i in scored])
    places = {group: place for place, group in enumerate(dict.fromkeys(groups[i] for i in scored))}
    cluster = np.array([places[groups[i]] for i in scored])
    table = np.zeros((len(places), 4))
    np.add.at(table, (cluster, np.where(judged, np.where(labelled, 0, 1), np.where(labelled, 2, 3))), 1)
    whole = table.sum(axis=0)
    values = {name: float(value[0]) for name, value in figures(whole[None]).items()}
    defined = {name: value for name, value in values.items() if not isnan(value)}
    hits, false_alarms, misses, passes = (int(count) for count in whole)
    return Agreement(
        judge, len(scored), unscored, hits, false_alarms, misses, passes, defined, intervals(table)
    )
