"""One thing to do next, as the advice of an audit says it."""

from __future__ import annotations

from dataclasses import dataclass

from backfire.auditing.conclusion.commands import Command, Effected
from backfire.auditing.conclusion.count_words import pairs_text


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    do: str
    """One sentence without its full stop; the command follows it, where there is one."""
    command: Command | None = None
    """What does it."""
    more: str = ""
    """What else is to be said of it."""

    @property
    def sentence(self) -> str:
        """What to do, with the command."""
        run = "" if self.command is None else f": `{self.command}`"
        return f"{self.do}{run}."

    def __str__(self) -> str:
        return f"{self.sentence} {self.more}".strip()

    @property
    def changes_data(self) -> bool:
        """Whether its command writes another data set."""
        return self.command is not None and self.command.changes_data


def pairs_touched(one: Effected) -> str:
    """How many pairs an effect touches, in words."""
    return pairs_text(one.effect.pairs.hits) if one.effect.pairs else "pairs"
