"""An audit for a terminal: what was read, the numbers, and the conclusion last, where the eye ends up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from backfire.answers.audit import AuditReport, Shortcut, SourceLeak, parse_audit
from backfire.answers.conclusion import FIRST
from backfire.answers.estimates import Accuracy, Auroc, ProbeResult, Share
from backfire.answers.influence import SafetyInfluence
from backfire.answers.numerals import (
    UNDEFINED,
    band,
    decimal,
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
    at_rows,
    displacement_text,
    influence_text,
    pilot_text,
    probe_name,
    share_text,
)
from backfire.auditing.faults.registry import tallies
from backfire.auditing.settings import AuditSettings
from backfire.report.audit.as_trained_table import as_trained_parts
from backfire.report.audit.brief import LEVEL_STYLES, rows_of
from backfire.report.audit.known_sets import known_sets_table, numbers_table, shown_number
from backfire.report.audit.topic_table import topic_parts
from backfire.report.audit.words import (
    COMBINATIONS,
    HEADLINES,
    columns_line,
    cue_name,
    damage_text,
    length_line,
    predictor_lines,
    probe_sets,
    read_line,
)
from backfire.settings import option

MOST_ROWS = 5
MOST_LINES = 3
"""Of a list that can be long, such as remains of templates; the others are counted."""


def audit_table(report: AuditReport | Mapping[str, Any]) -> Group:
    """The answer as a rich renderable for 80 columns and more.

    Raises InputError when it breaks the schema.
    """
    checked = parse_audit(report)
    parts: list[RenderableType] = [*_read(checked)]
    parts += [_line(length_line(part)) for part in checked.lengths]
    if checked.conclusion.effects:
        parts += ["", _title("What was found", "the largest effect first"), *_effects(checked)]
    if checked.separability:
        pairs = _only([probe.pairs for probe in checked.separability])
        about = "AUROC on held-out prompts; 0.5 is guessing"
        parts += [
            "",
            _title(
                "How well probes tell chosen from rejected", f"{pairs:,} pairs; {about}" if pairs else about
            ),
            _ladder(checked, pairs),
        ]
        corrected = sum(probe.pairwise.p_family is not None for probe in checked.separability)
        if corrected:
            tries = f"{2 * corrected} numbers of all pairs, and for the {corrected} of pairs with the same decision"
            parts.append(_line(f"p is corrected for the {tries} (Bonferroni)", "dim"))
        if checked.reference_points:
            parts += [
                "",
                _title("Known sets to compare with", "AUROC, and % of pairs ranked right"),
                known_sets_table(checked),
            ]
    if checked.not_run:
        skipped = [f"{probe_name(part.probe)} ({part.reason})" for part in checked.not_run]
        parts.append(_line(f"not run: {', '.join(skipped)}", "dim"))
    parts += [_line(f"failed: {part.part}: {part.reason}", "bold red") for part in checked.failed or ()]
    if checked.shortcuts:
        cues = checked.shortcuts
        scored = _only([count.scored for cue in cues for count in (cue.chosen, cue.rejected)])
        about = f"{len(cues)} cue{'s' if len(cues) != 1 else ''}"
        parts += [
            "",
            _title("What gives the label away", f"{about}, {scored:,} responses a side" if scored else about),
            _cues(cues, scored is not None),
        ]
    parts += _block("Who wrote what", _sources(checked.source_leak))
    parts += _block("What the pairs decide", _decisions(checked))
    if checked.topics is not None:
        parts += ["", *topic_parts(checked)]
    if checked.safety_influence is not None:
        part = checked.safety_influence
        about = "predicted before training, to first order; cosine, above 0 is up"
        parts += ["", _title("What training on it would move", about), _influence(part)]
        parts += [_list([("-", line) for line in _beside_influence(part)])]
    if checked.as_trained is not None:
        parts += ["", *as_trained_parts(checked.as_trained)]
    parts += _block("What else", [*_confounds(checked), *_policy(checked)])
    parts += ["", *_conclusion(checked)]
    return Group(*parts)


def _read(report: AuditReport) -> Iterator[Text]:
    yield _line(report.dataset, "bold")
    yield _line(read_line(report))
    if report.columns:
        yield _line(columns_line(report), "dim")
    for note in report.reading:
        yield _line(note, "dim")
    for defect in report.defects:
        rows = shown_rows(defect.rows, MOST_ROWS, defect.count)
        yield _line(f"left out: {defect.count:,} with {defect.kind} (row {rows})", "yellow")


def _effects(report: AuditReport) -> Iterator[RenderableType]:
    """Effects with their first rows."""
    items = []
    for place, effect in enumerate(report.conclusion.effects, 1):
        rows = f" {rows_of(effect).capitalize()}." if effect.rows else ""
        items.append((f"{place}.", f"{effect.name}: {effect.what}{rows}"))
    yield _list(items)


def _only(counts: Sequence[int]) -> int | None:
    """The count that all of them are, if they are equal: it is then said once."""
    return counts[0] if len(set(counts)) == 1 else None


def _ladder(report: AuditReport, pairs: int | None) -> Table:
    table = numbers_table(
        "probe", "all\npairs", "same\ndecision", "pairs ranked\nright, %", *(() if pairs else ("pairs",))
    )
    for probe in report.separability:
        table.add_row(
            Text(_one(probe_name(probe.probe))),
            _auroc(probe.pointwise),
            _matched(probe),
            _ranked(probe.pairwise),
            *(() if pairs else (Text(f"{probe.pairs:,}"),)),
        )
    return table


def _ranked(share: Accuracy) -> Text:
    return shown_number(
        percent(share.accuracy),
        interval(percent(share.low), percent(share.high)),
        f"swapped {percent(share.control)}",
        p_value(share.p if share.p_family is None else share.p_family),
    )


def _auroc(area: Auroc) -> Text:
    return shown_number(
        decimal(area.auroc),
        span(area.low, area.high),
        f"swapped {decimal(area.control)}",
        p_value(area.p if area.p_family is None else area.p_family),
    )


def _matched(probe: ProbeResult) -> Text:
    matched = probe.decision_matched
    if matched.auroc is None:
        return shown_number(UNDEFINED, f"{matched.pairs:,} pairs")
    return shown_number(
        decimal(matched.auroc),
        span(matched.low, matched.high),
        f"swapped {decimal(matched.control)}",
        p_value(matched.p if matched.p_family is None else matched.p_family),
        f"{matched.pairs:,} pairs",
    )


def _cues(cues: Sequence[Shortcut], counted: bool) -> Table:
    """counted: whether the title says of how many responses the shares are."""
    table = numbers_table(
        "cue", "chosen %", "rejected %", "pairs ranked\nright, %", "AUROC alone", "lost without it"
    )
    for cue in cues:
        order = cue.pairwise
        table.add_row(
            Text(_one(cue_name(cue))),
            _share(cue.chosen, counted),
            _share(cue.rejected, counted),
            Text(UNDEFINED)
            if order is None
            else shown_number(percent(order.accuracy), interval(percent(order.low), percent(order.high))),
            _auroc(cue.alone),
            shown_number(
                number(cue.loss.value),
                span(cue.loss.low, cue.loss.high),
                f"swapped {number(cue.loss.control)}",
            ),
        )
    return table


def _sources(leak: SourceLeak | None) -> Iterator[str]:
    if leak is None:
        yield f"not recorded: name two columns by {option(AuditSettings, 'source_columns')} A,B"
        return
    yield ("SOURCES DECIDE THE LABEL: " if leak.fixed else "") + f"{leak.mapping} ({leak.pairs:,} pairs)"
    if leak.pairwise is not None:
        p = leak.pairwise
        shown_share = f"{percent(p.accuracy)}% [{interval(percent(p.low), percent(p.high))}]"
        yield f"the source alone, without the text, predicts {shown_share} of labels, swapped {percent(p.control)}%"
    for two_sources in leak.text_tells_source[:MOST_LINES]:
        a = two_sources.pointwise
        who = f"{two_sources.sources[0]} from {two_sources.sources[1]}"
        yield f"the text tells {who}: AUROC {band(a.auroc, a.low, a.high)}, swapped {decimal(a.control)}"
    within = leak.within_source
    if within.pointwise is not None:
        a = within.pointwise
        shown = f"AUROC {band(a.auroc, a.low, a.high)}, swapped {decimal(a.control)}"
        yield f"among responses of one source, the text predicts the label: {shown} ({within.pairs:,} pairs)"
    elif within.reason:
        yield f"within one source: {within.reason}"


def _decisions(report: AuditReport) -> Iterator[str]:
    for contrast in report.safety_contrast.strata:
        shares = "; ".join(
            f"{words} {percent(getattr(contrast, name).rate)}%" for name, words in COMBINATIONS
        )
        differ, chosen = contrast.decisions_differ, contrast.chosen_refuses_rejected_complies
        side = (
            f"; chosen refuses in {chosen.hits:,} of these, {p_value(contrast.p)}"
            if contrast.p is not None
            else ""
        )
        yield f"{PROMPTS[contrast.prompts]}: decisions differ in {share_text(differ)}{side}. {shares}"
    for undecided in report.safety_contrast.why_undecided[:MOST_LINES]:
        yield f"undecided, {undecided.reason}: {undecided.chosen:,} chosen, {undecided.rejected:,} rejected"
    for spoken in report.safety_contrast.languages[:MOST_LINES]:
        count = spoken.chosen + spoken.rejected
        yield f"in {spoken.language}: {count:,} responses, {spoken.undecided.hits:,} of them undecided"


def _influence(influence: SafetyInfluence) -> Table:
    table = numbers_table("probe", "cosine", "signs only", "probes", "asked")
    for name, shown in probe_sets(influence):
        text = influence_text(shown)
        settled = not text.startswith("undetermined")
        table.add_row(
            Text(_one(name if settled else f"{name}: {text}")),
            shown_number(*text.removesuffix("]").split(" [")) if settled else Text(UNDEFINED),
            Text(number(shown.adam_sign, 2) if settled else UNDEFINED),
            Text(f"{shown.probes:,}"),
            Text(f"{shown.asked:,}"),
        )
    return table


def _beside_influence(influence: SafetyInfluence) -> Iterator[str]:
    yield from predictor_lines(influence)
    if influence.pilot is not None:
        yield pilot_text(influence.pilot)
        if text := displacement_text(influence.pilot):
            yield text
    yield f"of {influence.pairs:,} pairs on {influence.policy}, {influence.parameters}: {influence.trained:,} numbers"
    if influence.wording is not None:
        yield f"from bags of words alone, without a model: {number(influence.wording, 2)}"
    if influence.damage is not None:
        yield damage_text(influence.damage, MOST_ROWS)
    if influence.file is not None:
        yield f"every pair's influence: {influence.file}"
    if influence.epsilon_agrees is False:
        yield "single pairs' influence depends on the length of the step: read it as an order at most"
    yield influence.limits


def _confounds(report: AuditReport) -> Iterator[str]:
    """A line for everything that occurs, as the findings count it."""
    for one in tallies(report.confounds):
        if not one.occurs:
            continue
        if one.sides is None:
            shares = share_text(one.pairs) if one.pairs is not None else UNDEFINED
        else:
            chosen, rejected = map(share_text, one.sides)
            shares = f"{chosen} of chosen, {rejected} of rejected"
        p = f", {p_value(one.p)}" if one.p is not None else ""
        yield f"{one.name}: {shares}{p}{at_rows(one.rows, one.count)}{one.after}"


def _policy(report: AuditReport) -> Iterator[str]:
    on = report.on_policyness
    if on is not None:
        gap = band(on.gap.mean, on.gap.low, on.gap.high)
        yield (
            f"log-probability a token under {on.policy}: chosen {band(on.chosen.mean, on.chosen.low, on.chosen.high)}, "
            f"rejected {band(on.rejected.mean, on.rejected.low, on.rejected.high)}, gap {gap}, "
            f"swapped {number(on.gap.control)} ({on.pairs:,} pairs)"
        )
    if report.per_pair is not None and report.per_pair.file is not None:
        yield f"V-information of every pair: {report.per_pair.file}"


def _conclusion(report: AuditReport) -> Iterator[RenderableType]:
    verdict = report.conclusion.verdict.partition(FIRST)[0] or HEADLINES[report.conclusion.level]
    yield _line(f"Conclusion. {verdict}", LEVEL_STYLES[report.conclusion.level])
    yield _list([("-", reason) for reason in report.conclusion.reasons])
    if report.conclusion.advice:
        yield _line("What to do next", "bold")
        yield _list([(f"{n}.", step) for n, step in enumerate(report.conclusion.advice, 1)])


def _block(title: str, lines: Iterator[str] | Sequence[str]) -> list[RenderableType]:
    every_line = list(lines)
    return ["", _title(title), _list([("-", line) for line in every_line])] if every_line else []


def _list(items: Sequence[tuple[str, str]]) -> Table:
    """Marks and texts, the texts' further lines indented."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for mark, text in items:
        grid.add_row(mark, Text(_one(text)))
    return grid


def _share(share: Share, counted: bool) -> Text:
    band = interval(percent(share.low), percent(share.high))
    return shown_number(percent(share.rate), band, "" if counted else f"of {share.scored:,}")


def _title(title: str, about: str = "") -> Text:
    return Text.assemble((title, "bold"), (f"  {about}" if about else "", "dim"))


def _line(text: str, style: str = "") -> Text:
    return Text(_one(text), style=style, overflow="fold")


def _one(text: str) -> str:
    """Hostile text on one line."""
    return printable(" ".join(text.split()))
