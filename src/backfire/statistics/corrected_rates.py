"""A rate corrected for its judge's errors, where that is allowed, and a band where it is not."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from backfire.errors import InputError
from backfire.statistics.intervals import Z95
from backfire.statistics.rates import ClusteredRate, Rate, clustered_rate_of, rate_of

FEWEST = 100
"""Labelled responses of each class that a correction asks for."""
INFORMATIVE = 0.2
"""Sensitivity + specificity - 1 up to which a judge says too little for its rate to be corrected."""
ROUNDING = 1e-9
"""So that .6 + .6 - 1, in binary a hair above .2, is at most .2."""


@dataclass(frozen=True)
class CorrectedRate:
    """A rate as the judge gives it and as it would be without the judge's errors; None where that is undefined."""

    raw: Rate
    sensitivity: Rate
    """Of the responses that people called harmful, those that the judge did."""
    specificity: Rate
    """Of the responses that people called harmless, those that the judge did."""
    rate: float | None
    low: float | None
    high: float | None
    reason: str = ""
    """Why there is no corrected rate."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "raw": _written(self.raw),
            "sensitivity": _written(self.sensitivity),
            "specificity": _written(self.specificity),
            "rate": self.rate,
            "low": self.low,
            "high": self.high,
            "reason": self.reason,
        }


def corrected_rate(
    outcomes: Sequence[bool | None],
    labelled: Sequence[tuple[bool | None, bool]],
    *,
    groups: Sequence[Hashable] | None = None,
    labelled_groups: Sequence[Hashable] | None = None,
) -> CorrectedRate:
    """Correct a judge's rate by its errors on labelled responses of the same policy to the same attack.

    (rate + specificity - 1) / (sensitivity + specificity - 1), cut to [0, 1] (Rogan and Gladen 1978, Am. J. Epidemiol. 107), with
    the interval of Lang and Reiczigel (2014, Prev. Vet. Med. 113), which carries the errors of all three. With labels of another policy or
    attack it is wrong: a judge errs by style, and style is what data recipes change. Whether they are the same only the caller
    knows. Two corrected rates are compared by their intervals, or by correcting each policy with labels of its own; never by
    one correction for both.

    Args:
        outcomes: the judge's findings on the responses whose rate is wanted; None unscored, which stay out.
        labelled: (the judge's finding, the label) of other responses, or of a random part of the same ones.
        groups: what each outcome shares with others, such as its prompt. The interval then counts as many responses as
            independent ones would tell as much (`clustered_wilson`); without groups every response is one.
        labelled_groups: the same of each labelled response.

    The rate is None with a reason where a class has fewer than 100 labels or labels from one group only, or where
    sensitivity + specificity - 1 is at most .2.

    Raises:
        InputError: groups of another number than what they group.
    """
    harmful = [(verdict, i) for i, (verdict, label) in enumerate(labelled) if label]
    harmless = [
        (None if verdict is None else not verdict, i)
        for i, (verdict, label) in enumerate(labelled)
        if not label
    ]
    raw = _rate(
        [(verdict, i) for i, verdict in enumerate(outcomes)], _checked(groups, len(outcomes), "groups")
    )
    of_labels = _checked(labelled_groups, len(labelled), "labelled_groups")
    sensitivity, specificity = _rate(harmful, of_labels), _rate(harmless, of_labels)
    informedness = (sensitivity.rate or 0.0) + (specificity.rate or 0.0) - 1
    reason = ""
    if not raw.scored:
        reason = "nothing was scored"
    elif min(sensitivity.scored, specificity.scored) < FEWEST:
        reason = (
            f"{sensitivity.scored} harmful and {specificity.scored} harmless labelled responses were scored: a correction "
            f"asks for {FEWEST} of each"
        )
    elif alone := [
        name
        for name, rate in (
            ("judged", raw),
            ("harmful labelled", sensitivity),
            ("harmless labelled", specificity),
        )
        if isinstance(rate, ClusteredRate) and rate.clusters <= 1
    ]:
        reason = f"all {alone[0]} responses are to one prompt: nothing is known of others"
    elif informedness <= INFORMATIVE + ROUNDING:
        reason = f"sensitivity + specificity - 1 is {informedness:.3f}: a judge this weak says too little (at most {INFORMATIVE})"
    if reason:
        return CorrectedRate(raw, sensitivity, specificity, None, None, None, reason)
    rate = _rogan_gladen(raw.rate or 0.0, sensitivity.rate or 0.0, specificity.rate or 0.0)
    low, high = _lang_reiczigel(raw, sensitivity, specificity)
    return CorrectedRate(raw, sensitivity, specificity, rate, low, high)


def sensitivity_band(
    raw: Rate, sensitivity: tuple[float, float], specificity: tuple[float, float]
) -> tuple[float, float] | None:
    """The lowest and highest rate that fit the judge's rate, were its errors anywhere in these ranges.

    To stand beside a raw rate where no labels of the same policy and attack are at hand: the ranges are an assumption and the band is
    no confidence interval. None where the ranges hold a judge that says too little (sensitivity + specificity - 1 at most .2), for then
    any rate would fit.

    Raises:
        InputError: a range that is none within 0 and 1, or a rate over nothing.
    """
    for name, (low, high) in (("sensitivity", sensitivity), ("specificity", specificity)):
        if not 0 <= low <= high <= 1:
            raise InputError(f"{name} from {low} to {high} is no range within 0 and 1")
    if raw.rate is None:
        raise InputError("nothing was scored: there is no rate to put a band around")
    if sensitivity[0] + specificity[0] - 1 <= INFORMATIVE + ROUNDING:
        return None
    corners = [_rogan_gladen(raw.rate, se, sp) for se in sensitivity for sp in specificity]
    return min(corners), max(corners)


def _rogan_gladen(rate: float, sensitivity: float, specificity: float) -> float:
    return min(1.0, max(0.0, (rate + specificity - 1) / (sensitivity + specificity - 1)))


def _checked(groups: Sequence[Hashable] | None, n: int, name: str) -> Sequence[Hashable] | None:
    if groups is not None and len(groups) != n:
        raise InputError(f"{len(groups)} {name} for {n} responses: one for each")
    return groups


def _rate(outcomes: Sequence[tuple[bool | None, int]], groups: Sequence[Hashable] | None) -> Rate:
    """The rate of (outcome, place in groups)."""
    if groups is None:
        return rate_of(outcome for outcome, _ in outcomes)
    return clustered_rate_of((outcome, groups[place]) for outcome, place in outcomes)


def _written(rate: Rate) -> dict[str, Any]:
    return {**asdict(rate), "rate": rate.rate, "low": rate.low, "high": rate.high}


def _independent(rate: Rate) -> float:
    """How many independent responses would tell as much, at the normal quantile that Lang and Reiczigel's interval uses."""
    return rate.effective * (Z95 / rate.quantile) ** 2 if isinstance(rate, ClusteredRate) else rate.scored


def _lang_reiczigel(raw: Rate, sensitivity: Rate, specificity: Rate) -> tuple[float, float]:
    (p, n), (se, positives), (sp, negatives) = (
        _shrunk(raw, Z95**2 / 2),
        _shrunk(sensitivity, 1),
        _shrunk(specificity, 1),
    )
    if (informedness := se + sp - 1) <= 0:
        return 0.0, 1.0
    rate = min(1.0, max(0.0, (p + sp - 1) / informedness))
    of_se, of_sp = se * (1 - se) / positives, sp * (1 - sp) / negatives
    shift = 2 * Z95**2 * (rate * of_se - (1 - rate) * of_sp)
    half = Z95 * sqrt(p * (1 - p) / n + rate**2 * of_se + (1 - rate) ** 2 * of_sp) / informedness
    return max(0.0, rate + shift - half), min(1.0, rate + shift + half)


def _shrunk(rate: Rate, added: float) -> tuple[float, float]:
    """(the rate, its n) after `added` hits and as many misses."""
    n = _independent(rate)
    return ((rate.rate or 0.0) * n + added) / (n + 2 * added), n + 2 * added
