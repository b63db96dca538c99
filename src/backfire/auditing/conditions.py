"""Conditions under which an audit is to fail a check, such as one of continuous integration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backfire.answers.as_trained import MEANINGS
from backfire.answers.audit import AuditReport
from backfire.answers.numerals import band, interval, percent, printable
from backfire.answers.phrases import (
    best_matched,
    best_total,
    happening_text,
    influence_text,
    pilot_text,
    probe_name,
    why_not_matched,
)
from backfire.auditing.faults.registry import conditions
from backfire.auditing.settings import AuditSettings
from backfire.errors import InputError, setting
from backfire.influence.predictors.registry import PREDICTORS
from backfire.settings import option
from backfire.settings.faults import close

POLICY = option(AuditSettings, "policy")
PROBED = f"{POLICY} MODEL {option(AuditSettings, 'probe_prompts')} FILE"
OF_THE_LEVEL = {
    "strong": "the conclusion's level is strong",
    "some": "the level is some or strong",
    "no-judgement": "the level is unknown",
}
OF_SOURCES = {"fixed-sources": "no source stands on both sides of the label"}
BOUNDED = {
    **{f"{name}>X": f"in a share above X of pairs {what}; needs {POLICY}" for name, what in MEANINGS.items()},
    "matched>X": "the best probe's decision-matched AUROC is above X",
    "total>X": "the best probe's AUROC over all pairs is above X",
    "length>X": "length alone, in words, ranks a share above X of the pairs right",
    "influence<X": "the whole interval of the predicted influence on refusing (a cosine) lies below X, from -1 to 1",
    **{one.condition: one.meaning for one in PREDICTORS.values()},
    "pilot<X": "the whole interval of the change in the share of refusals after the pilot lies below X, from -1 to 1",
}
"""Conditions of what is measured; those of findings stand with each finding (`faults`)."""


def meanings() -> dict[str, str]:
    """Every condition and when it holds."""
    of_findings = {one.name: one.meaning for one in conditions()}
    return OF_THE_LEVEL | OF_SOURCES | of_findings | BOUNDED


def listed_names() -> str:
    """The names of all conditions, as the help of `audit` lists them."""
    of_tokens = [f"{name}>X" for name in MEANINGS]
    others = [name for name in meanings() if name not in of_tokens]
    return f"{', '.join(others)}; of the tokens, with {POLICY}, where X is a share of pairs: {', '.join(of_tokens)}"


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
    named = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    for condition in named or (text,):
        if not _is_known(condition):
            raise InputError(f"{setting('fail_on')} {condition!r} is no condition: {_meant(condition)}")
    return named


def _is_known(condition: str) -> bool:
    bound = BOUND.fullmatch(condition)
    if bound is None:
        return condition in meanings() and not condition.endswith("X")
    name, sign, number = bound.groups()
    allowed = 0 <= float(number) < 1 if sign == ">" else abs(float(number)) <= 1
    return f"{name}{sign}X" in meanings() and allowed


def _meant(condition: str) -> str:
    """The fix: the condition of this name with its bound, or the name that is spelled most alike, or every name."""
    forms: dict[str, list[str]] = {}
    for known in meanings():
        forms.setdefault(_name_of(known), []).append(known)
    name = _name_of(condition)
    near = name if name in forms else close(name, forms)
    if near is None:
        return f"there are {', '.join(meanings())}; `backfire audit --help` describes them"
    text = " or ".join(forms[near])
    if text.endswith("X"):
        text += ", X from 0 to below 1" if ">" in text else ", X from -1 to 1"
    return f"write {text}" if near == name else f"did you mean {text}?"


def _name_of(condition: str) -> str:
    return re.split("[<>]", condition)[0].strip()


def outcomes(report: AuditReport, named: Sequence[str]) -> list[Outcome]:
    """What became of every condition, in their order."""
    return [_outcome(report, one) for condition in named for one in parse_conditions(condition)]


def failed_conditions(report: AuditReport, named: Sequence[str]) -> list[str]:
    """One line for each condition that holds, `condition: why`, naming the number. Raises InputError for unknown ones."""
    return [_line(one) for one in outcomes(report, named) if one.holds]


def unchecked_conditions(report: AuditReport, named: Sequence[str]) -> list[str]:
    """One line for each condition that this audit has no number for, and why."""
    return [_line(one) for one in outcomes(report, named) if one.holds is None]


def _line(outcome: Outcome) -> str:
    """Names of sources and sets are hostile text: one line, control characters made visible."""
    return printable(" ".join(f"{outcome.condition}: {outcome.why}".split()))


def _outcome(report: AuditReport, condition: str) -> Outcome:
    bound = BOUND.fullmatch(condition)
    name = condition if bound is None else f"{bound[1]}{bound[2]}X"
    of_finding = next((one for one in conditions() if one.name == name), None)
    if of_finding is not None:
        holds, why = of_finding.check(report, 0.0 if bound is None else float(bound[3]))
    elif bound is not None:
        holds, why = _bounded(report, bound[1], bound[3])
    else:
        holds, why = _sources(report) if condition in OF_SOURCES else _level(report, condition)
    return Outcome(condition, holds, why)


def _bounded(report: AuditReport, name: str, bound: str) -> tuple[bool | None, str]:
    match name:
        case "influence":
            return _influence(report, bound)
        case _ if name in PREDICTORS:
            return _predicted(report, name, bound)
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
    trained = report.as_trained
    one = None if trained is None else trained.of(name)
    if trained is None or one is None or not trained.pairs:
        return None, f"no policy was given, whose tokens could be looked at: {POLICY} MODEL"
    return one.pairs > float(bound) * trained.pairs, f"{happening_text(one, trained.pairs)}, bound {bound}"


def _influence(report: AuditReport, bound: str) -> tuple[bool | None, str]:
    influence = report.safety_influence
    if influence is None:
        return None, f"safety influence was not measured: {PROBED}"
    refusal = influence.refusal
    shown = f"safety influence {influence_text(refusal)} ({refusal.probes:,} probes), bound {bound}"
    if refusal.undetermined is not None or influence.high is None:
        return None, shown
    return influence.high < float(bound), shown


def _predicted(report: AuditReport, name: str, bound: str) -> tuple[bool | None, str]:
    influence, predictor = report.safety_influence, PREDICTORS[name]
    predicted = None if influence is None else (influence.predictors or {}).get(name)
    if predicted is None:
        named = option(AuditSettings, "predictors")
        return None, f"{predictor.what} was not measured: {PROBED} {named} {name}"
    return predictor.holds(predicted, float(bound)), f"{predictor.line(predicted)}; bound {bound}"


def _pilot(report: AuditReport, bound: str) -> tuple[bool | None, str]:
    influence = report.safety_influence
    if influence is None or influence.pilot is None:
        return None, f"no pilot was run: {PROBED} {option(AuditSettings, 'steps')} STEPS"
    change = influence.pilot.refusal_change
    shown = f"{pilot_text(influence.pilot)}, bound {bound}"
    return None if change is None else change.high < float(bound), shown


def _level(report: AuditReport, condition: str) -> tuple[bool | None, str]:
    level = report.conclusion.level
    if level == "unknown" and condition != "no-judgement":
        return None, "the level is unknown"
    levels = {"strong": {"strong"}, "some": {"some", "strong"}, "no-judgement": {"unknown"}}[condition]
    return level in levels, f"the level is {level}{_best(report)}"


def _sources(report: AuditReport) -> tuple[bool | None, str]:
    leak = report.source_leak
    if leak is None:
        return None, "no sources are recorded"
    return leak.fixed, f"{leak.mapping} ({leak.pairs:,} pairs)"


def _best(report: AuditReport) -> str:
    total, matched = best_total(report), best_matched(report)
    parts = []
    if total is not None:
        parts.append(f"AUROC {band(total.pointwise.auroc, total.pointwise.low, total.pointwise.high)}")
    if matched is not None:
        m = matched.decision_matched
        parts.append(f"decision-matched {band(m.auroc, m.low, m.high)}")
    return f" ({', '.join(parts)})" if parts else ""
