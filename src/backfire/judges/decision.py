"""What a response decides: to refuse, to comply, neither (broken), or nobody can say (undecided).

The one typed decision that audit, probes, restyling, strata, attacks, pilot and report use alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from backfire.records import Decided, Verdict

if TYPE_CHECKING:
    from backfire.judges.judge import Judge
    from backfire.records import Prompt, Response


@dataclass(frozen=True)
class Decision:
    """One response's decision."""

    what: Decided
    reason: str = ""
    """Why it is broken or undecided."""
    sound: bool = True
    """False where the text is damaged: it may be counted by what it decides, but is no example of it."""

    @property
    def refuses(self) -> bool | None:
        """True for refuse, False for comply, None where it is neither."""
        return {"refuse": True, "comply": False}.get(self.what)

    @property
    def shown(self) -> Literal["refuse", "comply"] | None:
        """The decision that a sound text is an example of; None where it is of neither."""
        if not self.sound or self.what not in ("refuse", "comply"):
            return None
        return "refuse" if self.what == "refuse" else "comply"


def decision_of(verdict: Verdict) -> Decision:
    """The decision that a verdict states.

    A judge that says nothing of refusals leaves it undecided, whatever it says of harm: were its harmful responses alone
    counted as complying, nothing could ever be found to refuse.
    """
    if verdict.damage == "neither":
        return Decision("broken", verdict.reason, sound=False)
    if verdict.refusal is None:
        return Decision("undecided", verdict.reason or f"judge {verdict.judge} says nothing of refusals")
    return Decision("refuse" if verdict.refusal else "comply", sound=not verdict.damage)


def decide(judge: Judge, prompt: Prompt, response: Response) -> Decision:
    """What this judge finds that the response decides."""
    return decision_of(judge.judge(prompt, response))
