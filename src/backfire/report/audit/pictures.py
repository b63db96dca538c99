"""The pictures of an audit's page: SVG written by hand, whose sideways places are percentages of its width.

So a picture fills a phone and a wide screen alike while its letters keep their size, and no package is needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from backfire.answers.audit import (
    AuditReport,
    Map,
    PerPair,
    Shortcut,
    SourceLeak,
)
from backfire.answers.estimates import Auroc, Layer
from backfire.answers.numerals import band, cut, decimal, number, percent, printable
from backfire.answers.phrases import PROMPTS, probe_name
from backfire.report.audit.words import COMBINATIONS, cue_name

MOST_CUES = 12
MOST_LABEL = 34
"""Characters of a row's name in a picture; the table below has the whole name."""

Place = Callable[[float], float]
"""From a value to a percentage of the picture's width, kept within its lane."""


@dataclass(frozen=True)
class Mark:
    """A value with its interval and the band that swapped labels reach (mean, 95th percentile)."""

    value: float
    low: float
    high: float
    shape: str
    control: tuple[float, float] | None = None


@dataclass(frozen=True)
class Lane:
    """One row of a picture: a name, the number at its right end, and its marks, one below the other."""

    name: str
    figure: str
    marks: Sequence[Mark]


def ladder_picture(report: AuditReport) -> str:
    """Every probe: total and decision-matched, with intervals and controls."""
    lanes = []
    for probe in report.separability:
        total, matched = probe.pointwise, probe.decision_matched
        marks = [_auroc_mark(total)]
        figure = decimal(total.auroc)
        if matched.auroc is not None and matched.low is not None and matched.high is not None:
            control = (matched.control, matched.control_high)
            marks.append(
                Mark(
                    matched.auroc,
                    matched.low,
                    matched.high,
                    "diamond",
                    (control[0], control[1]) if control[0] is not None and control[1] is not None else None,
                )
            )
            figure += f" · matched {decimal(matched.auroc)}"
        lanes.append(Lane(probe_name(probe.probe), figure, marks))
    description = "; ".join(f"{lane.name} {lane.figure}" for lane in lanes)
    return lanes_picture(f"AUROC of every probe, 0.5 is guessing: {description}", lanes, _from_half(lanes))


def source_picture(leak: SourceLeak) -> str:
    """The source alone, the text telling the source, and what is left within one source; empty without numbers."""
    lanes = []
    if leak.pointwise is not None:
        lanes.append(
            Lane(
                "the source alone tells the label",
                decimal(leak.pointwise.auroc),
                [_auroc_mark(leak.pointwise)],
            )
        )
    for two_sources in leak.text_tells_source:
        name = f"text tells {two_sources.sources[0]} / {two_sources.sources[1]}"
        lanes.append(Lane(name, decimal(two_sources.pointwise.auroc), [_auroc_mark(two_sources.pointwise)]))
    within = leak.within_source.pointwise
    if within is not None:
        lanes.append(
            Lane("within one source, text tells the label", decimal(within.auroc), [_auroc_mark(within)])
        )
    if not lanes:
        return ""
    description = "; ".join(f"{lane.name} {lane.figure}" for lane in lanes)
    return lanes_picture(
        f"AUROC of source and label, 0.5 is guessing: {description}", lanes, _from_half(lanes)
    )


def quantile_picture(per_pair: PerPair) -> str:
    """V-information at the quantiles, beside the same quantiles on swapped labels."""
    lanes = []
    for name, value in per_pair.quantiles.items():
        low, high = per_pair.intervals.get(name, (value, value))
        control = per_pair.control.get(name)
        lanes.append(
            Lane(
                f"{name} of pairs are below",
                f"{number(value, 2)} bits",
                [Mark(value, low, high, "dot", None if control is None else (control, control))],
            )
        )
    values = [v for lane in lanes for m in lane.marks for v in (m.low, m.high, *(m.control or ()))]
    lowest = min([-0.5, *values])
    start = int(lowest * 2 - 1) / 2 if lowest < 0 else 0.0
    description = "; ".join(f"{lane.name} {lane.figure}" for lane in lanes)
    return lanes_picture(
        f"V-information of a pair at quantiles: {description}",
        lanes,
        (start, 1.0),
        (start, 0.0, 0.5, 1.0),
        0.0,
    )


