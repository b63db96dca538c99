"""Conditions under which an audit is to fail a check, such as one of continuous integration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backfire.answers.as_trained import MEANINGS
from backfire.answers.audit import AuditReport
from backfire.answers.confounds import NATURAL_CUT_ENDS, Counted, are_cut
from backfire.answers.estimates import Share
from backfire.answers.numerals import band, decimal, interval, percent, printable, shown_rows
from backfire.answers.phrases import happening_text, pilot_text
from backfire.errors import InputError
from backfire.report.audit.words import (
    PROMPTS,
    best_matched,
    best_total,
    influence_text,
    probe_name,
    share_text,
    why_not_matched,
)
from backfire.settings.faults import close

CONDITIONS = {
    "strong": "the conclusion's level is strong",
    "some": "the level is some or strong",
    "no-judgement": "the level is unknown",
    "fixed-sources": "no source stands on both sides of the label",
    "truncation": "chosen and rejected responses are truncated in different shares (p at most 0.05), by recorded stop reasons; "
    f"where none is recorded, by their text, or more than {NATURAL_CUT_ENDS:.0%} of either side certainly are",
    "swapped-columns": "chosen complies and rejected refuses far more often than the other way round: on harmful prompts, or "
    "where no kind of prompt is stated",
    "contradicting-scores": "a column of scores says of pairs that the rejected response is the better one",
    "contamination": "prompts are items of a named evaluation set",
    "overlap": "prompts also stand, exactly or nearly, in the set of --overlap-with",
    "duplicates": "pairs repeat others, exactly or nearly",
    "contradictions": "pairs contradict others",
    "debris": "responses or prompts hold remains of chat templates or special tokens",
    "prompt-debris": "prompts hold them",
    "echo": "responses repeat their prompt whole",
    "personal-data": "prompts or responses hold personal data, such as e-mail addresses",
    "personal-data>X": "a kind of personal data stands in a share above X of chosen responses, of rejected ones or of prompts",
    "defects": "rows were left out as defective",
    **{f"{name}>X": f"in a share above X of pairs {what}; needs --policy" for name, what in MEANINGS.items()},
    "matched>X": "the best probe's decision-matched AUROC is above X",
    "total>X": "the best probe's AUROC over all pairs is above X",
    "length>X": "length alone, in words, ranks a share above X of the pairs right",
    "influence<X": "the whole interval of the predicted influence on refusing (a cosine) lies below X, from -1 to 1",
    "pilot<X": "the whole interval of the change in the share of refusals after the pilot lies below X, from -1 to 1",
}
"""Every condition and when it holds."""

DUPLICATES = ("exact duplicates", "near duplicates")
CONTRADICTIONS = ("contradictions",)
"""Names of `confounds.repeats` that a condition is about."""

HIGHEST_P = 0.05
NOT_LOOKED_AT = "the texts were not looked at for this: audit the data again"
MOST_ROWS = 5

BOUND = re.compile(r"([a-z-]+)\s*([<>])\s*(-?\d*\.?\d+)")
"""A condition with a bound: its name, the sign, and the bound."""


@dataclass(frozen=True)
class Outcome:
    """What became of one condition: it holds, it does not, or it could not be looked at; `why` has the number."""

    condition: str
    holds: bool | None
    why: str


def parse_conditions(text: str) -> tuple[str, ...]:
    """Conditions from a comma-separated list. Raises InputError that names what the first unknown one may have meant."""
    conditions = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    for condition in conditions or (text,):
        if not _is_known(condition):
            raise InputError(f"--fail-on {condition!r} is no condition: {_meant(condition)}")
    return conditions


def _is_known(condition: str) -> bool:
    bound = BOUND.fullmatch(condition)
    if bound is None:
        return condition in CONDITIONS and not condition.endswith("X")
    name, sign, number = bound.groups()
    allowed = 0 <= float(number) < 1 if sign == ">" else abs(float(number)) <= 1
    return f"{name}{sign}X" in CONDITIONS and allowed


def _meant(condition: str) -> str:
    """The fix: the condition of this name with its bound, or the name that is spelled most alike, or every name."""
    forms: dict[str, list[str]] = {}
    for known in CONDITIONS:
        forms.setdefault(_name_of(known), []).append(known)
    name = _name_of(condition)
    near = name if name in forms else close(name, forms)
    if near is None:
        return f"there are {', '.join(CONDITIONS)}; `backfire audit --help` describes them"
    text = " or ".join(forms[near])
    if text.endswith("X"):
        text += ", X from 0 to below 1" if ">" in text else ", X from -1 to 1"
    return f"write {text}" if near == name else f"did you mean {text}?"


def _name_of(condition: str) -> str:
    return re.split("[<>]", condition)[0].strip()


def outcomes(report: AuditReport, conditions: Sequence[str]) -> list[Outcome]:
    """What became of every condition, in their order."""
    return [_outcome(report, one) for condition in conditions for one in parse_conditions(condition)]


def failed_conditions(report: AuditReport, conditions: Sequence[str]) -> list[str]:
    """One line for each condition that holds, `condition: why`, naming the number. Raises InputError for unknown ones."""
    return [_line(found) for found in outcomes(report, conditions) if found.holds]


def unchecked_conditions(report: AuditReport, conditions: Sequence[str]) -> list[str]:
    """One line for each condition that this audit has no number for, and why."""
    return [_line(found) for found in outcomes(report, conditions) if found.holds is None]


def _line(found: Outcome) -> str:
    """Names of sources and sets are hostile text: one line, control characters made visible."""
    return printable(" ".join(f"{found.condition}: {found.why}".split()))


def _outcome(report: AuditReport, condition: str) -> Outcome:
    bound = BOUND.fullmatch(condition)
    holds, why = _named(report, condition) if bound is None else _bounded(report, bound[1], bound[3])
    return Outcome(condition, holds, why)


def _bounded(report: AuditReport, name: str, bound: str) -> tuple[bool | None, str]:
    match name:
        case "personal-data":
            return _personal(report, float(bound))
        case "influence":
            return _influence(report, bound)
        case "pilot":
            return _pilot(report, bound)
        case "length":
            return _length(report, bound)
        case "matched" | "total":
            return _above(report, name, bound)
        case _:
            return _as_trained(report, name, bound)


def _above(report: AuditReport, what: str, bound: str) -> tuple[bool | None, str]:
    probe = best_matched(report) if what == "matched" else best_total(report)
    if probe is None:
        return None, why_not_matched(report) if what == "matched" else "no probe was run"
    number = probe.decision_matched if what == "matched" else probe.pointwise
    name = "decision-matched AUROC" if what == "matched" else "AUROC"
    shown = band(number.auroc, number.low, number.high)
    return (number.auroc or 0.0) > float(bound), f"{name} {shown} ({probe_name(probe.probe)}), bound {bound}"


def _length(report: AuditReport, bound: str) -> tuple[bool | None, str]:
    alone = report.lengths[0].pairwise if report.lengths else None
    if alone is None:
        return None, "there are too few pairs to say what length alone tells"
    shown = f"{percent(alone.accuracy)}% [{interval(percent(alone.low), percent(alone.high))}]"
    return alone.accuracy > float(bound), f"length alone ranks {shown} of pairs right, bound {bound}"


def _as_trained(report: AuditReport, name: str, bound: str) -> tuple[bool | None, str]:
    found = report.as_trained
    one = None if found is None else found.of(name)
    if found is None or one is None or not found.pairs:
        return None, "no policy was given, whose tokens could be looked at: --policy MODEL"
    return one.pairs > float(bound) * found.pairs, f"{happening_text(one, found.pairs)}, bound {bound}"


def _influence(report: AuditReport, bound: str) -> tuple[bool | None, str]:
    found = report.safety_influence
    if found is None:
        return None, "safety influence was not measured: --policy MODEL --probe-prompts FILE"
    shown = (
        f"safety influence {influence_text(found.refusal)} ({found.refusal.probes:,} probes), bound {bound}"
    )
    if found.refusal.undetermined is not None or found.high is None:
        return None, shown
    return found.high < float(bound), shown


def _pilot(report: AuditReport, bound: str) -> tuple[bool | None, str]:
    found = report.safety_influence
    if found is None or found.pilot is None:
        return None, "no pilot was run: --policy MODEL --probe-prompts FILE --pilot STEPS"
    change = found.pilot.refusal_change
    shown = f"{pilot_text(found.pilot)}, bound {bound}"
    return None if change is None else change.high < float(bound), shown


def _named(report: AuditReport, condition: str) -> tuple[bool | None, str]:
    level, confounds = report.conclusion.level, report.confounds
    match condition:
        case "strong" | "some" | "no-judgement":
            levels = {"strong": {"strong"}, "some": {"some", "strong"}, "no-judgement": {"unknown"}}[
                condition
            ]
            if level == "unknown" and condition != "no-judgement":
                return None, "the level is unknown"
            return level in levels, f"the level is {level}{_best(report)}"
        case "fixed-sources":
            leak = report.source_leak
            if leak is None:
                return None, "no sources are recorded"
            return leak.fixed, f"{leak.mapping} ({leak.pairs:,} pairs)"
        case "truncation":
            return _truncation(confounds.truncated, confounds.cut_ends)
        case "swapped-columns":
            return _swapped(report)
        case "contradicting-scores":
            scores = confounds.score_contradiction
            if scores is None:
                return None, "no scores of both sides are recorded"
            return _occurs([(f"{scores.columns[1]} above {scores.columns[0]}", scores.pairs, scores.rows)])
        case "echo":
            if confounds.cut_ends is None:
                return None, NOT_LOOKED_AT
            echoed = confounds.echoed
            return _occurs([] if echoed is None else _by_side(echoed))
        case "personal-data":
            return _personal(report, 0.0)
        case "prompt-debris":
            return _occurs([(one.what, one.pairs, one.rows) for one in confounds.prompt_debris])
        case "contamination":
            if not confounds.evaluation_sets_checked and not confounds.evaluation_sets:
                return None, "no evaluation set was looked for"
            sets = [(found.name, found.pairs, found.rows) for found in confounds.evaluation_sets]
            return _occurs(sets)
        case "overlap":
            if confounds.overlap is None:
                return None, "no second data set was given: --overlap-with FILE"
            other = confounds.overlap
            both = [(f"{other.other}, the same prompt", other.exact, other.rows)]
            return _occurs([*both, (f"{other.other}, nearly the same prompt", other.near, ())])
        case "duplicates" | "contradictions":
            names = DUPLICATES if condition == "duplicates" else CONTRADICTIONS
            return _occurs([(r.what, r.pairs, r.rows) for r in confounds.repeats if r.what in names])
        case "debris":
            return _occurs(
                [
                    *(part for found in confounds.debris for part in _by_side(found)),
                    *(
                        (f"{found.what}, prompts", found.pairs, found.rows)
                        for found in confounds.prompt_debris
                    ),
                ]
            )
        case _:
            count = sum(defect.count for defect in report.defects)
            kinds = ", ".join(
                f"{d.count:,} {d.kind} (row {shown_rows(d.rows, MOST_ROWS, d.count)})" for d in report.defects
            )
            return count > 0, f"{count:,} of {report.rows:,} rows: {kinds or 'none'}"


def _truncation(stopped: Counted | None, cut_ends: Counted | None) -> tuple[bool | None, str]:
    found = cut_ends if stopped is None or stopped.p is None else stopped
    if found is None or found.p is None:
        return None, "no stop reasons are recorded, and no texts were looked at"
    shares = f"{share_text(found.chosen)} of chosen, {share_text(found.rejected)} of rejected"
    holds = found.p <= HIGHEST_P if found is stopped else are_cut(found, HIGHEST_P)
    by = "" if found is stopped else "by their text, "
    rows = f", row {shown_rows(found.rows, MOST_ROWS, None)}" if found.rows else ""
    return holds, f"{by}{shares}, p = {decimal(found.p)}{rows}"


def _swapped(report: AuditReport) -> tuple[bool | None, str]:
    found = report.confounds.swapped_columns
    if found is not None:
        line = f"{share_text(found.complying)} of {PROMPTS[found.prompts]}, the other way round {share_text(found.refusing)}"
        return (
            True,
            f"chosen complies and rejected refuses in {line}, row {shown_rows(found.rows, MOST_ROWS, None)}",
        )
    looked_at = [one for one in report.safety_contrast.strata if one.prompts in ("harmful", "all")]
    if not any(one.decisions_differ.scored for one in looked_at):
        return None, "no harmful prompt has a decision on both sides"
    one = looked_at[0]
    return False, (
        f"chosen complies and rejected refuses in {share_text(one.chosen_complies_rejected_refuses)} of"
        f" {PROMPTS[one.prompts]}, the other way round {share_text(one.chosen_refuses_rejected_complies)}"
    )


def _personal(report: AuditReport, bound: float) -> tuple[bool | None, str]:
    if report.confounds.cut_ends is None:
        return None, NOT_LOOKED_AT
    parts = [part for one in report.confounds.personal for part in _by_side(one)]
    parts += [(f"{one.what}, prompts", one.pairs, one.rows) for one in report.confounds.prompt_personal]
    holds = any((share.rate or 0.0) > bound for _, share, _ in parts)
    return holds, _occurs(parts)[1]


def _by_side(found: Counted) -> list[tuple[str, Share, Sequence[int]]]:
    sides = (("chosen", found.chosen), ("rejected", found.rejected))
    return [(f"{found.what}, {side}", share, found.rows) for side, share in sides]


def _occurs(found: Sequence[tuple[str, Share, Sequence[int]]]) -> tuple[bool, str]:
    occurring = [(name, share, rows) for name, share, rows in found if share.hits]
    lines = [
        f"{name}: {share_text(share)}" + (f", row {shown_rows(rows, MOST_ROWS, None)}" if rows else "")
        for name, share, rows in occurring
    ]
    return bool(occurring), "; ".join(lines) or "none"


def _best(report: AuditReport) -> str:
    total, matched = best_total(report), best_matched(report)
    parts = []
    if total is not None:
        parts.append(f"AUROC {band(total.pointwise.auroc, total.pointwise.low, total.pointwise.high)}")
    if matched is not None:
        m = matched.decision_matched
        parts.append(f"decision-matched {band(m.auroc, m.low, m.high)}")
    return f" ({', '.join(parts)})" if parts else ""
