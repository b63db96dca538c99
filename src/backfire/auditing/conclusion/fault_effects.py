"""Effects of pairs that are wrong by themselves: repeats, remains of templates, cut ends, contaminated prompts, rows left out."""

from __future__ import annotations

from collections.abc import Sequence

from backfire.answers.conclusion import Effect
from backfire.answers.confounds import Counted
from backfire.answers.numerals import plural
from backfire.auditing.conclusion.count_words import sides, uneven
from backfire.auditing.conclusion.evidence import (
    Evidence,
    are_truncated,
    cleaning,
    counted_pairs,
    fault,
    listing,
    size_of_touched,
)
from backfire.auditing.findings.generation_traces import MOST_ROWS
from backfire.auditing.probes.uncertainty import share

NO_FAULT = ("neither best nor worst", "tie")
"""Rows that are left out since they are no preference: nothing is wrong with them."""


def of_repeats(found: Evidence) -> list[Effect]:
    words = {
        "duplicates": ("repeats an earlier one exactly", "repeat an earlier one exactly"),
        "near-duplicates": ("nearly repeats another", "nearly repeat another"),
        "contradictions": (
            "contradicts another with the same two responses",
            "contradict one another: the same two responses, the other way round",
        ),
    }
    effects = []
    for name, one_or_several in words.items():
        rows = found.rows_of(name)
        if len(rows):
            what = f"{counted_pairs(found, rows)} {plural(len(rows), *one_or_several)}."
            condition = "contradictions" if name == "contradictions" else "duplicates"
            effects.append(fault(found, name, what, rows, cleaning(found), condition))
    return effects


def of_remains(found: Evidence) -> list[Effect]:
    confounds, effects = found.confounds, []
    rows = found.rows_of("debris")
    if len(rows):
        kinds = _commonest(confounds.debris)
        what = f"{counted_pairs(found, rows)} hold remains of templates or special tokens in a response: {kinds}."
        effects.append(fault(found, "debris", what, rows, cleaning(found), "debris"))
    rows = found.rows_of("prompt-debris")
    if len(rows):
        kinds = ", ".join(
            one.what for one in sorted(confounds.prompt_debris, key=lambda one: -one.pairs.hits)[:2]
        )
        what = f"{counted_pairs(found, rows)} hold marks of a template in the prompt: {kinds}."
        fix = f"backfire repair {found.dataset} --method clean --only prompt-debris --out {found.beside('clean-prompts')}"
        effects.append(fault(found, "prompt-debris", what, rows, fix, "prompt-debris"))
    return effects


def _commonest(counts: Sequence[Counted], most: int = 2) -> str:
    ordered = sorted(counts, key=lambda one: -(one.chosen.hits + one.rejected.hits))
    shown = ", ".join(
        f"{one.what} ({one.chosen.hits:,} chosen, {one.rejected.hits:,} rejected)" for one in ordered[:most]
    )
    return f"{shown} and {len(ordered) - most} more kinds" if len(ordered) > most else shown


def of_sides(found: Evidence) -> list[Effect]:
    """What is wrong with single responses: cut ends, the prompt repeated, thoughts on one side, personal data."""
    confounds, effects = found.confounds, []
    rows = found.rows_of("truncation")
    cut = confounds.cut_ends if confounds.truncated is None else confounds.truncated
    if len(rows) and cut is not None and are_truncated(found):
        what = f"{counted_pairs(found, rows)} hold a response that is cut off: {sides(cut)}."
        effects.append(fault(found, "truncation", what, rows, cleaning(found), "truncation"))
    rows = found.rows_of("echo")
    if len(rows):
        where = f": {sides(confounds.echoed)}" if confounds.echoed is not None else ""
        what = f"{counted_pairs(found, rows)} hold a response that repeats its prompt{where}."
        effects.append(fault(found, "echo", what, rows, cleaning(found), "echo"))
    if confounds.thoughts is not None and uneven(confounds.thoughts):
        rows = found.rows_of("thoughts")
        apart = abs((confounds.thoughts.chosen.rate or 0) - (confounds.thoughts.rejected.rate or 0))
        what = f"Thoughts stand before the answer in {sides(confounds.thoughts)}."
        effect = fault(found, "thoughts", what, rows, None, None)
        effects.append(effect.model_copy(update={"size": apart, "low": min(apart, effect.low)}))
    rows = found.rows_of("personal-data")
    if len(rows):
        kinds = f": {_commonest(confounds.personal)}" if confounds.personal else " in the prompt"
        what = f"{counted_pairs(found, rows)} hold personal data{kinds}."
        effects.append(fault(found, "personal-data", what, rows, listing(found), "personal-data"))
    return effects


def of_prompts(found: Evidence) -> list[Effect]:
    confounds, effects = found.confounds, []
    rows = found.rows_of("contamination")
    if len(rows):
        names = ", ".join(f"{one.name} ({one.pairs.hits:,})" for one in confounds.evaluation_sets[:3])
        what = f"{counted_pairs(found, rows)} {plural(len(rows), 'has', 'have')} a prompt of an evaluation set: {names}."
        effects.append(fault(found, "contamination", what, rows, listing(found), "contamination"))
    rows = found.rows_of("overlap")
    if confounds.overlap is not None and len(rows):
        what = f"{counted_pairs(found, rows)} {plural(len(rows), 'has', 'have')} a prompt that {confounds.overlap.other} has, too."
        effects.append(fault(found, "overlap", what, rows, listing(found), "overlap"))
    return effects


def of_left_out(found: Evidence) -> list[Effect]:
    faulty = {kind: count for kind, count in found.defects.items() if kind not in NO_FAULT}
    left = sum(faulty.values())
    if not left:
        return []
    touched = share(left, found.rows)
    kinds = ", ".join(
        f"{count:,} {kind}" for kind, count in sorted(faulty.items(), key=lambda item: -item[1])[:3]
    )
    listed = found.affected.get("defects")
    rows = [] if listed is None else zip(listed.rows.tolist(), listed.details or (), strict=True)
    return [
        Effect(
            name="defects",
            what=f"{left:,} of {found.rows:,} rows ({left / found.rows:.1%}) {plural(left, 'gives', 'give')} no pair and"
            f" {plural(left, 'is', 'are')} left out: {kinds}.",
            pairs=touched,
            rows=tuple(row for row, kind in rows if kind not in NO_FAULT)[:MOST_ROWS],
            fix=cleaning(found),
            condition="defects",
            **size_of_touched(touched),
        )
    ]
