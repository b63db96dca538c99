"""An audit before and after, as lines of a table."""

from __future__ import annotations

from backfire.answers import AuditReport
from backfire.answers.conclusion import Effect
from backfire.auditing.faults.registry import usually_cleaned

PROBE = "words"


def side_by_side(before: AuditReport, after: AuditReport) -> list[tuple[str, str, str]]:
    """(what, before, after): the numbers of two audits that a repair is meant to move, 95% intervals in brackets."""
    pairs = (before, after)
    lines: list[tuple[str, ...]] = [
        ("pairs", *(str(r.pairs) for r in pairs)),
        ("conclusion", *(r.conclusion.level for r in pairs)),
        (f"separability, {PROBE} (AUROC)", *map(_total, pairs)),
        ("decision-matched", *map(_matched, pairs)),
        ("source leak (AUROC)", *map(_leak, pairs)),
        ("sources, chosen < rejected", *map(_sources, pairs)),
    ]
    kinds = dict.fromkeys(s.prompts for r in pairs if r.safety_contrast for s in r.safety_contrast.strata)
    for kind in kinds:
        lines.append((f"chosen refuses, rejected complies ({kind})", *(_contrast(r, kind, 0) for r in pairs)))
        lines.append((f"chosen complies, rejected refuses ({kind})", *(_contrast(r, kind, 1) for r in pairs)))
    lines.append(("truncated, chosen : rejected", *map(_truncated, pairs)))
    lines.append(("chosen is longer, of the pairs", *map(_longer, pairs)))
    lines.append(("length alone ranks right, of the pairs", *map(_by_length, pairs)))
    return [(line[0], line[1], line[2]) for line in lines]


def _number(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}–{high:.3f}]"


def _total(report: AuditReport) -> str:
    probe = report.probe(PROBE)
    return "–" if probe is None else _number(probe.pointwise.auroc, probe.pointwise.low, probe.pointwise.high)


def _matched(report: AuditReport) -> str:
    probe = report.probe(PROBE)
    if probe is None:
        return "–"
    matched = probe.decision_matched
    return _number(matched.auroc, matched.low, matched.high)


def _leak(report: AuditReport) -> str:
    leak = report.source_leak
    if leak is None or leak.pointwise is None:
        return "–"
    area = _number(leak.pointwise.auroc, leak.pointwise.low, leak.pointwise.high)
    return f"{area}, fixed" if leak.fixed else area


def _sources(report: AuditReport) -> str:
    leak = report.source_leak
    if leak is None:
        return "unknown"
    combinations = [f"{c.chosen} < {c.rejected} {c.pairs}" for c in leak.combinations[:4]]
    return ", ".join(combinations) or "unknown"


def _contrast(report: AuditReport, kind: str, which: int) -> str:
    strata = () if report.safety_contrast is None else report.safety_contrast.strata
    for stratum in strata:
        if stratum.prompts == kind:
            share = (
                stratum.chosen_refuses_rejected_complies,
                stratum.chosen_complies_rejected_refuses,
            )[which]
            return f"{share.hits} of {share.scored}"
    return "–"


def faults_left(report: AuditReport) -> list[Effect]:
    """Of an audited set, the faults that `clean` takes out; each has the command that does it."""
    return [effect for effect in report.conclusion.effects if effect.name in usually_cleaned()]


def _longer(report: AuditReport) -> str:
    if not report.lengths:
        return "–"
    share = report.lengths[0].longer
    return _number(share.rate, share.low, share.high)


def _by_length(report: AuditReport) -> str:
    alone = report.lengths[0].pairwise if report.lengths else None
    return "–" if alone is None else _number(alone.accuracy, alone.low, alone.high)


def _truncated(report: AuditReport) -> str:
    truncated = report.confounds.truncated
    return "–" if truncated is None else f"{truncated.chosen.hits} : {truncated.rejected.hits}"
