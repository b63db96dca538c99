"""`switch`: exchange chosen and rejected in the pairs of lowest value (label switching, arXiv 2602.11079)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from backfire.errors import InputError
from backfire.pairs import Pair
from backfire.repairing.filtering import Values, checked, lowest_first
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of
from backfire.repairing.strata import divide, kind_of, places_by


def switch_pairs(
    pairs: Sequence[Pair],
    values: Values,
    *,
    share: float,
    stratify: bool = True,
    what: str = "safety influence",
) -> Outcome:
    """Exchange the sides of a share of the pairs, those of lowest value; the others stay, and none is left out.

    values: [pairs]; NaN where a pair has none, which is never exchanged. With `stratify`, each kind of prompt has this share of its own
    exchanged. Ties are settled by the pairs' ids.
    """
    checked(pairs, values, what)
    if not 0 < share <= 1:
        raise InputError(f"share {share:g}: a share above 0 and up to 1")
    strata = places_by(
        kind_of(pair) if stratify else "all"
        for pair, value in zip(pairs, values, strict=True)
        if value == value
    )
    known = np.flatnonzero(np.isfinite(values))
    quota = divide(round(share * len(known)), {name: len(places) for name, places in strata.items()})
    lowest: set[int] = set()
    for name, places in strata.items():
        ordered = lowest_first(pairs, values, [int(known[place]) for place in places])
        lowest |= set(ordered[: quota[name]])
    if not lowest:
        raise InputError(f"switch: share {share:g} of {len(known)} pairs is none: give a larger share")
    among = " among prompts of its kind" if stratify else ""
    return switched(pairs, lowest, f"{what} is among the lowest {100 * share:g}%{among}")


def switched(pairs: Sequence[Pair], places: Collection[int], why: str) -> Outcome:
    """The same pairs with the sides of these places exchanged."""
    return outcome_of(
        (
            RepairedPair(pair.exchanged, "labels switched", why, place)
            if place in places
            else RepairedPair(pair, "kept", "its labels were not switched", place)
            for place, pair in enumerate(pairs)
        ),
        (),
    )
