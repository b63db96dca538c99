"""An audit's page: one self-contained HTML file, without a single network request. One script, which is allowed by its digest and
needed for nothing, sorts and folds the table of topics."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from backfire.answers.audit import (
    AuditReport,
    Example,
    Shortcut,
    parse_audit,
)
from backfire.answers.conclusion import FIRST, ReferencePoint
from backfire.answers.influence import PilotOutcome, ProbeInfluence
from backfire.answers.numerals import (
    UNDEFINED,
    cut,
    interval,
    number,
    p_value,
    percent,
    printable,
    shown_rows,
    span,
)
from backfire.answers.phrases import (
    PROMPTS,
    best_matched,
    best_total,
    displacement_text,
    influence_text,
    pilot_text,
    probe_name,
    share_text,
    why_not_matched,
)
from backfire.auditing.faults.registry import tallies
from backfire.report.audit import pictures as draw
from backfire.report.audit.as_trained_lines import rendered_by, tokens_line, trained_lines
from backfire.report.audit.brief import rows_of
from backfire.report.audit.changes import change_lines, headline
from backfire.report.audit.influence_picture import influence_picture
from backfire.report.audit.known_picture import compared_probe, known_picture
from backfire.report.audit.topic_words import about_topics, shown_first, topic_name, topic_sentences
from backfire.report.audit.words import (
    COMBINATIONS,
    HEADLINES,
    columns_line,
    cue_name,
    damage_text,
    known_sets_line,
    left_out_line,
    length_line,
    predictor_lines,
    probe_sets,
    read_line,
)
from backfire.report.templates import page_script, render
from backfire.store import write_text

COMMAND = re.compile(r"`(backfire [^`]*)`\.(?: |$)")
"""A command at the end of a sentence."""
MOST_EXAMPLE = 1500
"""Characters of an example's side; what does not fit is counted."""

MOST_ROWS = 200


@dataclass(frozen=True)
class Glance:
    """One of the few numbers that the page begins with."""

    what: str
    value: str
    small: tuple[str, ...]


@dataclass(frozen=True)
class KnownSet:
    """A reference set, with what its probes gave."""

    name: str
    first: ReferencePoint
    probes: dict[str, ReferencePoint]


@dataclass(frozen=True)
class ShownSide:
    who: str
    text: str
    left: int


@dataclass(frozen=True)
class ShownExample:
    example: Example
    sides: tuple[ShownSide, ShownSide]


@dataclass(frozen=True)
class ShownCue:
    name: str
    cue: Shortcut
    examples: list[ShownExample]


def render_audit_page(report: AuditReport | Mapping[str, Any]) -> str:
    """The HTML page of an audit, the same bytes for the same answer. Raises InputError when it breaks the schema."""
    checked = parse_audit(report)
    filters: dict[str, Callable[..., Any]] = {
        "percent": percent,
        "decimal": number,
        "interval": interval,
        "span": span,
        "p": p_value,
        "share": share_text,
        "rows": lambda rows, count=None: shown_rows(rows, MOST_ROWS, count),
        "probe": probe_name,
        "value": _value,
        "damage": lambda damage: damage_text(damage, MOST_ROWS),
        "prose": _prose,
        "step": _step,
    }
    return render(
        "audit/page.html.jinja",
        filters,
        report=checked,
        verdict=checked.conclusion.verdict.partition(FIRST)[0] or HEADLINES[checked.conclusion.level],
        left_out=left_out_line(checked, 5),
        counts=list(tallies(checked.confounds)),
        compared=known_sets_line(checked),
        lengths=[length_line(lengths) for lengths in checked.lengths],
        rows_of=rows_of,
        nearest=compared_probe(checked),
        known_picture=known_picture,
        read=read_line(checked),
        headline=headline,
        change_lines=change_lines,
        columns=columns_line(checked),
        glances=_glances(checked),
        draw=draw,
        known=_known_sets(checked),
        cues=[
            ShownCue(cue_name(cue), cue, [_example(example) for example in cue.examples])
            for cue in checked.shortcuts
        ],
        combinations=COMBINATIONS,
        prompts=PROMPTS,
        hidden=checked.probe("hidden"),
        predictor_lines=predictor_lines,
        influence_picture=influence_picture,
        displacement_text=displacement_text,
        pilot_text=pilot_text,
        probe_sets=probe_sets(checked.safety_influence) if checked.safety_influence else [],
        undefined=UNDEFINED,
        rendered_by=rendered_by,
        tokens_line=tokens_line,
        trained_lines=trained_lines,
        **_topics(checked),
    )


def write_audit_page(report: AuditReport | Mapping[str, Any], path: str | Path) -> Path:
    """Write the page to the file `path`, whole or not at all, and return it."""
    path = Path(path)
    write_text(path, render_audit_page(report))
    return path


