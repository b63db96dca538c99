"""What else differs by side and could pass for a preference: truncation, decoding, duplicates."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backfire.auditing.labelled_pair import LabelledPair, Provenance
from backfire.records import Rate, digest, rate_of


@dataclass(frozen=True)
class Confounds:
    """First-version confounds; a part that the data do not speak of is None."""

    truncated_chosen: Rate | None
    """Share stopped by the token limit, among those whose stop reason is stated."""
    truncated_rejected: Rate | None
    decoding_differs: Rate | None
    """Share of pairs whose sides were decoded differently, among those that state both."""
    decoding_example: tuple[str, str] | None
    """The commonest differing pair of decodings, chosen then rejected, as JSON."""
    duplicates: int
    """Pairs that repeat an earlier one exactly."""
    contradictions: int
    """Pairs whose two responses occur with the opposite label under the same prompt."""
    repeated_prompts: int
    """Pairs whose prompt an earlier pair has."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "truncated": {
                "chosen": _rate(self.truncated_chosen),
                "rejected": _rate(self.truncated_rejected),
            },
            "decoding_differs": _rate(self.decoding_differs),
            "decoding_example": list(self.decoding_example) if self.decoding_example else None,
            "duplicates": self.duplicates,
            "contradictions": self.contradictions,
            "repeated_prompts": self.repeated_prompts,
        }


def confounds(pairs: Sequence[LabelledPair]) -> Confounds:
    """Count them. Stop reasons `length` and `max_tokens` are truncation; `given` and none say nothing."""
    decodings = Counter(
        (_canonical(p.chosen_from), _canonical(p.rejected_from))
        for p in pairs
        if p.chosen_from.decoding is not None and p.rejected_from.decoding is not None
    )
    differing = Counter({sides: n for sides, n in decodings.items() if sides[0] != sides[1]})
    seen: set[str] = set()
    prompts: set[str] = set()
    ordered: set[str] = {digest(p.prompt.id, p.chosen, p.rejected) for p in pairs}
    duplicates = contradictions = repeated = 0
    for pair in pairs:
        duplicates += pair.id in seen
        repeated += pair.prompt.id in prompts
        contradictions += digest(pair.prompt.id, pair.rejected, pair.chosen) in ordered
        seen.add(pair.id)
        prompts.add(pair.prompt.id)
    return Confounds(
        _truncated([p.chosen_from for p in pairs]),
        _truncated([p.rejected_from for p in pairs]),
        Rate(sum(differing.values()), sum(decodings.values())) if decodings else None,
        differing.most_common(1)[0][0] if differing else None,
        duplicates,
        contradictions,
        repeated,
    )


def _truncated(sides: Sequence[Provenance]) -> Rate | None:
    def verdict(side: Provenance) -> bool | None:
        if side.stop_reason is None or side.stop_reason == "given":
            return None
        return side.stop_reason in ("length", "max_tokens")

    rate = rate_of(map(verdict, sides))
    return rate if rate.scored else None


def _canonical(side: Provenance) -> str:
    return json.dumps(dict(side.decoding or {}), sort_keys=True, default=str)


def _rate(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {
        "hits": rate.hits,
        "scored": rate.scored,
        "unscored": rate.unscored,
        "rate": rate.rate,
        "low": rate.low,
        "high": rate.high,
    }
