"""How many cases would decide on which side of a limit a number lies, if it and its spread stayed as they are."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

from backfire.statistics.intervals import normal_quantile
from backfire.statistics.paired_outcomes import fewest_differing

ON_THE_LIMIT = 1e-9
"""An estimate that is nearer to its limit lies on it: no number of cases decides."""


@dataclass(frozen=True)
class CasesNeeded:
    """The number of cases that would decide, and the formula that gave it."""

    n: int
    formula: str


SHARE = "z^2 t (1 - t) / (p - t)^2, t the limit and p the rate (Wilson's interval, solved for n), times the design effect"
SPREAD = "n (h / d)^2, h the interval's half that faces the limit and d the distance from the estimate to the limit"
ALIKE = "ln(a / 2) / ln(1 - d), a = 1 - confidence, d the distance to the limit as a share of what a case can add: no case differs so far"
FEW = "k n / m, as many as let {k} cases differ, of which m do so far"


def cases_for_share(
    rate: float, limit: float, n: int, effective: float, confidence: float
) -> CasesNeeded | None:
    """Cases after which Wilson's interval of a rate would lie on one side of the limit; None where no number does.

    effective: the independent cases that tell as much as the n do.
    """
    if abs(rate - limit) < ON_THE_LIMIT or not 0 < limit < 1 or effective <= 0:
        return None
    independent = normal_quantile(confidence) ** 2 * limit * (1 - limit) / (rate - limit) ** 2
    return _more_than(n, independent * n / effective, SHARE)


def cases_for_change(
    estimate: float,
    bound: float | None,
    limit: float,
    n: int,
    clusters: int,
    differing: int,
    confidence: float,
    *,
    reach: float,
) -> CasesNeeded | None:
    """Cases after which the interval of a paired change would lie on one side of the limit; None where no number does.

    Args:
        bound: the end of the interval that faces the limit; None where there is no interval, and nothing can be said.
        clusters: the n cases by what they share; n where each stands alone.
        differing: clusters that differ between the two. Where these are few, they decide how the interval is made
            (`bootstrap_interval`).
        reach: the most that a case can add towards the limit, beyond the estimate.
    """
    distance = abs(estimate - limit)
    if distance < ON_THE_LIMIT or bound is None:
        return None
    if not differing:
        share = distance / reach if reach > 0 else 0.0
        if not 0 < share < 1:
            return None
        return _more_than(n, log((1 - confidence) / 2) / log(1 - share) * n / clusters, ALIKE)
    fewest = fewest_differing(confidence)
    by_spread = n * ((bound - estimate) / distance) ** 2
    if differing < fewest and fewest * n / differing >= by_spread:
        return _more_than(n, fewest * n / differing, FEW.format(k=fewest))
    return _more_than(n, by_spread, SPREAD)


def _more_than(n: int, needed: float, formula: str) -> CasesNeeded:
    return CasesNeeded(max(n + 1, ceil(needed - ON_THE_LIMIT)), formula)
