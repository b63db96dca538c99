"""One thing to do next, as the advice of an audit says it."""

from __future__ import annotations

from dataclasses import dataclass

from backfire.answers.conclusion import Effect
from backfire.auditing.conclusion.count_words import pairs_text


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    do: str
    """One sentence, with the command."""
    more: str = ""
    """What else is to be said of it."""

    def __str__(self) -> str:
        return f"{self.do} {self.more}".strip()


def pairs_touched(effect: Effect) -> str:
    """How many pairs an effect touches, in words."""
    return pairs_text(effect.pairs.hits) if effect.pairs else "pairs"
