"""`overlap`: prompts that also stand in a second data set, such as the test split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect
from backfire.answers.confounds import Confounds
from backfire.answers.numerals import plural
from backfire.auditing.affected import of_prompts
from backfire.auditing.audited_pairs import AuditedPairs, Ints, Keys
from backfire.auditing.conclusion.count_words import pairs_text
from backfire.auditing.conclusion.evidence import Evidence, counted_pairs, fault, listing
from backfire.auditing.conclusion.step import Step, pairs_touched
from backfire.auditing.faults.finding import Condition, Finding, Looking, Occurrences, Tally, occurring
from backfire.auditing.findings.repeats import Shared, overlap_of, shared_prompts
from backfire.auditing.text_pass import asked_signatures
from backfire.preferences import Preferences
from backfire.texts import text_keys

NAME = "overlap"


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


def _effects(evidence: Evidence) -> Iterator[Effect]:
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


def _step(effect: Effect, confounds: Confounds) -> Step | None:
    if confounds.overlap is None:
        return None
    count = pairs_touched(effect)
    return Step(
        f"Take {count} whose prompts {confounds.overlap.other} has, too, out of one of the two; this lists them: `{effect.fix}`."
    )


def _check(report: AuditReport, _: float) -> tuple[bool | None, str]:
    one = report.confounds.overlap
    if one is None:
        return None, "no second data set was given: --overlap-with FILE"
    exact = (f"{one.other}, the same prompt", one.exact, one.rows)
    return occurring([exact, (f"{one.other}, nearly the same prompt", one.near, ())])


OVERLAP = Finding(
    names=(NAME,),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
    conditions=(
        Condition(NAME, "prompts also stand, exactly or nearly, in the set of --overlap-with", _check),
    ),
)
