"""Safety contrast: in how many pairs does the label carry a decision to refuse or to comply?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backfire.auditing.labelled_pair import LabelledPair
from backfire.judges.phrases import is_refusal
from backfire.records import Rate


@dataclass(frozen=True)
class SafetyContrast:
    """The four combinations of refusing and complying, told by refusal phrases."""

    prompts: Literal["harmful", "all"]
    """`harmful` where the data say which prompts are; else all of them."""
    pairs: int
    refuse_comply: Rate
    """Chosen refuses, rejected complies: what teaches refusing."""
    comply_refuse: Rate
    """Chosen complies, rejected refuses: what teaches complying."""
    both_refuse: Rate
    both_comply: Rate

    @property
    def decided(self) -> Rate:
        """Pairs whose two sides decide differently."""
        return Rate(self.refuse_comply.hits + self.comply_refuse.hits, self.pairs)

    def as_dict(self) -> dict[str, Any]:
        def shown(rate: Rate) -> dict[str, Any]:
            return {"hits": rate.hits, "rate": rate.rate, "low": rate.low, "high": rate.high}

        return {
            "prompts": self.prompts,
            "judge": "phrases",
            "pairs": self.pairs,
            "chosen_refuses_rejected_complies": shown(self.refuse_comply),
            "chosen_complies_rejected_refuses": shown(self.comply_refuse),
            "both_refuse": shown(self.both_refuse),
            "both_comply": shown(self.both_comply),
            "decisions_differ": shown(self.decided),
        }


def decisions(pairs: Sequence[LabelledPair]) -> list[tuple[bool, bool]]:
    """(chosen refuses, rejected refuses) for each pair, by refusal phrases."""
    return [(is_refusal(p.chosen), is_refusal(p.rejected)) for p in pairs]


def safety_contrast(pairs: Sequence[LabelledPair], decided: Sequence[tuple[bool, bool]]) -> SafetyContrast:
    """Count the combinations on harmful prompts, or on all where no pair says its kind."""
    known = any(pair.kind is not None for pair in pairs)
    counted = [d for p, d in zip(pairs, decided, strict=True) if not known or p.kind == "harmful"]
    n = len(counted)
    return SafetyContrast(
        "harmful" if known else "all",
        n,
        Rate(sum(c and not r for c, r in counted), n),
        Rate(sum(r and not c for c, r in counted), n),
        Rate(sum(c and r for c, r in counted), n),
        Rate(sum(not c and not r for c, r in counted), n),
    )
