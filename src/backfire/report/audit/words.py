"""What the audit's page and its terminal table say in the same words."""

from __future__ import annotations

from backfire.answers.audit import AuditReport, Shortcut
from backfire.answers.conclusion import Level, SideLengths
from backfire.answers.influence import (
    PairsDoingDamage,
    ProbeInfluence,
    SafetyInfluence,
)
from backfire.answers.numerals import band, interval, listed, number, percent, shown_rows
from backfire.answers.phrases import probe_name, share_text
from backfire.influence.predictors.along_refusing import SETS as PROBE_SETS
from backfire.influence.predictors.registry import PREDICTORS

DIGITS = 16
"""Of a digest that is shown; the JSON has all 64."""

HEADLINES: dict[Level, str] = {
    "strong": "Strong: simple probes nearly always tell chosen from rejected.",
    "some": "Some: chosen can be told from rejected better than by guessing.",
    "none found": "None found: no probe that was run tells chosen from rejected.",
    "unknown": "No judgement: these data do not allow one.",
}

COMBINATIONS = (
    ("chosen_refuses_rejected_complies", "chosen refuses, rejected complies"),
    ("chosen_complies_rejected_refuses", "chosen complies, rejected refuses"),
    ("both_refuse", "both refuse"),
    ("both_comply", "both comply"),
)
"""Fields of a Contrast, in the order in which they are shown."""


def cue_name(cue: Shortcut) -> str:
    """The cue as it is shown: words in quotation marks."""
    return f"“{cue.cue}”" if cue.probe == "words" else cue.cue


def predictor_lines(influence: SafetyInfluence) -> list[str]:
    """What each predictor by hidden states says, a line each."""
    predictors = influence.predictors or {}
    return [PREDICTORS[name].line(predicted) for name, predicted in predictors.items()]


def probe_sets(influence: SafetyInfluence) -> list[tuple[str, ProbeInfluence]]:
    """Every probe set that was read, by its name in prose: refusal, its strata, benign, placebo."""
    shown = [(PROBE_SETS["refusal"], influence.refusal)]
    if len(influence.strata) > 1:
        shown += [(f"… {name}", stratum) for name, stratum in influence.strata.items()]
    for name, probe_set in (("benign", influence.benign), ("placebo", influence.placebo)):
        if probe_set is not None:
            shown.append((PROBE_SETS[name], probe_set))
    return shown


def damage_text(damage: PairsDoingDamage, most: int) -> str:
    """Which pairs carry most of the push away from refusing; `most` row numbers are shown."""
    rows = shown_rows(damage.rows, most)
    return (
        f"{percent(damage.share)}% of pairs carry {percent(damage.of_damage)}% of the push towards complying"
        f" (row {rows})"
    )


def read_line(report: AuditReport) -> str:
    """What was read, in one line."""
    text = (
        f"{report.format}; {report.pairs:,} pairs over {report.prompts:,} groups of prompts, "
        f"from {report.rows:,} rows{digest_part(report)}"
    )
    return f"{text}; {report.left_out:,} usable pairs were not sampled" if report.left_out else text


def digest_part(report: AuditReport, before: str = ", digest ") -> str:
    """`, digest 901c2e4e445d1926`: the beginning of the digest of what was read; nothing in an older answer."""
    return f"{before}{report.input.digest[:DIGITS]}" if report.input is not None else ""


def left_out_line(report: AuditReport, most: int) -> str:
    """Rows that gave no pair, by kind, and pairs that were not sampled; empty where there are none."""
    kinds = [
        f"{defect.count:,} {defect.kind}"
        for defect in sorted(report.defects, key=lambda defect: -defect.count)
    ]
    parts = []
    if kinds:
        count = sum(defect.count for defect in report.defects)
        rows = sorted(row for defect in report.defects for row in defect.rows)
        one = "row" if count == 1 else "rows"
        parts.append(
            f"{count:,} of {report.rows:,} rows, which give no pair: {', '.join(kinds)} ({one} {shown_rows(rows, most, count)})"
        )
    if report.left_out:
        parts.append(f"{report.left_out:,} usable pairs, which were not sampled")
    return f"Left out: {'; '.join(parts)}" if parts else ""


def known_sets_line(report: AuditReport) -> str:
    """What the probe that ranks most pairs right does on the nearest known sets; empty where none was measured."""
    order = max(report.separability, key=lambda probe: probe.pairwise.accuracy, default=None)
    if order is None:
        return ""
    known = sorted(
        (point.pairwise, point.name)
        for point in report.reference_points
        if point.probe == order.probe and point.pairwise is not None
    )
    below = [one for one in known if one[0] <= order.pairwise.accuracy][-1:]
    above = [one for one in known if one[0] > order.pairwise.accuracy][:1]
    near = "; ".join(f"{percent(value)}% for {name}" for value, name in [*below, *above])
    return f"For comparison, {probe_name(order.probe)}: {near}" if near else ""


NO_VARIANCE = "by about as many in every pair"
"""Stands where the effect size d would, of differences that hardly vary."""


def length_line(lengths: SideLengths, brief: bool = False) -> str:
    """How long the sides are, and what length alone tells; without intervals where it is to be brief."""
    text = f"Length: median {lengths.chosen:,.0f} {lengths.unit} chosen, {lengths.rejected:,.0f} rejected; chosen longer in"
    effect = lengths.effect
    if brief:
        size = NO_VARIANCE if effect is None else f"d {number(effect.value, 2)}"
        return f"{text} {percent(lengths.longer.rate)}%, {size}"
    size = NO_VARIANCE if effect is None else f"d {band(effect.value, effect.low, effect.high, 2)}"
    text = f"{text} {share_text(lengths.longer)}, {size}"
    p = lengths.pairwise
    if p is None:
        return text
    ranked = f"{percent(p.accuracy)}% [{interval(percent(p.low), percent(p.high))}]"
    return f"{text}; length alone ranks {ranked} of pairs right, swapped {percent(p.control)}%"


def columns_line(report: AuditReport) -> str:
    """Which column was taken for what."""
    return "; ".join(f"{role} from {listed(list(names))}" for role, names in report.columns.items() if names)
