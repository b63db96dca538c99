"""A rule in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from backfire.releasing.settings import Limit, Rule

Unit = Literal["%", "points", "% of the base's"]
UNITS: Mapping[Limit, Unit] = {
    "at_most": "%",
    "at_least": "%",
    "above_base_at_most": "points",
    "below_base_at_most": "points",
    "of_base_at_least": "% of the base's",
}
METRICS = {"asr": "attack success", "over_refusal": "needless refusals", "general": "general score"}


def rule_in_words(rule: Rule, on: str, judge: str | None) -> str:
    """`attack success (advbench, by phrases) at most 3 points above the base's, at 95%`."""
    by = f", by {judge}" if judge else ""
    limit = f"{abs(rule.limit):g}"
    match rule.kind:
        case "at_most":
            says = f"at most {limit}%"
        case "at_least":
            says = f"at least {limit}%"
        case "above_base_at_most" if rule.limit >= 0:
            says = f"at most {limit} points above the base's"
        case "above_base_at_most":
            says = f"at least {limit} points below the base's"
        case "below_base_at_most" if rule.limit >= 0:
            says = f"at most {limit} points below the base's"
        case "below_base_at_most":
            says = f"at least {limit} points above the base's"
        case "of_base_at_least":
            says = f"at least {limit}% of the base's"
    return f"{METRICS[rule.metric]} ({on}{by}) {says}, at {rule.confidence:g}%"