def _topics(report: AuditReport) -> dict[str, Any]:
    """What the section of topics is made of, and its script, where there are topics."""
    topics = report.topics
    if topics is None or topics.reason is not None:
        return {"script": None}
    return {
        "script": page_script("audit/topics.js"),
        "topic_sentences": topic_sentences(topics),
        "topics_shown": shown_first(topics),
        "topic_name": topic_name,
        "about_topics": about_topics(topics),
    }


def _glances(report: AuditReport) -> list[Glance]:
    matched, total, leak = best_matched(report), best_total(report), report.source_leak
    glances = []
    if matched is not None:
        m = matched.decision_matched
        small = [
            span(m.low, m.high),
            f"{probe_name(matched.probe)}, {m.pairs:,} pairs with the same decision on both sides",
        ]
        if m.control is not None:
            small.append(f"swapped labels {number(m.control)}, {p_value(m.p)}")
        glances.append(Glance("AUROC, same decision", number(m.auroc), tuple(small)))
    else:
        glances.append(Glance("AUROC, same decision", UNDEFINED, (why_not_matched(report),)))
    if total is not None:
        t = total.pointwise
        control = f"swapped labels {number(t.control)}, {p_value(t.p)}"
        glances.append(
            Glance(
                "AUROC, all pairs",
                number(t.auroc),
                (span(t.low, t.high), f"{probe_name(total.probe)}, {total.pairs:,} pairs", control),
            )
        )
    if leak is None:
        glances.append(Glance("Sources", "not recorded", ()))
    else:
        fixed = "decide the label" if leak.fixed else "stand on both sides"
        glances.append(Glance("Sources", fixed, (f"of {leak.pairs:,} pairs both are known", leak.mapping)))
    for contrast in report.safety_contrast.strata[:1]:
        share = contrast.decisions_differ
        glances.append(
            Glance(
                "Pairs whose decisions differ",
                f"{percent(share.rate)}%" if share.rate is not None else UNDEFINED,
                (
                    interval(percent(share.low), percent(share.high)),
                    f"{share.hits:,} of {share.scored:,}, {PROMPTS[contrast.prompts]}",
                ),
            )
        )
    if report.safety_influence is not None:
        if report.safety_influence.pilot is not None:
            glances.append(_pilot_glance(report.safety_influence.pilot))
        glances.append(_influence_glance(report.safety_influence.refusal))
    return glances


def _pilot_glance(pilot: PilotOutcome) -> Glance:
    title = f"Refusals after a pilot of {pilot.steps} steps"
    change = pilot.refusal_change
    if change is None or pilot.refused_before is None:
        return Glance(title, UNDEFINED, ("no probe prompt could be scored before and after",))
    before = f"points, from {percent(pilot.refused_before)}% of {pilot.scored:,} probe prompts"
    return Glance(
        title, number(100 * change.value, 0), (span(100 * change.low, 100 * change.high, 0), before)
    )


def _influence_glance(refusal: ProbeInfluence) -> Glance:
    probes = f"cosine, first order; {refusal.probes:,} probes"
    if refusal.cosine is None or refusal.undetermined is not None:
        return Glance("Predicted influence on refusing", "undetermined", (influence_text(refusal), probes))
    c = refusal.cosine
    return Glance("Predicted influence on refusing", number(c.value, 2), (span(c.low, c.high, 2), probes))


def _known_sets(report: AuditReport) -> list[KnownSet]:
    known_sets = []
    for name in dict.fromkeys(point.name for point in report.reference_points):
        points = [point for point in report.reference_points if point.name == name]
        known_sets.append(KnownSet(name, points[0], {point.probe: point for point in points}))
    return known_sets


def _example(example: Example) -> ShownExample:
    sides = []
    for who, text in (("chosen", example.chosen), ("rejected", example.rejected)):
        shown, left = cut(text, MOST_EXAMPLE)
        sides.append(ShownSide(who, shown, left))
    return ShownExample(example, (sides[0], sides[1]))


def _prose(text: str) -> Markup:
    """A sentence whose parts in backticks are code."""
    parts = printable(text).split("`")
    if len(parts) % 2 == 0:
        return escape("`".join(parts))
    coded = (
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part) for n, part in enumerate(parts)
    )
    return Markup("").join(coded)


def _step(text: str) -> Markup:
    """A step of the advice: a command that ends a sentence stands on a line of its own, without the full stop."""
    parts = COMMAND.split(text)
    coded = (
        Markup('<code class="command">{}</code>').format(printable(part)) if n % 2 else _prose(part)
        for n, part in enumerate(parts)
    )
    return Markup("").join(coded)


def _value(value: object) -> str:
    """A setting as text."""
    if value is None:
        return UNDEFINED
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
