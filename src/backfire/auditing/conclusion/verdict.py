"""The whole answer in one or two sentences: the level, what it stands on, and what to do first."""

from __future__ import annotations

from collections.abc import Sequence

from backfire.answers.conclusion import FIRST, Level
from backfire.answers.estimates import ProbeResult
from backfire.auditing.conclusion.advice import TRAIN_AND_ATTACK
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.step import Step

OPENINGS: dict[Level, str] = {
    "strong": "Strong: the label can nearly always be told from the text alone",
    "some": "Some: the label can be told in part from the text alone",
    "none found": "None found: no probe of the text tells the label better than swapped labels",
    "unknown": "No judgement",
}


def verdict(
    level: Level,
    why: str,
    probes: Sequence[ProbeResult],
    effects: Sequence[Effected],
    first: Step,
    by_text: bool = True,
) -> str:
    """why: the sentence that the level was decided by. first: the first step of the advice. by_text: whether a probe of the text
    tells the label; where none does, the level is that of the sources."""
    if level == "unknown":
        return f"{why}{FIRST}{first.sentence}"
    best = max(probes, key=lambda probe: (probe.pairwise.accuracy, probe.probe))
    order = best.pairwise
    point = max(probes, key=lambda probe: (probe.pointwise.auroc, probe.probe)).pointwise
    numbers = (
        f"the best probe ({best.probe}) ranks {order.accuracy:.1%} [{order.low:.1%}, {order.high:.1%}] of pairs right (swapped labels"
        f" {order.control:.1%}), AUROC {point.auroc:.3f}{_alike(probes)}"
    )
    sources = any(one.effect.name == "fixed-sources" for one in effects)
    cause = "; who wrote a response decides its label" if sources else ""
    do = "" if first.do == TRAIN_AND_ATTACK else f"{FIRST}{first.do[:1].lower()}{first.sentence[1:]}"
    opening = OPENINGS[level] if by_text else f"{level.capitalize()}: no probe of the text tells the label"
    return f"{opening}: {numbers}{cause}.{do}"


def _alike(probes: Sequence[ProbeResult]) -> str:
    """What is left where the decision to refuse or to comply cannot be what tells the sides apart."""
    matched = [probe.decision_matched.auroc for probe in probes if probe.decision_matched.auroc is not None]
    return f" ({max(matched):.3f} where both sides decide alike)" if matched else ""