def lanes_picture(
    description: str,
    lanes: Sequence[Lane],
    domain: tuple[float, float],
    ticks: Sequence[float] = (),
    neutral: float = 0.5,
) -> str:
    """Rows of marks over one axis; `neutral` is where nothing is told."""
    place = _place(domain, (0, 100))
    ticks = ticks or [t / 10 for t in range(round(domain[0] * 10), 11) if t in (0, 5, 6, 7, 8, 9, 10)]
    deepest = max((len(lane.marks) for lane in lanes), default=1)
    height = 34 + 15 * deepest
    bottom = height * len(lanes)
    parts = [_rule(place(tick), 0, bottom, "grid half" if tick == neutral else "grid") for tick in ticks]
    for row, lane in enumerate(lanes):
        top = row * height
        name, _ = cut(lane.name, MOST_LABEL)
        name += "…" if len(lane.name) > MOST_LABEL else ""
        parts.append(_text(0, top + 13, name, "name"))
        parts.append(_text(100, top + 13, lane.figure, "figure", "end"))
        for at, mark in enumerate(lane.marks):
            parts.append(_mark(mark, place, top + 28 + 15 * at))
    for tick in ticks:
        parts.append(_tick(place(tick), bottom + 14, f"{tick:g}".replace("-", "−")))
    return _svg(description, bottom + 20, parts)


def cue_picture(shortcuts: Sequence[Shortcut]) -> str:
    """Three columns a cue: its share in chosen and rejected, its AUROC alone, what its probe loses without it."""
    shown = shortcuts[:MOST_CUES]
    most = max([0.01, *(cue.loss.high for cue in shown)])
    least = min([0.0, *(cue.loss.low for cue in shown)])
    shares, alone, losses = (
        _place((0, 1), (0, 54)),
        _place((0.4, 1), (61, 79)),
        _place((least, most), (86, 100)),
    )
    top, height = 24, 52
    bottom = top + height * len(shown)
    parts = [
        _text(0, 12, "share of responses", "tick"),
        _text(61, 12, "AUROC", "tick"),
        _text(86, 12, "loss", "tick"),
    ]
    for x in (shares(0), shares(0.5), shares(1), alone(0.5), alone(1), losses(0), losses(most)):
        parts.append(_rule(x, top, bottom, "grid"))
    for row, cue in enumerate(shown):
        y = top + row * height
        name, left = cut(cue_name(cue), MOST_LABEL + 10)
        parts.append(_text(0, y + 14, name + ("…" if left else ""), "name"))
        for share, shape, at in ((cue.chosen, "dot", 27), (cue.rejected, "square", 37)):
            if share.rate is not None and share.low is not None and share.high is not None:
                parts.append(_mark(Mark(share.rate, share.low, share.high, shape), shares, y + at))
        parts.append(_mark(_auroc_mark(cue.alone), alone, y + 32))
        loss = cue.loss
        parts.append(
            _mark(Mark(loss.value, loss.low, loss.high, "dot", (loss.control, loss.control)), losses, y + 32)
        )
    for x, label in (
        (shares(0), "0"),
        (shares(0.5), "50"),
        (shares(1), "100%"),
        (alone(0.5), ".5"),
        (alone(1), "1"),
    ):
        parts.append(_tick(x, bottom + 14, label))
    parts += [_tick(losses(0), bottom + 14, "0"), _tick(100, bottom + 14, f"{most:.2g}")]
    description = "; ".join(
        f"{cue_name(cue)}: {percent(cue.chosen.rate)}% of chosen, {percent(cue.rejected.rate)}% of rejected, "
        f"AUROC alone {decimal(cue.alone.auroc)}, loss {decimal(cue.loss.value)}"
        for cue in shown
    )
    return _svg(f"Cues of the label: {description}", bottom + 20, parts)


def map_picture(sides: Map) -> str:
    """Chosen and rejected responses as points of a plane."""
    size = 320
    both = [*sides.chosen, *sides.rejected]
    across, down = _span([x for x, _ in both], (2, 98)), _span([y for _, y in both], (size - 8, 8))
    parts = [f'<rect class="frame" width="100%" height="{size}"/>']
    for x, y in sides.rejected:
        parts.append(_shape("square", across(x), down(y)))
    for x, y in sides.chosen:
        parts.append(_shape("dot", across(x), down(y)))
    description = f"{len(sides.chosen)} chosen and {len(sides.rejected)} rejected responses; sideways {sides.x}, upwards {sides.y}"
    return _svg(description, size, parts, "map")


def contrast_picture(report: AuditReport) -> str:
    """The four combinations of decisions as parts of a bar, for every kind of prompts."""
    parts, descriptions, row = [], [], 0
    for contrast in report.safety_contrast.strata:
        scored = contrast.both_comply.scored
        if not scored:
            continue
        y, start = 48 * row, 0.0
        parts.append(_text(0, y + 13, PROMPTS[contrast.prompts], "name"))
        parts.append(_text(100, y + 13, f"{scored:,} pairs", "figure", "end"))
        for letter, (name, words) in zip("ABCD", COMBINATIONS, strict=True):
            width = 100 * getattr(contrast, name).hits / scored
            descriptions.append(f"{contrast.prompts}: {words} {width:.1f}%")
            parts.append(
                f'<rect class="part {letter}" x="{start:.2f}%" y="{y + 19}" width="{width:.2f}%" height="20"/>'
            )
            if width > 5:
                parts.append(_text(start + width / 2, y + 33, letter, f"letter {letter}", "middle"))
            start += width
        row += 1
    return _svg(f"Decisions of the two sides: {'; '.join(descriptions)}", 48 * row, parts) if row else ""


