"""Pairs that repeat others, within a data set and across two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backfire.answers.confounds import Overlap, Repeats
from backfire.auditing.affected import Affected, of_pairs
from backfire.auditing.audited_pairs import AuditedPairs, Ints, Keys
from backfire.auditing.findings.generation_traces import first_rows
from backfire.auditing.findings.repeated import NONE, Repeated, first_of, repeated
from backfire.auditing.probes.uncertainty import share
from backfire.texts import groups_of, near_links

Flags = NDArray[np.bool_]
Signatures = NDArray[np.uint32]


def repeats(audited: AuditedPairs, found: Repeated | None = None) -> tuple[Repeats, ...]:
    """Exact duplicates, contradictions, near duplicates, repeated prompts and near-duplicate prompts, in this order.

    Exact repeats count the pairs that have an earlier one like them (n equal ones count n - 1); contradictions and
    near repeats have no first one, so that every pair concerned counts. Prompts are equal up to letter case and white
    space, responses byte for byte. found: `repeated` of these pairs, where it is known already.
    """
    prompts, found = audited.prompt_keys, found or repeated(audited)
    near = found.near_duplicates
    kinds = [
        ("exact duplicates", found.duplicates != NONE),
        ("contradictions", found.contradictions != NONE),
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


def affected_by_repeats(audited: AuditedPairs, found: Repeated) -> list[Affected]:
    """Every row of the kinds that are faults, with the other row: the first that it repeats or contradicts."""
    kinds = {
        "duplicates": found.duplicates,
        "near-duplicates": found.near_duplicates,
        "contradictions": found.contradictions,
    }
    return [
        of_pairs(finding, others != NONE, audited.rows, others)
        for finding, others in kinds.items()
        if others is not None
    ]


def overlap(
    audited: AuditedPairs,
    other: str,
    prompt_keys: Keys,
    signatures: tuple[Signatures, Signatures] | None = None,
) -> Overlap:
    """Pairs whose prompt also stands in `other`.

    prompt_keys: of the other set's prompts, as in `AuditedPairs`. signatures: `texts.signatures` of this set's prompts,
    [pairs, width], and of the other's; None where near prompts are not looked for. `near` of the answer leaves out
    the exact ones.
    """
    return overlap_of(audited, other, *overlap_flags(audited, prompt_keys, signatures))


def overlap_flags(
    audited: AuditedPairs, prompt_keys: Keys, signatures: tuple[Signatures, Signatures] | None
) -> tuple[Flags, Flags | None]:
    """Which pairs have a prompt of the other set, and which nearly one, [pairs]; None where that was not looked for."""
    exact = np.isin(audited.prompt_keys, prompt_keys)
    return exact, None if signatures is None else _near_one_of(*signatures) & ~exact


def overlap_of(audited: AuditedPairs, other: str, exact: Flags, close: Flags | None) -> Overlap:
    """The two, counted, with their first rows."""
    hits = exact if close is None else exact | close
    return Overlap(
        other=other,
        exact=share(int(exact.sum()), audited.pairs),
        near=share(0, 0, audited.pairs) if close is None else share(int(close.sum()), audited.pairs),
        rows=first_rows(hits, audited.rows),
    )


def _near_one_of(signed: Signatures, others: Signatures) -> Flags:
    together = np.concatenate([signed, others])
    groups = groups_of(len(together), near_links(together))
    near: Flags = np.isin(groups[: len(signed)], groups[len(signed) :])
    return near


def _several(clusters: Ints | Keys, keys: Keys) -> Flags:
    """Members of the clusters in which more than one key occurs: [pairs]."""
    numbers = np.unique(clusters, return_inverse=True)[1]
    order = np.lexsort((keys, numbers))
    changes = (numbers[order][1:] == numbers[order][:-1]) & (keys[order][1:] != keys[order][:-1])
    mixed = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=bool)
    mixed[numbers[order][1:][changes]] = True
    return mixed[numbers]
