"""Which pair each pair repeats, nearly repeats, or contradicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backfire.auditing.audited_pairs import AuditedPairs, Ints, Keys
from backfire.texts import combine_keys

NONE = -1
"""Stands where there is no other pair."""


@dataclass(frozen=True)
class Repeated:
    """For each pair the index of another pair, or NONE: [pairs] each."""

    duplicates: Ints
    """For the second and every later of equal pairs, the first of them."""
    contradictions: Ints
    """The first pair of the same prompt and the same responses whose sides are the other way round."""
    near_duplicates: Ints | None
    """The first pair that is nearly equal in prompt and both responses, and not equal. None where this was not looked
    for, since the set is large."""


def repeated(audited: AuditedPairs) -> Repeated:
    """Prompts are equal up to letter case and white space, responses byte for byte."""
    whole = whole_keys(audited)
    first = first_of(whole)
    clusters = near_clusters(audited)
    return Repeated(
        duplicates=np.where(first == np.arange(len(first)), NONE, first),
        contradictions=_first_in(whole, _turned_keys(audited)),
        near_duplicates=None if clusters is None else _first_unequal(clusters, whole),
    )


def whole_keys(audited: AuditedPairs) -> Keys:
    """Equal for equal pairs: [pairs]."""
    return combine_keys(audited.prompt_keys, audited.side_keys[:, 0], audited.side_keys[:, 1])


def near_clusters(audited: AuditedPairs) -> Keys | None:
    """Equal for pairs that are nearly equal in prompt and both responses: [pairs]; None where this was not looked for."""
    if audited.near_sides is None:
        return None
    near = [audited.near_prompts, audited.near_sides[:, 0], audited.near_sides[:, 1]]
    return combine_keys(*(numbers.astype(np.uint64) for numbers in near))


def first_of(keys: Keys) -> Ints:
    """The index of the first of the equal keys, for each key: [keys]."""
    _, index, inverse = np.unique(keys, return_index=True, return_inverse=True)
    first: Ints = index[inverse]
    return first


def _turned_keys(audited: AuditedPairs) -> Keys:
    return combine_keys(audited.prompt_keys, audited.side_keys[:, 1], audited.side_keys[:, 0])


def _first_in(keys: Keys, wanted: Keys) -> Ints:
    """The index of the first key that equals each wanted one; NONE where there is none."""
    known, index = np.unique(keys, return_index=True)
    places = np.minimum(np.searchsorted(known, wanted), max(0, len(known) - 1))
    return np.where(known[places] == wanted, index[places], NONE) if len(known) else np.zeros(0, np.int64)


def _first_unequal(clusters: Keys, whole: Keys) -> Ints:
    """The first member of the same cluster whose whole key differs; NONE where there is none."""
    first = first_of(clusters)
    others = np.where(whole != whole[first], first, NONE)
    differing = np.flatnonzero(others != NONE)
    # A pair that equals the first of its cluster is nearly equal to the first one that does not.
    like_first = np.flatnonzero((others == NONE) & np.isin(clusters, clusters[differing]))
    others[like_first] = differing[_first_in(clusters[differing], clusters[like_first])]
    return others
