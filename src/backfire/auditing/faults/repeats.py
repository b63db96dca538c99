"""`duplicates`, `near-duplicates` and `contradictions`: pairs that repeat another, or that are it the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backfire.answers.audit import AuditReport
from backfire.answers.confounds import Confounds, Repeats
from backfire.answers.numerals import plural
from backfire.auditing.affected import Affected, Flags, of_pairs
from backfire.auditing.audited_pairs import AuditedPairs, Ints, Keys
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import MANY, pairs_text, rate
from backfire.auditing.conclusion.evidence import Evidence, cleaning, counted_pairs, fault
from backfire.auditing.faults.counting import first_rows
from backfire.auditing.faults.finding import (
    Cleaned,
    Condition,
    Finding,
    Looking,
    Occurrences,
    Tally,
    occurring,
)
from backfire.auditing.probes.uncertainty import share
from backfire.texts import combine_keys

NONE = -1
"""Stands where there is no other pair."""
NAMES = {
    "exact duplicates": "duplicates",
    "near duplicates": "near-duplicates",
    "contradictions": "contradictions",
}
"""The kinds of `confounds.repeats` that are faults, with the names of their effects."""
CONDITIONS = {
    "duplicates": ("exact duplicates", "near duplicates"),
    "contradictions": ("contradictions",),
}
"""What each condition looks at."""
EFFECTS = {
    "duplicates": ("repeats an earlier one exactly", "repeat an earlier one exactly"),
    "near-duplicates": ("nearly repeats another", "nearly repeat another"),
    "contradictions": (
        "contradicts another with the same two responses",
        "contradict one another: the same two responses, the other way round",
    ),
}
SENTENCES = {
    "exact duplicates": ("repeats an earlier one exactly", "repeat an earlier one exactly"),
    "contradictions": (
        "contradicts another with the same two responses",
        "contradict another with the same two responses",
    ),
    "near duplicates": ("nearly repeats another", "nearly repeat another"),
    "repeated prompts": ("has the prompt of an earlier one", "have the prompt of an earlier one"),
    "near-duplicate prompts": ("has nearly the prompt of another", "have nearly the prompt of another"),
}
"""What one pair and what several do, in an effect and in a sentence."""


def _look(looking: Looking) -> Occurrences:
    repeating = repeated(looking.audited)
    return Occurrences(
        {"repeats": repeats(looking.audited, repeating)}, affected_by_repeats(looking.audited, repeating)
    )


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


def _several(clusters: Ints | Keys, keys: Keys) -> Flags:
    """Members of the clusters in which more than one key occurs: [pairs]."""
    numbers = np.unique(clusters, return_inverse=True)[1]
    order = np.lexsort((keys, numbers))
    changes = (numbers[order][1:] == numbers[order][:-1]) & (keys[order][1:] != keys[order][:-1])
    mixed = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=bool)
    mixed[numbers[order][1:][changes]] = True
    return mixed[numbers]


def _effects(evidence: Evidence) -> Iterator[Effected]:
    for name, one_or_several in EFFECTS.items():
        rows = evidence.rows_of(name)
        if len(rows):
            what = f"{counted_pairs(evidence, rows)} {plural(len(rows), *one_or_several)}."
            condition = "contradictions" if name == "contradictions" else "duplicates"
            yield fault(evidence, name, what, rows, cleaning(evidence), condition)


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    for one in confounds.repeats:
        yield Tally(
            one.what, pairs=one.pairs, rows=one.rows, count=one.pairs.hits, compared=NAMES.get(one.what)
        )


def _sentences(confounds: Confounds) -> Iterator[str]:
    for one in confounds.repeats:
        if one.pairs.hits and (one.what == "contradictions" or (one.pairs.rate or 0) >= MANY):
            what = plural(one.pairs.hits, *SENTENCES[one.what])
            yield f"{pairs_text(one.pairs.hits)} ({rate(one.pairs)}) {what}."


def _check(report: AuditReport, condition: str) -> tuple[bool | None, str]:
    kinds = [one for one in report.confounds.repeats if one.what in CONDITIONS[condition]]
    return occurring((one.what, one.pairs, one.rows) for one in kinds)


REPEATS = Finding(
    names=tuple(EFFECTS),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    cleaned={
        "contradictions": Cleaned(
            "that contradict one another",
            others=lambda audited: repeated(audited).contradictions,
            why="another pair prefers the other response",
            both=True,
            help="both pairs go",
        ),
        "duplicates": Cleaned(
            "that repeat another exactly",
            others=lambda audited: repeated(audited).duplicates,
            why="an earlier pair is the same",
            help="the first pair stays",
        ),
        "near-duplicates": Cleaned(
            "that nearly repeat another",
            others=lambda audited: repeated(audited).near_duplicates,
            why="an earlier pair is nearly the same",
            again=True,
            help="the first pair stays",
        ),
    },
    conditions=(
        Condition(
            "duplicates",
            "pairs repeat others, exactly or nearly",
            lambda report, _: _check(report, "duplicates"),
        ),
        Condition(
            "contradictions", "pairs contradict others", lambda report, _: _check(report, "contradictions")
        ),
    ),
)
