"""A release check for a pull request: Markdown with tables, in which no prompt and no response stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backfire.answers.release import ReleaseReport
from backfire.report.audit.markdown import code, plain
from backfire.report.release.words import (
    DIGITS,
    HEADLINES,
    VERDICTS,
    cases,
    formulas,
    limit_of,
    looked_at,
    number_of,
    remarks,
    share,
    unscored,
)
from backfire.store import write_text


def render_release_markdown(report: ReleaseReport) -> str:
    """The verdict, a row for each rule and set, what would decide the undecided, and, folded, what it is bound to."""
    lines = [f"### backfire release: {VERDICTS[report.verdict]}", "", HEADLINES[report.verdict], ""]
    lines += [*rules_table(report), ""]
    lines += [f"- {plain(text)}" for text in remarks(report)]
    lines += [f"- Unscored: {plain(text)}" for text in unscored(report)]
    lines += ["", "<details><summary>What this is bound to</summary>", "", *binding_table(report), ""]
    if how := formulas(report):
        lines += [f"Cases that would decide: {'; '.join(map(plain, how))}.", ""]
    lines += ["</details>", ""]
    return "\n".join(lines)


def write_release_markdown(report: ReleaseReport, path: str | Path) -> Path:
    """Write it, whole or not at all."""
    path = Path(path)
    write_text(path, render_release_markdown(report))
    return path


def rules_table(report: ReleaseReport) -> Iterator[str]:
    """A row for each rule and set."""
    yield "| | what | limit | base | candidate | estimate | n |"
    yield "|-|-|-|-:|-:|-:|-:|"
    for one in report.results:
        interval = f"{number_of(one)} at {one.confidence:g}%"
        cells = [f"**{VERDICTS[one.verdict]}**", plain(looked_at(one)), plain(limit_of(one)), share(one.base)]
        cells += [share(one.candidate), plain(interval), plain(cases(one))]
        yield f"| {' | '.join(cells)} |"


def binding_table(report: ReleaseReport) -> Iterator[str]:
    """What the answers depend on, each with the beginning of its digest."""
    binding = report.binding
    rows = [
        (side, f"{code(one.model)}, {one.dtype or 'an endpoint'}", one.model_id)
        for side, one in (("base", binding.base), ("candidate", binding.candidate))
    ]
    rows += [
        (f"template of the {side}", "", one.template)
        for side, one in (("base", binding.base), ("candidate", binding.candidate))
        if one.template
    ]
    for name, prompts in binding.prompts.items():
        source = code(prompts.reference) if prompts.reference else "given in Python"
        rows.append((f"prompts {name}", f"{prompts.prompts} {prompts.kind}, {source}", prompts.digest))
    rows += [(f"judge {one.judge}", code(one.reference or one.judge), one.judge_id) for one in binding.judges]
    rows += [(f"task {name}", "", definition) for name, definition in binding.tasks.items()]
    yield "| | | digest |"
    yield "|-|-|-|"
    for what, about, known in rows:
        yield f"| {plain(what)} | {about} | {code(known[:DIGITS])} |"
    decoding = ", ".join(f"{name} {value}" for name, value in binding.decoding.items() if value is not None)
    yield f"| decoding | {plain(decoding)} | |"
    yield f"| code | backfire {plain(binding.code.backfire)} | {code(binding.code.digest[:DIGITS])} |"
    yield f"| all of this and the rules | {plain(report.created)} | {code(report.binding_digest[:DIGITS])} |"
