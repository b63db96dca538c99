"""Source leak: how far the label follows from who wrote a response, and what is left within one writer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backfire.answers.audit import Combination, SourceLeak, TextTellsSource, WithinSource
from backfire.auditing.audited_pairs import AuditedPairs, Ints
from backfire.auditing.probes.folds import Split, too_few
from backfire.auditing.probes.held_out import Measured, measure
from backfire.auditing.probes.ranking import cells_of

MOST_SOURCES = 200
"""Rarer sources count as one."""
ALONE_PAIRS = 20_000
"""Who wrote it is the only feature of at most so many pairs, drawn by whole prompts: more would not sharpen it."""
TEXT_PAIRS = 1_500
"""Text is asked for its source, or compared within one, on at most so many pairs, drawn in the same way."""
COMBINATIONS = 50
SOURCE_PAIRS = 5
"""Pairs of sources that the text is asked to tell apart: the commonest ones."""
FEWEST_SIDES = 10
"""A source stands on both sides when it wrote at least so many chosen and so many rejected responses."""


@dataclass(frozen=True)
class _Sides:
    """The known sources of some pairs."""

    codes: Ints
    """[pairs, 2], chosen then rejected."""
    names: tuple[str, ...]
    split: Split


def source_leak(audited: AuditedPairs, split: Split, features_of_sample: Any) -> SourceLeak | None:
    """What the sources say of the label, and the text of the sources; None where no pair names both of its own.

    `features_of_sample`: CSR [2 * sample, width], chosen rows first. No feature here knows the label: sources are
    numbered by name, and what the text is asked is which of two names wrote it.
    """
    known = np.flatnonzero(audited.sources.known())
    if not len(known):
        return None
    codes, names = _by_name(audited.sources.codes[known], audited.sources.names)
    sides = _Sides(codes, names, split.subset(known))
    on_chosen, on_rejected = (np.bincount(codes[:, side], minlength=len(names)) for side in (0, 1))
    chosen, rejected = ({names[i] for i in np.flatnonzero(counts)} for counts in (on_chosen, on_rejected))
    fixed = not chosen & rejected
    reason = too_few(split) or too_few(sides.split)
    alone = None if reason else _alone(sides)
    sampled, at_known, at_sample = np.intersect1d(known, audited.sample, return_indices=True)
    read = _Sides(codes[at_known], names, split.subset(sampled))
    text = _rows_of(features_of_sample, at_sample)
    return SourceLeak(
        pairs=len(known),
        unknown=audited.pairs - len(known),
        same_source=int(np.count_nonzero(codes[:, 0] == codes[:, 1])),
        fixed=fixed,
        mapping=in_words(chosen, rejected),
        combinations=_combinations(codes, names),
        pointwise=alone.pointwise if alone else None,
        pairwise=alone.pairwise if alone else None,
        text_tells_source=() if reason else _text_tells_source(read, text),
        within_source=_within_source(read, text, fixed, reason),
        reason=reason,
    )


def _by_name(codes: NDArray[np.int32], names: tuple[str, ...]) -> tuple[Ints, tuple[str, ...]]:
    """Renumbered in the order of names, those that do not occur left out."""
    order = sorted(np.unique(codes).tolist(), key=names.__getitem__)
    number = np.full(len(names), -1, dtype=np.int64)
    number[order] = np.arange(len(order))
    return number[codes], tuple(names[i] for i in order)


def _combinations(codes: Ints, names: tuple[str, ...]) -> tuple[Combination, ...]:
    pairs_of_sources, counts = np.unique(codes[:, 0] * len(names) + codes[:, 1], return_counts=True)
    commonest = np.argsort(-counts, kind="stable")[:COMBINATIONS]
    return tuple(
        Combination(
            chosen=names[pairs_of_sources[i] // len(names)],
            rejected=names[pairs_of_sources[i] % len(names)],
            pairs=int(counts[i]),
        )
        for i in commonest
    )


def _alone(sides: _Sides) -> Measured:
    part = sides.split.part(ALONE_PAIRS)
    few = _Sides(sides.codes[part], sides.names, sides.split.subset(part))
    return measure(_one_hot(few).toarray(), few.split)


def _one_hot(sides: _Sides) -> sparse.csr_matrix:
    stacked = sides.codes.T.ravel()
    common = np.argsort(-np.bincount(stacked, minlength=len(sides.names)), kind="stable")[:MOST_SOURCES]
    column = np.full(len(sides.names), len(common), dtype=np.int64)
    column[common] = np.arange(len(common))
    ones = np.ones(len(stacked), dtype=np.float32)
    return sparse.csr_matrix(
        (ones, column[stacked], np.arange(len(stacked) + 1)), shape=(len(stacked), len(common) + 1)
    )


def _rows_of(features: Any, places: Ints) -> Any:
    """Both sides of some pairs, chosen first."""
    return features[np.concatenate([places, places + features.shape[0] // 2])]


def _part(sides: _Sides, places: Ints) -> Ints:
    return places[sides.split.subset(places).part(TEXT_PAIRS)]


def _text_tells_source(sides: _Sides, text: Any) -> tuple[TextTellsSource, ...]:
    """Relabelled so that the name first in the alphabet takes the place of chosen: the label takes no part."""
    first, second = sides.codes.min(axis=1), sides.codes.max(axis=1)
    met = first * len(sides.names) + second
    apart, counts = np.unique(met[first != second], return_counts=True)
    results: list[TextTellsSource] = []
    for meeting in apart[np.argsort(-counts, kind="stable")]:
        inside = _part(sides, np.flatnonzero(met == meeting))
        split = sides.split.subset(inside)
        if len(results) == SOURCE_PAIRS or too_few(split):
            continue
        swapped = sides.codes[inside, 0] > sides.codes[inside, 1]
        half = len(sides.codes)
        rows = np.concatenate([inside + half * swapped, inside + half * ~swapped])
        measured = measure(text[rows], split)
        results.append(
            TextTellsSource(
                sources=(sides.names[meeting // len(sides.names)], sides.names[meeting % len(sides.names)]),
                pairs=len(inside),
                pointwise=measured.pointwise,
                pairwise=measured.pairwise,
            )
        )
    return tuple(results)


def _within_source(sides: _Sides, text: Any, fixed: bool, reason: str | None) -> WithinSource:
    """Responses compared with those of the same source only.

    A column for each source stands beside the text. Its penalty is nothing beside that source's rows, so that the
    text's weights come from what differs within sources (Frisch and Waugh 1933), and what the column adds to a
    score is the same for all that are compared.
    """
    if fixed:
        return WithinSource(pairs=0, reason="no source stands on both sides of the label")
    if reason:
        return WithinSource(pairs=0, reason=reason)
    width = len(sides.names)
    fewest = np.minimum(*(np.bincount(sides.codes[:, side], minlength=width) for side in (0, 1)))
    on_both = fewest >= FEWEST_SIDES
    places = _part(sides, np.flatnonzero(on_both[sides.codes].any(axis=1)))
    split = sides.split.subset(places)
    if not len(places):
        return WithinSource(
            pairs=0, reason=f"no source wrote {FEWEST_SIDES} chosen and {FEWEST_SIDES} rejected responses"
        )
    if few := too_few(split):
        return WithinSource(pairs=len(places), reason=few)
    inside = _Sides(sides.codes[places], sides.names, split)
    stacked = inside.codes.T.ravel()
    strata = np.where(on_both[stacked], stacked, -1)
    chosen = np.arange(len(stacked)) < len(places)
    if not all(cells_of(np.tile(folds, 2), strata, chosen) for folds in split.divisions()):
        return WithinSource(
            pairs=len(places), reason="in no fold does a source stand on both sides of the label"
        )
    rows = sparse.hstack([_rows_of(text, places), _one_hot(inside)], format="csr", dtype=np.float32)
    return WithinSource(pairs=len(places), pointwise=measure(rows, split, strata=strata).pointwise)


def in_words(chosen: set[str], rejected: set[str]) -> str:
    """The mapping from sources to labels, given the sources of each side."""
    both = chosen & rejected
    if not both:
        return (
            f"fixed source-to-label mapping: chosen is always {_listed(chosen)},"
            f" rejected is always {_listed(rejected)}"
        )
    if len(chosen | rejected) == 1:
        return f"one source, {_listed(both)}, writes both sides"
    return (
        f"{_listed(both, 'and')} {'writes' if len(both) == 1 else 'write'} both chosen and rejected responses"
    )


def _listed(names: set[str], word: str = "or") -> str:
    listed = sorted(names)
    if len(listed) > 4:
        others = f"one of {len(listed) - 3} others" if word == "or" else f"{len(listed) - 3} others"
        return f"{', '.join(listed[:3])} {word} {others}"
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} {word} {listed[-1]}"
