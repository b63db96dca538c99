"""An attack's rates with their intervals, and what stands beside them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from rich.table import Table

from backfire.answers.attack import NO_RESPONSE, AttackResult, RateRow, SuiteResult
from backfire.report.terminal.parts import Part, Titled, Warned, counted, interval, percent, table


def attack_parts(result: AttackResult) -> Iterator[Part]:
    """The rates of every attack and judge, over-refusal, and why responses are missing or unscored."""
    if result.asr:
        yield Titled("Attack success rate: judged harmful / scored", _by_attack(result))
    if isinstance(result, SuiteResult):
        yield Titled(
            "Best of attacks: requests that at least one attack is known to have broken / scored",
            _together(result),
        )
        for left in result.not_run:
            yield Warned(f"{left.attack} was not run: {left.reason}")
    if result.over_refusal:
        shown = table("prompts", "judge", "refusals", "scored", "unscored", "rate", "95% interval", left=2)
        for refused in result.over_refusal:
            shown.add_row(refused.prompts, refused.judge, str(refused.refusals), *_counts(refused))
        yield Titled("Over-refusal: refusals / scored", shown)
    if cut := {name: count for name, count in result.truncated.items() if count}:
        yield f"cut at max_new_tokens: {counted(cut)}"
    yield from _notes(result)


def _by_attack(result: AttackResult) -> Table:
    shown = table(
        *("attack", "judge", "harmful", "scored", "unscored", "rate", "95% interval", "best to worst"), left=2
    )
    for row in result.asr:
        bounds = interval(row.best, row.worst) if row.unscored else percent(row.rate)
        shown.add_row(row.attack, row.judge, str(row.harmful), *_counts(row), bounds)
    return shown


def _together(result: SuiteResult) -> Table:
    headings = ("requests", "judge", "attacks", "broken", "scored", "unscored", "open")
    shown = table(*headings, "rate", "95% interval", "best to worst", left=2)
    for row in result.any_attack:
        left_open = row.unscored or row.open
        bounds = interval(row.best, row.worst) if left_open else percent(row.rate)
        scored, unscored, *rest = _counts(row)
        counts = (str(row.attacks), str(row.harmful), scored, unscored, str(row.open), *rest)
        shown.add_row(row.prompts, row.judge, *counts, bounds)
    return shown


def _notes(result: AttackResult) -> Iterator[Part]:
    by_reason: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for note in result.notes:
        reason = re.sub(r"\d+ (tokens|characters)", r"many \1", note.reason)
        # No response is nobody's verdict: it is said once, not by every judge.
        key = ("", reason) if reason.startswith(NO_RESPONSE) else (f"{note.judge}: ", reason)
        if key[0] or note.judge == result.notes[0].judge:
            counts = by_reason[key]
            counts[note.prompts] = counts.get(note.prompts, 0) + note.count
    for (judge, reason), counts in by_reason.items():
        line = f"{judge}{reason}: {counted(counts)}"
        yield Warned(line) if reason.startswith(NO_RESPONSE) else line


def _counts(row: RateRow) -> list[str]:
    return [str(row.scored), str(row.unscored), percent(row.rate), interval(row.low, row.high)]
