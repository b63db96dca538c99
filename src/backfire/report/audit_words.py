"""What the audit's page and its terminal table say in the same words."""

from __future__ import annotations

from collections.abc import Sequence

from backfire.report.audit_answer import AuditReport, Level, Shortcut
from backfire.report.audit_estimates import Rung, Share
from backfire.report.influence_answer import (
    Cosine,
    PairsDoingDamage,
    PilotOutcome,
    ProbeInfluence,
    SafetyInfluence,
)
from backfire.report.numerals import UNDEFINED, decimal, interval, listed, percent

HEADLINES: dict[Level, str] = {
    "strong": "Strong: most of the label can be told without understanding the request.",
    "some": "Some: part of the label can be told without understanding the request.",
    "none found": "None found: no probe that was run tells the label without understanding the request.",
    "unknown": "No judgement: these data do not allow one.",
}

RUNGS = {
    "length": "length",
    "surface": "surface",
    "words": "words",
    "characters": "characters",
    "embeddings": "embeddings",
    "hidden": "hidden states",
}
"""The rungs' names in prose; a rung of another name is called by it."""

COMBINATIONS = (
    ("chosen_refuses_rejected_complies", "chosen refuses, rejected complies"),
    ("chosen_complies_rejected_refuses", "chosen complies, rejected refuses"),
    ("both_refuse", "both refuse"),
    ("both_comply", "both comply"),
)
"""Fields of a Contrast, in the order in which they are shown."""

PROMPTS = {
    "harmful": "harmful prompts",
    "benign": "benign prompts",
    "unknown": "prompts of unknown kind",
    "all": "all prompts (none is marked harmful or benign)",
}


PROBE_SETS = {
    "refusal": "refusing harmful requests",
    "benign": "helping with benign requests",
    "placebo": "placebo (no decision)",
}
"""What a probe set's margin counts up, in prose."""


def rung_name(name: str) -> str:
    return RUNGS.get(name, name)


def cue_name(cue: Shortcut) -> str:
    """The cue as it is shown: words in quotation marks."""
    return f"“{cue.cue}”" if cue.rung == "words" else cue.cue


def best_total(report: AuditReport) -> Rung | None:
    """The rung with the highest pointwise AUROC."""
    return max(report.separability, key=lambda rung: rung.pointwise.auroc, default=None)


def best_matched(report: AuditReport) -> Rung | None:
    """The rung with the highest decision-matched AUROC; None where no rung has one."""
    measured = [rung for rung in report.separability if rung.decision_matched.auroc is not None]
    return max(measured, key=lambda rung: rung.decision_matched.auroc or 0.0, default=None)


def why_not_matched(report: AuditReport) -> str:
    """Why no rung has a decision-matched number."""
    reasons = [rung.decision_matched.reason for rung in report.separability if rung.decision_matched.reason]
    return reasons[0] if reasons else "no rung was run"


def p_value(p: float | None) -> str:
    """`p = 0.005`, `p < 0.001`, or nothing."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def shown_rows(rows: Sequence[int], most: int, count: int | None = None) -> str:
    """The first `most` row numbers, and how many of `count` (all of `rows`, if not given) are not shown."""
    left = (len(rows) if count is None else count) - min(most, len(rows))
    text = ", ".join(map(str, rows[:most]))
    return f"{text} and {left} more" if text and left > 0 else text


def share_text(share: Share) -> str:
    """`27.3% [25.3–29.4] (503 of 1,840)`; a dash where nothing was scored."""
    if share.rate is None:
        return UNDEFINED
    band = interval(percent(share.low), percent(share.high))
    return f"{percent(share.rate)}%{f' [{band}]' if band else ''} ({share.hits:,} of {share.scored:,})"


def number(value: float | None, places: int = 3) -> str:
    """A number with a true minus sign, and none before a zero."""
    text = decimal(value, places)
    return text.lstrip("-") if not text.strip("-0.") else text.replace("-", "−")


def span(low: float | None, high: float | None, places: int = 3) -> str:
    """`0.918–0.958`, `−0.002 to 0.006`, or nothing where there is no interval."""
    return interval(number(low, places), number(high, places))


def band(value: float | None, low: float | None, high: float | None, places: int = 3) -> str:
    """`0.938 [0.918–0.958]`."""
    text = span(low, high, places)
    return f"{number(value, places)} [{text}]" if text else number(value, places)


def influence_text(found: ProbeInfluence) -> str:
    """`−0.31 [−0.40 to −0.22]`, or `undetermined: fewer than 30 probes`; never a number without its interval."""
    if found.undetermined is not None or found.cosine is None:
        return f"undetermined: {found.undetermined or 'no cosine'}"
    return band(found.cosine.value, found.cosine.low, found.cosine.high, 2)


def probe_sets(found: SafetyInfluence) -> list[tuple[str, ProbeInfluence]]:
    """Every probe set that was read, by its name in prose: refusal, its strata, benign, placebo."""
    shown = [(PROBE_SETS["refusal"], found.refusal)]
    if len(found.strata) > 1:
        shown += [(f"… {name}", stratum) for name, stratum in found.strata.items()]
    for name, probe_set in (("benign", found.benign), ("placebo", found.placebo)):
        if probe_set is not None:
            shown.append((PROBE_SETS[name], probe_set))
    return shown


def points(found: Cosine) -> str:
    """A change of a share in points: `−7 [−10 to −4]`."""
    return band(100 * found.value, 100 * found.low, 100 * found.high, 0)


def pilot_text(found: PilotOutcome) -> str:
    """What a pilot did to the probes, in one line, with the intervals over probe prompts."""
    parts = []
    if found.refusal_change is not None:
        before, after = (f"{percent(share)}%" for share in (found.refused_before, found.refused_after))
        moved = f"refusals of {found.scored:,} harmful requests from {before} to {after}"
        parts.append(f"{moved} ({points(found.refusal_change)} points)")
    if found.margin_change is not None:
        change = found.margin_change
        parts.append(f"their margin by {band(change.value, change.low, change.high, 2)} nats")
    steps = f"{found.steps:,} step{'s' if found.steps != 1 else ''}"
    unscored = f"; {found.unscored:,} requests unscored" if found.unscored else ""
    return (
        f"A pilot of {steps} ({found.pairs:,} pairs, learning rate {found.lr:g}) moved"
        f" {' and '.join(parts) or 'nothing that could be scored'}{unscored}"
    )


def damage_text(found: PairsDoingDamage, most: int) -> str:
    """Which pairs carry most of the push away from refusing; `most` row numbers are shown."""
    rows = shown_rows(found.rows, most)
    return (
        f"{percent(found.share)}% of pairs carry {percent(found.of_damage)}% of the push towards complying"
        f" (row {rows})"
    )


def read_line(report: AuditReport) -> str:
    """What was read, in one line."""
    text = (
        f"{report.format}; {report.pairs:,} pairs over {report.prompts:,} groups of prompts, "
        f"from {report.rows:,} rows"
    )
    return f"{text}; {report.left_out:,} usable pairs were not sampled" if report.left_out else text


def columns_line(report: AuditReport) -> str:
    """Which column was taken for what."""
    return "; ".join(f"{role} from {listed(list(names))}" for role, names in report.columns.items() if names)
