"""A log of another tool: what each sample was asked, what the model answered, and how that was scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LoggedSample:
    """One sample of a log."""

    id: str
    epoch: int
    """Which repetition of the sample this is, from 1."""
    asked: str
    """A digest of what the sample asks, by which the same sample of two logs is found."""
    turns: Sequence[Mapping[str, Any]]
    """The request, as turns with `role` and `content`."""
    response: str | None
    """None where there is no response in words."""
    problem: str
    """Why there is no response; empty where there is one."""
    scores: Mapping[str, float | None]
    """By the score's name; None is unscored."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What else the log says of the sample."""


@dataclass(frozen=True)
class SampleLog:
    """One log, of one task and one model."""

    path: Path
    tool: str
    task: str
    model: str
    samples: Sequence[LoggedSample]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What has to be the same for a comparison, as far as the log says."""
    not_numbers: Mapping[str, int] = field(default_factory=dict)
    """Scores that are no single number, such as lists, with how many samples have one. They are not in `scores`."""
    attack: Mapping[str, Any] | None = None
    """What backfire wrote of the attack whose log this is; None in every other log."""

    def by_key(self) -> dict[str, LoggedSample]:
        """The samples by what they ask. Where several ask the same, their ids tell them apart; repetitions are numbered."""
        several = Counter((one.asked, one.epoch) for one in self.samples)
        repeated = max((one.epoch for one in self.samples), default=1) > 1
        keys = {}
        for one in self.samples:
            key = one.asked if several[one.asked, one.epoch] == 1 else f"{one.asked}/{one.id}"
            keys[f"{key}#{one.epoch}" if repeated else key] = one
        return keys
