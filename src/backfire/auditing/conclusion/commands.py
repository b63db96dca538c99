"""The commands that an audit advises, as typed values; the line that a user copies is made of one in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from backfire.answers.conclusion import Effect
from backfire.repairing.settings import Filter, Repair, RepairCall
from backfire.settings import Settings, command_line

DATASET = "DATASET"
"""Stands in commands for data that are no file."""
MODEL, LEDGER = "MODEL", "LEDGER"
"""Stand in commands for what only the user knows."""


@dataclass(frozen=True)
class Command:
    """A command of backfire on a data set."""

    verb: Literal["audit", "convert", "repair"]
    dataset: str
    settings: Settings | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    """What it writes, by the option that names it."""

    def __str__(self) -> str:
        return command_line(self.verb, [self.dataset], self.settings, self.outputs)

    @property
    def changes_data(self) -> bool:
        """Whether it writes another data set, in which what was found is another."""
        return self.verb != "audit"

    @property
    def method(self) -> Repair | None:
        """The method of a repair, with its options."""
        return self.settings.how if isinstance(self.settings, RepairCall) else None

    @property
    def leaves_out_the_easiest(self) -> bool:
        """Whether it leaves out the pairs that are told apart most easily."""
        return isinstance(self.method, Filter) and self.method.by == "ease"


@dataclass(frozen=True)
class Effected:
    """An effect with the command that removes it, where there is one."""

    effect: Effect
    command: Command | None = None

    @classmethod
    def of(cls, command: Command | None = None, **fields: Any) -> Effected:
        """The effect of these fields; its `fix` is the command's line."""
        return cls(Effect(**fields, fix=None if command is None else str(command)), command)

    def resized(self, size: float) -> Effected:
        """The same with another size."""
        low = min(size, self.effect.low)
        return Effected(self.effect.model_copy(update={"size": size, "low": low}), self.command)
