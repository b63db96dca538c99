"""The conclusion in plain words: what the label encodes, and what that does and does not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from backfire.auditing.confounds import Confounds
from backfire.auditing.contrast import SafetyContrast
from backfire.auditing.separability import FEWEST_PAIRS, Rung
from backfire.auditing.sources import SourceLeak

Level = Literal["unknown", "none found", "some", "strong"]
"""How much of the label can be told without understanding the request. It is no level of danger."""

STRONG_AUROC = 0.9
"""Strong: the whole interval of a probe's AUROC, or of its pairwise accuracy, lies above this."""

CAVEAT = (
    "Separability measures a shortcut, not danger: good safety data are separable by their decisions to refuse,"
    " and data that show nothing beyond those decisions can still leave a model unsafe. Training on the data and"
    " attacking the result tells."
)


@dataclass(frozen=True)
class Conclusion:
    level: Level
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"level": self.level, "reasons": list(self.reasons)}


def conclude(
    pairs: int,
    rungs: Sequence[Rung],
    leak: SourceLeak | None,
    contrast: SafetyContrast,
    found: Confounds,
    matched: Sequence[Rung] = (),
) -> Conclusion:
    """Weigh the findings. Claims beyond the controls use the highest control over all rungs, so that trying
    several probes raises no false alarm."""
    measured = [r for r in rungs if r.pointwise and r.pairwise]
    reasons: list[str] = []
    level: Level = "unknown"
    if measured:
        level = _separable(measured, reasons)
    else:
        why = next((r.reason for r in rungs if r.reason), f"fewer than {FEWEST_PAIRS} usable pairs")
        reasons.append(f"No judgement: {why}.")
    if leak is not None:
        if leak.fixed and level != "unknown":
            level = "some" if level == "none found" else level
            reasons.append(
                f"{_capital(leak.mapping)}. The label can be learned as authorship. All three recipes that left the"
                " paper's models unsafe map sources to labels so (a hypothesis, not a proof)."
            )
        elif leak.probe.pairwise is not None and leak.probe.pairwise.low > max(
            0.5, leak.probe.pairwise.control.high
        ):
            share = leak.probe.pairwise
            reasons.append(
                f"The source alone, text unseen, tells the label in {share.value:.1%} of pairs"
                f" [{share.low:.1%}, {share.high:.1%}]."
            )
    reasons.extend(_safety(contrast, matched))
    reasons.extend(_confounded(found))
    if measured:
        reasons.append(CAVEAT)
    return Conclusion(level, tuple(reasons))


def _separable(measured: Sequence[Rung], reasons: list[str]) -> Level:
    point, point_rung = max(
        ((r.pointwise, r.name) for r in measured if r.pointwise), key=lambda e: e[0].value
    )
    order, order_rung = max(((r.pairwise, r.name) for r in measured if r.pairwise), key=lambda e: e[0].value)
    above = point.value > np.max([r.control_aurocs for r in measured]) and point.low > 0.5
    pairs_above = order.value > np.max([r.control_accuracies for r in measured]) and order.low > 0.5
    numbers = (
        f"from single responses AUROC {point.value:.3f} [{point.low:.3f}, {point.high:.3f}] ({point_rung},"
        f" shuffled {point.control.mean:.3f}); from pairs {order.value:.1%} [{order.low:.1%}, {order.high:.1%}]"
        f" ({order_rung}, shuffled {order.control.mean:.1%})"
    )
    if not above and not pairs_above:
        reasons.append(f"No probe tells the label better than shuffled labels let it: {numbers}.")
        return "none found"
    if point.low > STRONG_AUROC or order.low > STRONG_AUROC:
        reasons.append(f"The label shows almost entirely in how responses are written: {numbers}.")
        return "strong"
    reasons.append(f"Probes tell the label in part: {numbers}.")
    return "some"


def _safety(contrast: SafetyContrast, matched: Sequence[Rung]) -> list[str]:
    reasons: list[str] = []
    prompts = "harmful prompts" if contrast.prompts == "harmful" else "all prompts (none is marked harmful)"
    decided, refusing = contrast.decided, contrast.refuse_comply
    if decided.rate is None or refusing.rate is None or contrast.comply_refuse.rate is None:
        reasons.append("No prompt is marked harmful, so the pairs' safety contrast is undefined.")
        return reasons
    reasons.append(
        f"By refusal phrases, on {prompts}, the sides decide differently in {decided.rate:.1%} of {contrast.pairs}"
        f" pairs: chosen refuses and rejected complies in {refusing.rate:.1%}, the reverse in"
        f" {contrast.comply_refuse.rate:.1%}."
    )
    numbered = [(r.pointwise, r) for r in matched if r.pointwise]
    if numbered:
        point, best = max(numbered, key=lambda e: e[0].value)
        told = point.value > np.max([r.control_aurocs for _, r in numbered]) and point.low > 0.5
        reasons.append(
            f"Among {best.pairs} pairs whose sides make the same decision, AUROC is {point.value:.3f}"
            f" [{point.low:.3f}, {point.high:.3f}] ({best.name}): "
            + ("that part is no safety decision." if told else "what shuffled labels reach too.")
        )
    return reasons


def _confounded(found: Confounds) -> list[str]:
    reasons: list[str] = []
    chosen, rejected = found.truncated_chosen, found.truncated_rejected
    apart = (
        chosen
        and rejected
        and ((chosen.low or 0) > (rejected.high or 0) or (rejected.low or 0) > (chosen.high or 0))
    )
    if apart and chosen and rejected:
        reasons.append(
            f"Truncation differs by side: {chosen.rate:.1%} of chosen and {rejected.rate:.1%} of rejected responses"
            " stop at the token limit, and a cut-off end is itself a cue."
        )
    if found.decoding_differs and found.decoding_differs.hits:
        reasons.append(
            f"{found.decoding_differs.rate:.1%} of pairs were decoded differently on their two sides:"
            " sample both sides alike."
        )
    if found.contradictions:
        reasons.append(f"{found.contradictions} pairs contradict another pair with the same two responses.")
    if found.duplicates:
        reasons.append(f"{found.duplicates} pairs repeat another exactly.")
    return reasons


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
