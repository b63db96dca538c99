"""A short answer for a pull request: Markdown without links, in which text from the data stays text."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from backfire.answers.audit import AuditReport
from backfire.answers.conclusion import Effect
from backfire.answers.numerals import printable
from backfire.report.audit.brief import rows_of
from backfire.report.audit.changes import change_lines, headline
from backfire.report.audit.words import DIGITS, HEADLINES, left_out_line, length_line
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
    lines += [prose(end.verdict or HEADLINES[end.level]), ""]
    lines += [f"{place}. {_effect(one)}" for place, one in enumerate(end.effects[:EFFECTS], start=1)]
    more = len(end.effects) - EFFECTS
    if more > 0:
        lines.append(f"\n{more} smaller {'effect' if more == 1 else 'effects'} in the whole answer.")
    lines += [""] if end.effects else []
    left_out = left_out_line(report, ROWS) or f"Left out: none of {report.rows:,} rows"
    lines += [f"- {plain(text)}" for text in [*map(length_line, report.lengths), left_out]]
    if report.comparison is not None:
        lines += ["", f"**{plain(headline(report.comparison))}**", ""]
        lines += [f"- {plain(text)}" for text in change_lines(report.comparison)]
    digest = f", digest {code(report.input.digest[:DIGITS])}" if report.input is not None else ""
    read = f"{code(report.dataset)}: {report.rows:,} rows, {report.pairs:,} pairs audited{digest}"
    return "\n".join([*lines, "", f"{read}; backfire {plain(report.backfire)}", ""])


def write_audit_markdown(report: AuditReport, path: str | Path) -> Path:
    """Write it, whole or not at all."""
    path = Path(path)
    write_text(path, render_audit_markdown(report))
    return path


def plain(text: str, *, edges: bool = False) -> str:
    """Text as Markdown that shows it and means nothing else: one line, no mark-up, no links, no mentions.

    edges: white space at either end stays as one space.
    """
    one_line = " ".join(printable(text).split())
    short = one_line if len(one_line) <= LONGEST else f"{one_line[: LONGEST - 1]}…"
    if edges and one_line:
        short = f"{' ' if text[0].isspace() else ''}{short}{' ' if text[-1].isspace() else ''}"
    elif edges:
        short = " " if text else ""
    return _LINKS.sub(rf"\1{_APART}", _SPECIAL.sub(r"\\\1", escape(short, quote=False)))


def code(text: str) -> str:
    """Text as a span of code, whatever back-ticks it holds."""
    one_line = " ".join(printable(text).split())
    fence = "`" * (1 + max(map(len, re.findall("`+", one_line)), default=0))
    edge = " " if one_line.startswith("`") or one_line.endswith("`") else ""
    return f"{fence}{edge}{one_line}{edge}{fence}"


def prose(text: str) -> str:
    """A sentence whose parts in back-ticks are code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return plain(text)
    shown = (code(part) if place % 2 else plain(part, edges=True) for place, part in enumerate(parts))
    return "".join(shown)


def _effect(one: Effect) -> str:
    rows = f" {rows_of(one).capitalize()}." if one.rows else ""
    fix = f" Fix: {code(one.fix)}" if one.fix else ""
    return f"**{plain(one.name)}** {plain(one.what)}{rows}{fix}"
