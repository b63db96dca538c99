"""The answer of an audit, as an object and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backfire.auditing.conclusion import Conclusion
from backfire.auditing.confounds import Confounds
from backfire.auditing.contrast import SafetyContrast
from backfire.auditing.labelled_pair import Defect
from backfire.auditing.separability import Rung
from backfire.auditing.sources import SourceLeak

INTERVAL = (
    "95%: variance of held-out scores clustered by prompt (DeLong influence values), widened near chance for the"
    " refitting of the probe; Wilson at the effective sample size"
)


@dataclass(frozen=True)
class AuditReport:
    """What the label of a preference data set encodes. `render` in `auditing.table` draws it."""

    dataset: str
    format: str
    rows: int
    pairs: int
    """Usable pairs that were audited."""
    left_out: int
    """Usable pairs beyond `max_pairs`."""
    prompts: int
    """Groups of pairs that share a prompt."""
    defects: tuple[Defect, ...]
    separability: tuple[Rung, ...]
    decision_matched: tuple[Rung, ...]
    """The rungs again on pairs whose two sides make the same refuse-or-comply decision, told by refusal phrases; without
    the n-grams where there are many pairs."""
    source_leak: SourceLeak | None
    confounds: Confounds
    safety_contrast: SafetyContrast
    conclusion: Conclusion
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    """What the time went into. Not part of `as_dict`, so that equal data give equal JSON."""

    def defects_by_kind(self) -> dict[str, list[int]]:
        """Row numbers of the rows left out, by kind."""
        kinds: dict[str, list[int]] = {}
        for defect in self.defects:
            kinds.setdefault(defect.kind, []).append(defect.row)
        return kinds

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; numbers unrounded. Parts that were not measured are left out, undefined numbers null."""
        found: dict[str, Any] = {
            "schema": 1,
            "dataset": self.dataset,
            "format": self.format,
            "rows": self.rows,
            "pairs": self.pairs,
            "left_out": self.left_out,
            "prompts": self.prompts,
            "defects": [
                {"kind": kind, "count": len(rows), "rows": rows}
                for kind, rows in self.defects_by_kind().items()
            ],
            "separability": [rung.as_dict() for rung in self.separability],
            "decision_matched": [rung.as_dict() for rung in self.decision_matched],
        }
        if self.source_leak is not None:
            found["source_leak"] = self.source_leak.as_dict()
        found["confounds"] = self.confounds.as_dict()
        found["safety_contrast"] = self.safety_contrast.as_dict()
        found["conclusion"] = self.conclusion.as_dict()
        found["interval"] = INTERVAL
        found["settings"] = dict(self.settings)
        return found
