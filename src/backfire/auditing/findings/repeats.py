"""Pairs that repeat others, within a data set and across two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backfire.answers.confounds import Overlap, Repeats
from backfire.auditing.affected import Affected, of_pairs
from backfire.auditing.audited_pairs import AuditedPairs, Ints, Keys
from backfire.auditing.findings.generation_traces import MOST_ROWS, first_rows
from backfire.auditing.findings.repeated import NONE, Repeated, first_of, repeated
from backfire.auditing.probes.uncertainty import share
from backfire.texts import groups_of, near_links

Flags = NDArray[np.bool_]
Signatures = NDArray[np.uint32]


def repeats(audited: AuditedPairs, repeating: Repeated | None = None) -> tuple[Repeats, ...]:
    """Exact duplicates, contradictions, near duplicates, repeated prompts and near-duplicate prompts, in this order.

    Exact repeats count the pairs that have an earlier one like them (n equal ones count n - 1); contradictions and
    near repeats have no first one, so that every pair concerned counts. Prompts are equal up to letter case and white
    space, responses byte for byte. repeating: `repeated` of these pairs, where it is known already.
    """
    prompts, repeating = audited.prompt_keys, repeating or repeated(audited)
    near = repeating.near_duplicates
    kinds = [
        ("exact duplicates", repeating.duplicates != NONE),
        ("contradictions", repeating.contradictions != NONE),
        ("near duplicates", None if near is None else near != NONE),
        ("repeated prompts", first_of(prompts) != np.arange(audited.pairs)),
        ("near-duplicate prompts", _several(audited.near_prompts, prompts)),
    ]
    return tuple(
        Repeats(
            what=what,
            pairs=share(0, 0, audited.pairs) if hits is None else share(int(hits.sum()), audited.pairs),
            rows=() if hits is None else first_rows(hits, audited.rows),
        )
        for what, hits in kinds
    )


def affected_by_repeats(audited: AuditedPairs, repeating: Repeated) -> list[Affected]:
    """Every row of the kinds that are faults, with the other row: the first that it repeats or contradicts."""
    kinds = {
        "duplicates": repeating.duplicates,
        "near-duplicates": repeating.near_duplicates,
        "contradictions": repeating.contradictions,
    }
    return [
        of_pairs(finding, others != NONE, audited, others)
        for finding, others in kinds.items()
        if others is not None
    ]


@dataclass(frozen=True)
class Shared:
    """For each pair the first row of another data set with its prompt, 0 where there is none: [pairs] each."""

    exact: Ints
    near: Ints | None
    """With nearly the same prompt, and not the same; None where that was not looked for."""


def overlap(
    audited: AuditedPairs,
    other: str,
    prompt_keys: Keys,
    signatures: tuple[Signatures, Signatures] | None = None,
    rows: Ints | None = None,
) -> Overlap:
    """Pairs whose prompt also stands in `other`.

    prompt_keys: of the other set's prompts, as in `AuditedPairs`. signatures: `texts.signatures` of this set's prompts,
    [pairs, width], and of the other's; None where near prompts are not looked for. rows: the other's row numbers.
    `near` of the answer leaves out the exact ones.
    """
    return overlap_of(audited, other, shared_prompts(audited, prompt_keys, signatures, rows))


def shared_prompts(
    audited: AuditedPairs,
    prompt_keys: Keys,
    signatures: tuple[Signatures, Signatures] | None,
    rows: Ints | None = None,
) -> Shared:
    """Which rows of the other set have each pair's prompt, or nearly it."""
    rows = np.arange(1, len(prompt_keys) + 1) if rows is None else rows
    exact = _first_row(audited.prompt_keys, prompt_keys, rows)
    if signatures is None:
        return Shared(exact, None)
    signed, others = signatures
    together = np.concatenate([signed, others])
    groups = groups_of(len(together), near_links(together))
    near = _first_row(groups[: len(signed)], groups[len(signed) :], rows)
    return Shared(exact, np.where(exact > 0, 0, near))


def _first_row(mine: Keys | Ints, others: Keys | Ints, rows: Ints) -> Ints:
    """For each of mine the row of the first equal one of the others; 0 where there is none."""
    first_rows_of = np.zeros(len(mine), dtype=np.int64)
    if len(others):
        keys, first = np.unique(others, return_index=True)
        at = np.minimum(np.searchsorted(keys, mine), len(keys) - 1)
        first_rows_of = np.where(keys[at] == mine, rows[first[at]], 0)
    return first_rows_of


def overlap_of(audited: AuditedPairs, other: str, shared: Shared) -> Overlap:
    """The two, counted, with their first rows."""
    exact, near = shared.exact > 0, None if shared.near is None else shared.near > 0
    hits = exact if near is None else exact | near
    rows_of_others = shared.exact if shared.near is None else np.maximum(shared.exact, shared.near)
    order = np.flatnonzero(hits)[np.argsort(audited.rows[hits], kind="stable")][:MOST_ROWS]
    return Overlap(
        other=other,
        exact=share(int(exact.sum()), audited.pairs),
        near=share(0, 0, audited.pairs) if near is None else share(int(near.sum()), audited.pairs),
        rows=tuple(audited.rows[order].tolist()),
        other_rows=tuple(rows_of_others[order].tolist()),
    )


def _several(clusters: Ints | Keys, keys: Keys) -> Flags:
    """Members of the clusters in which more than one key occurs: [pairs]."""
    numbers = np.unique(clusters, return_inverse=True)[1]
    order = np.lexsort((keys, numbers))
    changes = (numbers[order][1:] == numbers[order][:-1]) & (keys[order][1:] != keys[order][:-1])
    mixed = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=bool)
    mixed[numbers[order][1:][changes]] = True
    return mixed[numbers]
