"""`filter`: keep the pairs of highest value, such as safety influence; and a random selection to compare it with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from backfire.errors import InputError
from backfire.pairs import Pair
from backfire.records import digest
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of
from backfire.repairing.strata import Decisions, divide, kind_of, places_by

Values = NDArray[np.float64]


def filter_pairs(
    pairs: Sequence[Pair],
    values: Values,
    *,
    keep: float | None = None,
    above: float | None = None,
    stratify: bool = True,
    band: bool = False,
    what: str = "safety influence",
) -> Outcome:
    """Keep a share of the pairs, those of highest value or, with `band`, of middling value; or all above a threshold.

    Args:
        values: [pairs]; NaN where a pair has none, which counts as lowest.
        keep: share to keep, above 0 up to 1. With `stratify`, each kind of prompt (harmful, benign, unknown) keeps
            this share of its own, so that the mix of kinds stays as it was to within one pair a kind.
        band: keep the middle, and leave out as many pairs of the highest values as of the lowest.
        above: keep each pair whose value exceeds this, whatever its kind.
        what: what the values are, for the reasons.

    Ties are settled by the pairs' ids, so that the order of the rows does not matter. Raises InputError for a share
    out of range, for both or neither of `keep` and `above`, and when nothing would be kept.
    """
    checked(pairs, values, what)
    if (keep is None) == (above is None):
        raise InputError("filter: say either which share to keep, or above which value")
    if keep is not None and not 0 < keep <= 1:
        raise InputError(f"keep {keep:g}: a share above 0 and up to 1")
    if band and keep is None:
        raise InputError("filter: the middle band is a share: say which share to keep")
    if above is not None:
        chosen = set(np.flatnonzero(values > above).tolist())
        reason, why_it_stays = f"{what} is not above {above:g}", f"{what} is above {above:g}"
    else:
        assert keep is not None
        chosen = _of_quota(pairs, values, keep, stratify, band)
        among = " of its kind of prompt" if stratify else ""
        part = "in the middle" if band else "among the highest"
        reason = f"{what} is not {part} {100 * keep:g}%{among}"
        why_it_stays = f"{what} is {part} {100 * keep:g}%{among}"
    if not chosen:
        raise InputError(
            f"filter: none of {len(pairs)} pairs would be kept: keep more, or lower the threshold"
        )
    left_out = [
        (reason if np.isfinite(values[place]) else f"has no {what}", place)
        for place in range(len(pairs))
        if place not in chosen
    ]
    return outcome_of(
        (RepairedPair(pairs[p], "kept", _why(why_it_stays, values[p]), p) for p in chosen), left_out
    )


def _why(why_it_stays: str, value: float) -> str:
    return (
        f"{why_it_stays} ({value:.3g})" if np.isfinite(value) else "has no value; needed for its kind's share"
    )


def checked(pairs: Sequence[Pair], values: Values, what: str) -> None:
    """InputError unless there is one value a pair, none infinite, and not all missing."""
    if len(values) != len(pairs):
        raise InputError(f"{len(values)} values of {what} for {len(pairs)} pairs: give one a pair")
    if np.isinf(values).any():
        raise InputError(f"{what} is infinite for {int(np.isinf(values).sum())} pairs: give finite values")
    if len(values) and np.isnan(values).all():
        raise InputError(f"no pair has {what}: is the file of another data set?")


def lowest_first(pairs: Sequence[Pair], values: Values, places: Sequence[int]) -> list[int]:
    """Places by value, those without one first, ties by the pairs' ids."""
    return sorted(places, key=lambda p: (-np.inf if np.isnan(values[p]) else values[p], pairs[p].id))


def _of_quota(pairs: Sequence[Pair], values: Values, keep: float, stratify: bool, band: bool) -> set[int]:
    """Places of the highest values, or of the middle ones; those without a value come last in either case."""
    strata = places_by(kind_of(p) if stratify else "all" for p in pairs)
    quota = divide(round(keep * len(pairs)), {name: len(places) for name, places in strata.items()})
    chosen: set[int] = set()
    for name, places in strata.items():
        ordered = lowest_first(pairs, values, places)
        first = len(ordered) - quota[name]
        if band:
            without = int(np.isnan(values[places]).sum())
            first = min(first, without + max(0, first - without) // 2)
        chosen |= set(ordered[first : first + quota[name]])
    return chosen


def matched_at_random(
    pairs: Sequence[Pair],
    decisions: Sequence[Decisions],
    like: Collection[int],
    *,
    seed: int = 0,
) -> Outcome:
    """As many pairs as `like` (places), drawn at random with the same mix of prompt kinds and of decisions.

    The control of `filter_pairs`: what is left of a difference between the two is due to which pairs were kept, not
    to how many, to their kinds, or to how often chosen refuses and rejected complies. A pair's place in the draw is
    the hash of the seed and its id.
    """
    strata = places_by((kind_of(p), *d) for p, d in zip(pairs, decisions, strict=True))
    stratum = {place: key for key, places in strata.items() for place in places}
    wanted = Counter(stratum[place] for place in like)
    chosen: set[int] = set()
    for key, places in strata.items():
        ordered = sorted(places, key=lambda p: digest("matched at random", seed, pairs[p].id, p))
        chosen |= set(ordered[: wanted[key]])
    why = "drawn at random, matching the filtered pairs in number, kind of prompt and decisions"
    return outcome_of(
        (RepairedPair(pairs[p], "kept", why, p) for p in chosen),
        (("not drawn", p) for p in range(len(pairs)) if p not in chosen),
    )
