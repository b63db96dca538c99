"""Phrases that the audit's conclusion, its conditions, the terminal and the page share."""

from __future__ import annotations

from collections.abc import Sequence

from backfire.answers.as_trained import Happening
from backfire.answers.audit import AuditReport
from backfire.answers.estimates import Estimate, ProbeResult, Share
from backfire.answers.influence import PilotOutcome, ProbeInfluence
from backfire.answers.numerals import UNDEFINED, band, interval, percent, shown_rows

MOST_ROWS = 5

PROMPTS = {
    "harmful": "harmful prompts",
    "benign": "benign prompts",
    "unknown": "prompts of unknown kind",
    "all": "all prompts (none is marked harmful or benign)",
}
"""Kinds of prompts in prose."""

PROBES = {
    "length": "length",
    "surface": "surface",
    "words": "words",
    "characters": "characters",
    "embeddings": "embeddings",
    "hidden": "hidden states",
}
"""The probes' names in prose; a probe of another name is called by it."""


def share_text(share: Share) -> str:
    """`27.3% [25.3–29.4] (503 of 1,840)`; a dash where nothing was scored."""
    if share.rate is None:
        return UNDEFINED
    band = interval(percent(share.low), percent(share.high))
    return f"{percent(share.rate)}%{f' [{band}]' if band else ''} ({share.hits:,} of {share.scored:,})"


def happening_text(happening: Happening, of: int) -> str:
    """`12 of 60 pairs (20.0%; chosen 12, rejected 3; row 1, 7 and 10 more)`."""
    facts = [f"{percent(happening.pairs / of)}%"] if of else []
    if happening.chosen is not None and happening.pairs:
        facts.append(f"chosen {happening.chosen:,}, rejected {happening.rejected:,}")
    if happening.rows:
        facts.append(f"row {shown_rows(happening.rows, MOST_ROWS, happening.pairs)}")
    return f"{happening.pairs:,} of {of:,} pairs ({'; '.join(facts)})"


def estimate_text(estimate: Estimate) -> str:
    """`-0.31 [-0.40, -0.22]`, as sentences have it; no minus before a zero."""
    value, low, high = (
        f"{round(number, 2) + 0.0:.2f}" for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def points(estimate: Estimate) -> str:
    """A change of a share in points: `−7 [−10 to −4]`."""
    return band(100 * estimate.value, 100 * estimate.low, 100 * estimate.high, 0)


def pilot_text(pilot: PilotOutcome) -> str:
    """What a pilot did to the probes, in one line, with the intervals over probe prompts."""
    parts = []
    if pilot.refusal_change is not None:
        before, after = (f"{percent(share)}%" for share in (pilot.refused_before, pilot.refused_after))
        moved = f"refusals of {pilot.scored:,} harmful requests from {before} to {after}"
        parts.append(f"{moved} ({points(pilot.refusal_change)} points)")
    if pilot.margin_change is not None:
        change = pilot.margin_change
        fewer = pilot.margin_probes is not None and pilot.margin_probes < pilot.scored + pilot.unscored
        whose = f"the margin of {pilot.margin_probes:,} of them" if fewer else "their margin"
        parts.append(f"{whose} by {band(change.value, change.low, change.high, 2)} nats")
    steps = f"{pilot.steps:,} step{'s' if pilot.steps != 1 else ''}"
    unscored = f"; {pilot.unscored:,} requests unscored" if pilot.unscored else ""
    return (
        f"A pilot of {steps} ({pilot.pairs:,} pairs, learning rate {pilot.lr:g}) moved"
        f" {' and '.join(parts) or 'nothing that could be scored'}{unscored}"
    )


def displacement_text(pilot: PilotOutcome) -> str:
    """What a pilot did to the pairs that it was taken on; empty where that was not read."""
    if pilot.chosen_change is None or pilot.rejected_change is None:
        return ""
    chosen, rejected = (
        band(change.value, change.low, change.high, 2)
        for change in (pilot.chosen_change, pilot.rejected_change)
    )
    return f"the pilot moved the log-probability of chosen responses by {chosen} nats, of rejected ones by {rejected}"


def probe_name(name: str) -> str:
    return PROBES.get(name, name)


def influence_text(influence: ProbeInfluence) -> str:
    """`−0.31 [−0.40 to −0.22]`, or `undetermined: fewer than 30 probes`; never a number without its interval."""
    if influence.undetermined is not None or influence.cosine is None:
        return f"undetermined: {influence.undetermined or 'no cosine'}"
    return band(influence.cosine.value, influence.cosine.low, influence.cosine.high, 2)


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


def at_rows(rows: Sequence[int], count: int | None = None) -> str:
    """`, row 3, 8 and 12 more`; nothing where there are none."""
    return f", row {shown_rows(rows, MOST_ROWS, count)}" if rows else ""