def layer_picture(layers: Sequence[Layer]) -> str:
    """AUROC by layer, with intervals and controls."""
    height, lowest = 170, min([0.45, *(min(layer.low, layer.control) for layer in layers)])
    last = max(layer.layer for layer in layers)
    across, down = _place((0, max(last, 1)), (8, 98)), _place((lowest, 1), (height - 8, 8))
    parts = []
    for tick in (0.5, 0.75, 1.0):
        parts.append(f'<line class="grid" x1="8%" x2="98%" y1="{down(tick):.1f}" y2="{down(tick):.1f}"/>')
        parts.append(_text(0, down(tick) + 4, f"{tick:g}", "tick"))
    for before, after in itertools.pairwise(layers):
        for style, one, other in (
            ("link", before.auroc, after.auroc),
            ("link control", before.control, after.control),
        ):
            parts.append(
                f'<line class="{style}" x1="{across(before.layer):.2f}%" y1="{down(one):.1f}" '
                f'x2="{across(after.layer):.2f}%" y2="{down(other):.1f}"/>'
            )
    for layer in layers:
        parts.append(_rule(across(layer.layer), down(layer.high), down(layer.low), "whisker"))
        parts.append(_shape("dot", across(layer.layer), down(layer.auroc)))
    for shown in sorted({0, last // 2, last}):
        parts.append(_text(across(shown), height + 12, str(shown) if shown else "layer 0", "tick", "middle"))
    description = "; ".join(
        f"layer {layer.layer} {band(layer.auroc, layer.low, layer.high)}" for layer in layers
    )
    return _svg(f"AUROC by layer: {description}", height + 18, parts)


def _auroc_mark(area: Auroc) -> Mark:
    return Mark(area.auroc, area.low, area.high, "dot", (area.control, area.control_high))


def _from_half(lanes: Sequence[Lane]) -> tuple[float, float]:
    """From a tenth below everything (at most .4) to 1."""
    values = [v for lane in lanes for m in lane.marks for v in (m.low, m.value, *(m.control or ()))]
    lowest = min([0.4, *values])
    return max(0.0, int(lowest * 10) / 10), 1.0


def _place(domain: tuple[float, float], onto: tuple[float, float]) -> Place:
    (start, end), (first, last) = domain, onto
    span = (end - start) or 1.0

    def place(value: float) -> float:
        share = min(1.0, max(0.0, (value - start) / span)) if isfinite(value) else 0.0
        return first + (last - first) * share

    return place


def _span(values: Sequence[float], onto: tuple[float, float]) -> Place:
    return _place((min(values, default=0.0), max(values, default=1.0)), onto)


def _mark(mark: Mark, place: Place, y: float) -> str:
    parts = []
    if mark.control is not None:
        low, high = place(min(mark.control)), place(max(mark.control))
        parts.append(
            f'<rect class="band" x="{low:.2f}%" y="{y - 5:g}" width="{high - low:.2f}%" height="10"/>'
        )
        parts.append(_rule(place(mark.control[0]), y - 6, y + 6, "control"))
    parts.append(
        f'<line class="whisker {mark.shape}" x1="{place(mark.low):.2f}%" x2="{place(mark.high):.2f}%" y1="{y:g}" y2="{y:g}"/>'
    )
    parts.append(_shape(mark.shape, place(mark.value), y))
    return "".join(parts)


def _shape(shape: str, x: float, y: float) -> str:
    if shape == "dot":
        return f'<circle class="dot-mark" cx="{x:.2f}%" cy="{y:.1f}" r="4"/>'
    outline = "M0-5.5 5.5 0 0 5.5-5.5 0Z" if shape == "diamond" else "M-3.5-3.5h7v7h-7Z"
    return (
        f'<svg x="{x:.2f}%" y="{y:.1f}" overflow="visible"><path class="{shape}-mark" d="{outline}"/></svg>'
    )


def _rule(x: float, top: float, bottom: float, style: str) -> str:
    return f'<line class="{style}" x1="{x:.2f}%" x2="{x:.2f}%" y1="{top:g}" y2="{bottom:g}"/>'


def _tick(x: float, y: float, text: str) -> str:
    return _text(x, y, text, "tick", "start" if x < 1 else "end" if x > 99 else "middle")


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.2f}%" y="{y:g}" text-anchor="{anchor}">{_safe(text)}</text>'


def _svg(description: str, height: float, parts: Sequence[str], style: str = "") -> str:
    label = _safe(description)
    return (
        f'<svg class="{f"chart {style}".strip()}" role="img" aria-label="{label}" width="100%" height="{height:g}">'
        f"<title>{label}</title>{''.join(parts)}</svg>"
    )


def _safe(text: str) -> str:
    return escape(printable(text))
