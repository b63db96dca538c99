"""`balance --by length`: pairs are left out until the longer response is as often the rejected one as the chosen one.

Whichever response is longer is then no cue: among pairs that differ by about as much in length, as many prefer the longer
response as the shorter one, and so it is over all pairs. No response is shortened and no label is changed, so that the
cost is in pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.audited_pairs import Ints
from backfire.errors import InputError
from backfire.pairs import Pair
from backfire.records import digest
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of

STRATA = 10
"""Parts of about equal size, by how much the sides differ in length; each is evened out by itself."""
FEWEST = 20
"""Pairs of a part, where there are enough for several."""

STAYS = "as many pairs of about this difference in length prefer the longer response as the shorter one"
EQUAL = "both sides are equally long"

Signs = tuple[int, int]
"""Which side is longer, in words and in characters: 1 chosen, -1 rejected, 0 neither."""


def balance_length(pairs: Sequence[Pair], *, seed: int = 0) -> Outcome:
    """Even out how often the chosen response is the longer one, in words and in characters.

    Of the commoner direction, those pairs stay whose longer response is most like one of the rarer direction in length; ties
    are settled by the hash of the seed and the pair's id.

    Raises:
        InputError: one direction alone occurs, so that no pair would be left but those of equal length.
    """
    lengths = np.array([_lengths(p.chosen.text) + _lengths(p.rejected.text) for p in pairs], dtype=np.int64)
    lengths = lengths.reshape(-1, 2, 2)
    signs = np.sign(lengths[:, 0] - lengths[:, 1])
    classes: defaultdict[Signs, list[int]] = defaultdict(list)
    for place in sorted(range(len(pairs)), key=lambda p: (digest("length", seed, pairs[p].id), p)):
        words, characters = signs[place].tolist()
        classes[words, characters].append(place)
    repaired_pairs = [RepairedPair(pairs[p], "kept", EQUAL, p) for p in classes.pop((0, 0), [])]
    left_out: list[tuple[str, int]] = []
    for words, characters in sorted({max(signs, (-signs[0], -signs[1])) for signs in classes}):
        longer, shorter = classes[words, characters], classes[-words, -characters]
        staying = set(_even(lengths, longer, shorter))
        for name, places in (("chosen", longer), ("rejected", shorter)):
            why = f"{name} is longer, which is commoner among pairs of about this difference in length"
            repaired_pairs += [RepairedPair(pairs[p], "kept", STAYS, p) for p in places if p in staying]
            left_out += [(why, p) for p in places if p not in staying]
    if not any(m.why == STAYS for m in repaired_pairs) and left_out:
        raise InputError(
            f"balance by length: in all {len(left_out)} pairs whose sides differ in length the same side is the longer one, so"
            " that none could stay: collect pairs in which it is the other one, or restyle"
        )
    return outcome_of(repaired_pairs, left_out)


def _lengths(text: str) -> tuple[int, int]:
    return len(text.split()), len(text)


def _even(lengths: Ints, longer: Sequence[int], shorter: Sequence[int]) -> Iterator[int]:
    """Places that stay, as many of either direction in each part."""
    every = np.array([*longer, *shorter], dtype=np.int64)
    if not len(longer) or not len(shorter):
        return
    # Differences in characters are finer than those in words; both have the same sign throughout, or are 0.
    apart = np.abs(lengths[every, 0, 1] - lengths[every, 1, 1])
    parts = max(1, min(STRATA, len(every) // FEWEST))
    part = np.searchsorted(np.quantile(apart, np.arange(1, parts) / parts), apart, side="right")
    direction = np.arange(len(every)) < len(longer)
    size = np.log1p(lengths[every, :, 1].max(axis=1))
    for number in range(parts):
        one, other = (np.flatnonzero((part == number) & (direction == which)) for which in (True, False))
        rarer, commoner = sorted((one, other), key=len)
        yield from every[rarer].tolist()
        yield from every[_nearest(size[rarer], commoner, size[commoner])].tolist()


def _nearest(wanted: NDArray[np.float64], places: Ints, sizes: NDArray[np.float64]) -> Ints:
    """For each wanted size in turn, the place whose size is nearest among those that are left."""
    left, taken = sizes.copy(), np.zeros(len(wanted), dtype=np.int64)
    for number, size in enumerate(wanted.tolist()):
        taken[number] = np.argmin(np.abs(left - size))
        left[taken[number]] = np.inf
    return places[taken]
