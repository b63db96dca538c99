"""What has changed since an earlier audit, in sentences: the terminal, the page and the Markdown say the same."""

from __future__ import annotations

from backfire.answers.audit_comparison import AuditComparison, Change
from backfire.answers.numerals import number, p_value, percent

MOST = 10
"""Changes of one direction that are named."""
WORSE = "worse: "
"""How a line begins that says what is worse."""
_IN_PERCENT = ("share", "accuracy")


def headline(comparison: AuditComparison) -> str:
    """One sentence: how much is worse and how much is better."""
    since = f"Since the audit of {comparison.dataset} ({comparison.pairs:,} pairs)"
    if comparison.same_pairs:
        return f"{since} nothing has changed: both audits read the same pairs."
    if not comparison.changes:
        return f"{since}: the two audits have no number in common."
    worse, better = len(comparison.of("worse")), len(comparison.of("better"))
    tests = len(comparison.changes)
    rest = f"of {tests:,} numbers, by rates and beyond chance at 5% for all together"
    return f"{since} {worse or 'nothing'} {'is' if worse < 2 else 'are'} worse and {better or 'nothing'} better, {rest}."


def change_text(one: Change) -> str:
    """`debris: ChatML marks, chosen: 0.2% to 3.1%, by 2.9 [1.2–4.6] points, p < 0.001`."""
    new = " (new)" if one.new else ""
    if one.unit in _IN_PERCENT:
        band = f"{_points(one.change.low)} to {_points(one.change.high)}"
        values = f"{percent(one.before.value)}% to {percent(one.after.value)}%"
        by = f"by {_points(one.change.value)} [{band}] points"
    else:
        band = f"{number(one.change.low)} to {number(one.change.high)}"
        values = f"{one.unit} {number(one.before.value)} to {number(one.after.value)}"
        by = f"by {number(one.change.value)} [{band}]"
    return f"{one.name}{new}: {values}, {by}, {p_value(one.p)}"


def change_lines(comparison: AuditComparison) -> list[str]:
    """What is worse, then what is better, each with its numbers."""
    lines: list[str] = []
    for direction in ("worse", "better"):
        changes = comparison.of("worse" if direction == "worse" else "better")
        lines += [f"{direction}: {change_text(one)}" for one in changes[:MOST]]
        if len(changes) > MOST:
            lines.append(f"{direction}: {len(changes) - MOST} more, in the JSON")
    unclear = [one.name for one in comparison.of("no clear change") if one.new]
    if unclear:
        lines.append(f"new, and no more than chance may bring: {'; '.join(unclear[:MOST])}")
    if comparison.not_compared:
        lines.append(
            f"measured in one of the two audits alone, and not compared: {'; '.join(comparison.not_compared[:MOST])}"
            + (
                f" and {len(comparison.not_compared) - MOST} more"
                if len(comparison.not_compared) > MOST
                else ""
            )
        )
    return lines


def _points(value: float) -> str:
    return number(100 * value, 1)
