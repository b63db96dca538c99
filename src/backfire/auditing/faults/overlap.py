"""`overlap`: prompts that also stand in a second data set, such as the test split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backfire.answers.audit import AuditReport
from backfire.answers.confounds import Confounds, Overlap
from backfire.answers.numerals import plural
from backfire.auditing.affected import of_prompts
from backfire.auditing.audited_pairs import AuditedPairs, Ints, Keys
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import pairs_text
from backfire.auditing.conclusion.evidence import Evidence, counted_pairs, fault, listing
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.counting import MOST_ROWS
from backfire.auditing.faults.finding import Condition, Finding, Looking, Occurrences, Tally, occurring
from backfire.auditing.probes.uncertainty import share
from backfire.auditing.settings import AuditSettings
from backfire.auditing.text_pass import asked_signatures
from backfire.preferences import Preferences
from backfire.settings import option
from backfire.texts import groups_of, near_links, text_keys

NAME = "overlap"
WITH = option(AuditSettings, "overlap_with")


Signatures = NDArray[np.uint32]


def _look(looking: Looking) -> Occurrences:
    audited, other = looking.audited, looking.other
    if other is None:
        return Occurrences()
    shared = _shared(audited, other)
    rows = {"the same prompt": shared.exact}
    rows |= {} if shared.near is None else {"nearly the same prompt": shared.near}
    kinds = [(kind, others > 0) for kind, others in rows.items()]
    return Occurrences(
        {"overlap": overlap_of(audited, other.origin, shared)},
        [of_prompts(NAME, kinds, audited, list(rows.values()))],
    )


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


def _shared(audited: AuditedPairs, data: Preferences) -> Shared:
    keys: list[Keys] = [np.zeros(0, dtype=np.uint64)]
    rows: list[Ints] = [np.zeros(0, dtype=np.int64)]
    signed: list[NDArray[np.uint32]] = []
    for block in data.blocks():
        keys.append(text_keys(block["prompt"]))
        rows.append(block["row"].to_numpy())
        signed.append(asked_signatures(block))
    mine = audited.prompt_signatures
    both = None if mine is None or not signed else (mine, np.vstack(signed))
    return shared_prompts(audited, np.concatenate(keys), both, np.concatenate(rows))


def _effects(evidence: Evidence) -> Iterator[Effected]:
    rows, overlap = evidence.rows_of(NAME), evidence.confounds.overlap
    if overlap is not None and len(rows):
        has = plural(len(rows), "has", "have")
        what = f"{counted_pairs(evidence, rows)} {has} a prompt that {overlap.other} has, too."
        yield fault(evidence, NAME, what, rows, listing(evidence), NAME)


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    one = confounds.overlap
    if one is not None:
        yield Tally(
            f"prompt also stands in {one.other}",
            pairs=one.exact,
            rows=one.rows,
            compared=f"{NAME}: {one.other}",
        )
        yield Tally(
            f"nearly the same prompt stands in {one.other}",
            pairs=one.near,
            compared=f"{NAME}, nearly: {one.other}",
        )


def _sentences(confounds: Confounds) -> Iterator[str]:
    one = confounds.overlap
    if one is not None and (one.exact.hits or one.near.hits):
        yield (
            f"Prompts that {one.other} has too: {pairs_text(one.exact.hits)} with the same, and {pairs_text(one.near.hits)} with"
            " nearly the same."
        )


def _step(effect: Effected, confounds: Confounds) -> Step | None:
    if confounds.overlap is None:
        return None
    count = pairs_touched(effect)
    return Step(
        f"Take {count} whose prompts {confounds.overlap.other} has, too, out of one of the two; this lists them",
        effect.command,
    )


def _check(report: AuditReport, _: float) -> tuple[bool | None, str]:
    one = report.confounds.overlap
    if one is None:
        return None, f"no second data set was given: {WITH} FILE"
    exact = (f"{one.other}, the same prompt", one.exact, one.rows)
    return occurring([exact, (f"{one.other}, nearly the same prompt", one.near, ())])


OVERLAP = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
    conditions=(Condition(NAME, f"prompts also stand, exactly or nearly, in the set of {WITH}", _check),),
)
