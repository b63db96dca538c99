"""Every row that a finding is about: the answer lists the first 1,000 of them, and these records hold them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.audited_pairs import AuditedPairs, Ints
from backfire.preferences import DefectKind

Flags = NDArray[np.bool_]
_Part = tuple[str, Flags, NDArray[np.int8]]
"""A kind, the pairs that are hit, and which part of each."""

PROMPT, CHOSEN, REJECTED, BOTH = 0, 1, 2, 3
"""Which part of a row a finding is about. The codes of the two sides add up to that of both."""


@dataclass(frozen=True)
class Affected:
    """The rows of one finding, in ascending order.

    A row stands several times where a finding has several details of it, such as two kinds of debris.
    """

    finding: str
    """The finding's stable name, such as `duplicates`."""
    rows: Ints
    """Row numbers of the data set, from 1; of a pair that is made of two rows the later one."""
    sides: NDArray[np.int8] | None = None
    """PROMPT, CHOSEN, REJECTED or BOTH of each row; None where the finding is about whole pairs."""
    others: Ints | None = None
    """The other row of a repeat, of a contradiction or of another data set, or the number of an evaluation set's item; 0 where
    there is none."""
    details: Sequence[str] | None = None
    """What was found in each row, such as the kind of debris."""
    earlier: Ints | None = None
    """The other row of each pair, where pairs are made of two rows."""

    def __post_init__(self) -> None:
        for column in (self.sides, self.others, self.details, self.earlier):
            if column is not None and len(column) != len(self.rows):
                raise ValueError(
                    f"{self.finding}: {len(self.rows)} rows, and a column of {len(column)} values"
                )

    def of_both_rows(self) -> Affected:
        """With a line for each of the two rows, where pairs are made of two: whoever takes out the rows takes out whole pairs."""
        if self.earlier is None:
            return self
        rows = np.concatenate([self.rows, self.earlier])
        order = np.argsort(rows, kind="stable")
        of = order % max(1, len(self.rows))
        return Affected(
            self.finding,
            rows[order],
            sides=None if self.sides is None else self.sides[of],
            others=None if self.others is None else self.others[of],
            details=None if self.details is None else [self.details[place] for place in of.tolist()],
        )


def of_pairs(finding: str, hits: Flags, audited: AuditedPairs, others: Ints | None = None) -> Affected:
    """The pairs that are hit; `others`, [pairs], are indices of pairs or -1."""
    places = in_order(np.flatnonzero(hits), audited)
    rows_of_others = None if others is None else np.where(others < 0, 0, audited.rows[others])[places]
    return at_places(finding, places, audited, others=rows_of_others)


def of_prompts(
    finding: str,
    kinds: Sequence[tuple[str, Flags]],
    audited: AuditedPairs,
    others: Sequence[Ints] | None = None,
) -> Affected:
    """The pairs whose prompt is hit, one kind after the other.

    others: of each kind, what each pair's prompt is like: a row of another data set, or an item of an evaluation set;
    [pairs], 0 where that is not known.
    """
    parts = [(kind, hits, np.full(audited.pairs, PROMPT, np.int8)) for kind, hits in kinds]
    return joined_parts(finding, parts, audited, others)


def of_sides(finding: str, kinds: Sequence[tuple[str, Flags]], audited: AuditedPairs) -> Affected:
    """The pairs of which either side is hit; the flags of each kind are [pairs, 2]."""
    return joined_parts(finding, [(kind, *side_codes(hits)) for kind, hits in kinds], audited)


def side_codes(hits: Flags) -> tuple[Flags, NDArray[np.int8]]:
    """Of flags [pairs, 2]: which pairs have it on either side, and the code of the sides."""
    either: Flags = hits[:, 0] | hits[:, 1]
    return either, (hits @ (CHOSEN, REJECTED)).astype(np.int8)


def affected_by_defects(defects: Mapping[DefectKind, Sequence[int]]) -> list[Affected]:
    """The rows that give no pair, with the kind of each one's defect."""
    numbered = sorted((row, str(kind)) for kind, rows in defects.items() for row in rows)
    if not numbered:
        return []
    rows = np.array([row for row, _ in numbered], dtype=np.int64)
    return [Affected("defects", rows, details=tuple(kind for _, kind in numbered))]


def joined_parts(
    finding: str,
    parts: Sequence[_Part],
    audited: AuditedPairs,
    others: Sequence[Ints] | None = None,
) -> Affected:
    """Several kinds of one finding in the order of the rows; others: of each kind, [pairs]."""
    places = [np.flatnonzero(hits) for _, hits, _ in parts]
    every = np.concatenate([np.zeros(0, np.int64), *places])
    order = np.argsort(audited.rows[every], kind="stable")
    sides = np.concatenate(
        [np.zeros(0, np.int8), *(side[p] for (_, _, side), p in zip(parts, places, strict=True))]
    )
    details = [kind for (kind, _, _), p in zip(parts, places, strict=True) for _ in range(len(p))]
    beside = None
    if others is not None:
        both = zip(others, places, strict=True)
        beside = np.concatenate([np.zeros(0, np.int64), *(column[p] for column, p in both)])[order]
    return at_places(
        finding,
        every[order],
        audited,
        sides=sides[order],
        others=beside,
        details=tuple(details[place] for place in order.tolist()),
    )


def at_places(
    finding: str,
    places: Ints,
    audited: AuditedPairs,
    *,
    sides: NDArray[np.int8] | None = None,
    others: Ints | None = None,
    details: Sequence[str] | None = None,
) -> Affected:
    """The pairs at these indices, which are in the order of the rows (`in_order`), with both rows of pairs that are made of two."""
    earlier = None if audited.earlier_rows is None else audited.earlier_rows[places]
    return Affected(finding, audited.rows[places], sides, others, details, earlier)


def in_order(places: Ints, audited: AuditedPairs) -> Ints:
    """Indices of pairs in the order of the rows."""
    return places[np.argsort(audited.rows[places], kind="stable")]
