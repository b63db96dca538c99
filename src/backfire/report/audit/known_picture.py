"""An audited set between known ones, each on a line of its own: pairs ranked right, and AUROC, by one probe."""

from __future__ import annotations

from backfire.answers.audit import AuditReport
from backfire.answers.numerals import decimal, percent
from backfire.report.audit.pictures import Lane, Mark, lanes_picture


def compared_probe(report: AuditReport) -> str:
    """The probe that ranks most pairs right among those that known sets have, too; empty where there is none."""
    known = {point.probe for point in report.reference_points}
    comparable = [probe for probe in report.separability if probe.probe in known]
    best = max(comparable, key=lambda probe: probe.pairwise.accuracy, default=None)
    return "" if best is None else best.probe


def known_picture(report: AuditReport) -> str:
    """The set that was audited and every known set, sorted by what the probe reaches; empty without any."""
    probe = report.probe(compared_probe(report))
    if probe is None:
        return ""
    lanes = [
        (
            probe.pairwise.accuracy,
            _lane(
                "this data set",
                (probe.pairwise.accuracy, probe.pairwise.low, probe.pairwise.high),
                (probe.pointwise.auroc, probe.pointwise.low, probe.pointwise.high),
            ),
        )
    ]
    for point in report.reference_points:
        if point.probe == probe.probe:
            pairs = None
            if (
                point.pairwise is not None
                and point.pairwise_low is not None
                and point.pairwise_high is not None
            ):
                pairs = (point.pairwise, point.pairwise_low, point.pairwise_high)
            lane = _lane(point.name, pairs, (point.auroc, point.low, point.high))
            lanes.append((point.auroc if point.pairwise is None else point.pairwise, lane))
    ordered = [lane for _, lane in sorted(lanes, key=lambda one: one[0])]
    lowest = min(0.5, *(mark.low for lane in ordered for mark in lane.marks))
    description = "; ".join(f"{lane.name} {lane.figure}" for lane in ordered)
    start = int(lowest * 10) / 10
    return lanes_picture(f"This data set between known ones: {description}", ordered, (start, 1.0))


def _lane(name: str, pairs: tuple[float, float, float] | None, responses: tuple[float, float, float]) -> Lane:
    marks = [] if pairs is None else [Mark(*pairs, "dot")]
    figure = (
        f"AUROC {decimal(responses[0])}"
        if pairs is None
        else f"{percent(pairs[0])}% · {decimal(responses[0])}"
    )
    return Lane(name, figure, [*marks, Mark(*responses, "diamond")])
