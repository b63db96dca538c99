"""How the results of a release check are put in words and short columns."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.numerals import UNDEFINED, count_of
from backfire.answers.release import ReleaseReport, RuleResult

VERDICTS = {"pass": "pass", "fail": "FAIL", "not decided": "not decided"}
HEADLINES = {
    "pass": "The candidate keeps every rule.",
    "fail": "The candidate breaks a rule.",
    "not decided": "No rule is broken, and not every rule is decided.",
}
METRICS = {"asr": "attack success", "over_refusal": "needless refusals", "general": "general score"}
DIGITS = 12
"""Of a digest that is shown; the JSON has all of them."""


def looked_at(one: RuleResult) -> str:
    """`attack success, advbench by phrases`."""
    by = f" by {one.judge}" if one.judge else ""
    return f"{METRICS[one.metric]}, {one.on}{by}"


def limit_of(one: RuleResult) -> str:
    """`≤ 5%`, `≤ base + 3`, `≥ 98% of base`."""
    less = one.metric != "general"
    sign = "≤" if less else "≥"
    if one.unit == "points":
        return f"{sign} base {'−' if one.limit < 0 else '+'} {abs(one.limit):g}"
    return f"{sign} {one.limit:g}%{' of base' if one.unit != '%' else ''}"


def number_of(one: RuleResult) -> str:
    """`+1.0 [−4.2, +6.3]`, signed where it is a difference."""
    if one.estimate is None:
        return UNDEFINED
    if one.low is None or one.high is None:
        return _shown(one, one.estimate)
    return f"{_shown(one, one.estimate)} [{_shown(one, one.low)}, {_shown(one, one.high)}]"


def _shown(one: RuleResult, value: float) -> str:
    text = f"{value:+.1f}" if one.unit == "points" else f"{value:.1f}"
    return text.replace("-", "−") if float(text) else "0.0"


def share(value: float | None) -> str:
    """A rate or score as a percentage."""
    return UNDEFINED if value is None else f"{100 * value:.1f}%"


def cases(one: RuleResult) -> str:
    """`100 prompts`, `200 prompts of 40 nouns`."""
    noun = "item" if one.metric == "general" else "prompt"
    counted = count_of(one.n, noun)
    return counted if one.clusters == one.n else f"{counted}, {count_of(one.clusters, one.cluster)}"


def remarks(report: ReleaseReport) -> Iterator[str]:
    """What stands below the table: why a rule is not decided and what would decide it, and what could turn a verdict."""
    for one in report.results:
        if one.verdict == "not decided":
            noun = "item" if one.metric == "general" else "prompt"
            decided = (
                f"; about {count_of(one.needed, noun)} would decide it ({one.n:,} now), were the estimate and its spread to stay"
                if one.needed is not None
                else ""
            )
            yield f"{one.says}: not decided, for {one.reason}{decided}."
        elif one.reason:
            yield f"{one.says}: {VERDICTS[one.verdict]}, but {one.reason}."


def formulas(report: ReleaseReport) -> list[str]:
    """The formulas of the numbers of cases that would decide."""
    return list(dict.fromkeys(one.formula for one in report.results if one.formula))


def unscored(report: ReleaseReport) -> Iterator[str]:
    """Unscored responses of either side by set and judge; nothing where every response was scored."""
    for side, outcomes in (("base", report.evidence.base), ("candidate", report.evidence.candidate)):
        for name, judges in outcomes.items():
            if name in report.evidence.together:
                continue
            for judge, by_prompt in judges.items():
                count = sum(outcome is None for outcome in by_prompt.values())
                reasons = report.evidence.unscored.get(side, {}).get(f"{name}, {judge}", {})
                if count:
                    why = ", ".join(f"{reason} {number}" for reason, number in reasons.items())
                    yield f"{side}, {name} by {judge}: {count} of {len(by_prompt)} unscored{f' ({why})' if why else ''}"
