"""How far a study is: which stages of each cell are done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CellStanding:
    """One cell."""

    label: str
    folder: str
    """The name of its folder below `cells/`."""
    done: Mapping[str, bool | None]
    """Whether each of its artifacts is done, by verb; None where it has none."""


@dataclass(frozen=True)
class StudyStanding:
    """A study in its run folder."""

    name: str
    folder: str
    cells: tuple[CellStanding, ...]
    shared: Mapping[str, bool]
    """Whether the stages that several cells share are done, by name."""
    stages: int
    done: int
    """Of all stages."""
