"""What the audit's page and its terminal table say in the same words."""

from __future__ import annotations

from backfire.answers.audit import AuditReport, Shortcut
from backfire.answers.conclusion import Level
from backfire.answers.estimates import ProbeResult, Share
from backfire.answers.influence import (
    PairsDoingDamage,
    ProbeInfluence,
    SafetyInfluence,
)
from backfire.answers.numerals import UNDEFINED, band, interval, listed, percent, shown_rows

HEADLINES: dict[Level, str] = {
    "strong": "Strong: simple probes nearly always tell chosen from rejected.",
    "some": "Some: chosen can be told from rejected better than by guessing.",
    "none found": "None found: no probe that was run tells chosen from rejected.",
    "unknown": "No judgement: these data do not allow one.",
}

PROBES = {
    "length": "length",
    "surface": "surface",
    "words": "words",
    "characters": "characters",
    "embeddings": "embeddings",
    "hidden": "hidden states",
}
"""The probes' names in prose; a probe of another name is called by it."""

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
    "placebo": "placebo (two samples of one decision)",
}
"""What a probe set's margin counts up, in prose."""


def probe_name(name: str) -> str:
    return PROBES.get(name, name)


def cue_name(cue: Shortcut) -> str:
    """The cue as it is shown: words in quotation marks."""
    return f"“{cue.cue}”" if cue.probe == "words" else cue.cue


def best_total(report: AuditReport) -> ProbeResult | None:
    """The probe with the highest pointwise AUROC."""
    return max(report.separability, key=lambda probe: probe.pointwise.auroc, default=None)


def best_matched(report: AuditReport) -> ProbeResult | None:
    """The probe with the highest decision-matched AUROC; None where no probe has one."""
    measured = [probe for probe in report.separability if probe.decision_matched.auroc is not None]
    return max(measured, key=lambda probe: probe.decision_matched.auroc or 0.0, default=None)


def why_not_matched(report: AuditReport) -> str:
    """Why no probe has a decision-matched number."""
    reasons = [
        probe.decision_matched.reason for probe in report.separability if probe.decision_matched.reason
    ]
    return reasons[0] if reasons else "no probe was run"


def share_text(share: Share) -> str:
    """`27.3% [25.3–29.4] (503 of 1,840)`; a dash where nothing was scored."""
    if share.rate is None:
        return UNDEFINED
    band = interval(percent(share.low), percent(share.high))
    return f"{percent(share.rate)}%{f' [{band}]' if band else ''} ({share.hits:,} of {share.scored:,})"


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
