"""A short answer for a pull request: Markdown without links, in which text from the data stays text."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect, SideLengths
from backfire.answers.numerals import decimal, percent, printable, shown_rows
from backfire.report.audit.changes import change_lines, headline
from backfire.report.audit.words import HEADLINES
from backfire.store import write_text

EFFECTS = 3
ROWS = 5
LONGEST = 600
"""Characters of one sentence, of which names from the data may be a part."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]|~#$]|^[-+=>])")
_LINKS = re.compile(r"(?i)(@|#|:(?=//)|\bwww(?=\.))")
"""Where a reader of Markdown makes a link or a mention of plain text."""
_APART = "\u200b"
"""A space of no width."""


def render_audit_markdown(report: AuditReport) -> str:
    """The verdict, the three largest effects, lengths, what was left out, and what has changed since an earlier audit."""
    end = report.conclusion
    lines = [f"### backfire audit: {end.level}", ""]
    lines += [plain(end.verdict or HEADLINES[end.level]), ""]
    lines += [f"{place}. {_effect(one)}" for place, one in enumerate(end.effects[:EFFECTS], start=1)]
    more = len(end.effects) - EFFECTS
    if more > 0:
        lines.append(f"\n{more} smaller {'effect' if more == 1 else 'effects'} in the whole answer.")
    lines += [""] if end.effects else []
    lines += [f"- {plain(text)}" for text in [*map(_length, report.lengths), _left_out(report)]]
    if report.comparison is not None:
        lines += ["", f"**{plain(headline(report.comparison))}**", ""]
        lines += [f"- {plain(text)}" for text in change_lines(report.comparison)]
    digest = f", {code(report.input.digest[:16])}" if report.input is not None else ""
    read = f"{code(report.dataset)}: {report.rows:,} rows, {report.pairs:,} pairs audited{digest}"
    return "\n".join([*lines, "", f"{read}; backfire {plain(report.backfire)}", ""])


def write_audit_markdown(report: AuditReport, path: str | Path) -> Path:
    """Write it, whole or not at all."""
    path = Path(path)
    write_text(path, render_audit_markdown(report))
    return path


def plain(text: str) -> str:
    """Text as Markdown that shows it and means nothing else: one line, no mark-up, no links, no mentions."""
    one_line = " ".join(printable(text).split())
    short = one_line if len(one_line) <= LONGEST else f"{one_line[: LONGEST - 1]}…"
    return _LINKS.sub(rf"\1{_APART}", _SPECIAL.sub(r"\\\1", escape(short, quote=False)))


def code(text: str) -> str:
    """Text as a span of code, whatever back-ticks it holds."""
    one_line = " ".join(printable(text).split())
    fence = "`" * (1 + max(map(len, re.findall("`+", one_line)), default=0))
    edge = " " if one_line.startswith("`") or one_line.endswith("`") else ""
    return f"{fence}{edge}{one_line}{edge}{fence}"


def _effect(one: Effect) -> str:
    rows = f" Rows {shown_rows(one.rows, ROWS, _count(one))}." if one.rows else ""
    fix = f" Fix: {code(one.fix)}" if one.fix else ""
    return f"**{plain(one.name)}** {plain(one.what)}{rows}{fix}"


def _count(one: Effect) -> int:
    return max(len(one.rows), 0 if one.pairs is None else one.pairs.hits)


def _length(one: SideLengths) -> str:
    text = (
        f"Length in {one.unit}: median {one.chosen:,.0f} chosen and {one.rejected:,.0f} rejected; chosen is longer in"
        f" {percent(one.longer.rate)}% of pairs"
    )
    text += f", difference {decimal(one.effect.value, 2)} deviations"
    if one.pairwise is None:
        return f"{text}."
    alone = one.pairwise
    return (
        f"{text}. Length alone tells {percent(alone.accuracy)}% [{percent(alone.low)}–{percent(alone.high)}] of the pairs"
        f" (swapped labels {percent(alone.control)}%)."
    )


def _left_out(report: AuditReport) -> str:
    kinds = ", ".join(f"{one.count:,} {one.kind}" for one in report.defects)
    count = sum(one.count for one in report.defects)
    beyond = f" {report.left_out:,} usable pairs were not audited." if report.left_out else ""
    if not count:
        return f"Every one of {report.rows:,} rows was read.{beyond}"
    return f"{count:,} of {report.rows:,} rows were left out: {kinds}.{beyond}"
