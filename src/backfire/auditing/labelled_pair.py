"""What an audit reads: one usable row of a preference data set, and the rows that were not usable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from backfire.records import Kind, Prompt, digest

DefectKind = Literal[
    "undecodable",
    "wrong type",
    "missing side",
    "blank side",
    "identical sides",
    "differing prompts",
    "no final assistant turn",
]


@dataclass(frozen=True)
class Provenance:
    """What a data set says of one side; None where it does not say."""

    source: str | None = None
    """Who wrote it."""
    stop_reason: str | None = None
    """`length` is truncated."""
    decoding: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class LabelledPair:
    """One prompt with the response that was preferred and the one that was not."""

    row: int
    """Where it stood: row number in the data set, counted from 1; line number in a JSONL file."""
    prompt: Prompt
    chosen: str
    rejected: str
    kind: Kind | None = None
    chosen_from: Provenance = Provenance()
    rejected_from: Provenance = Provenance()

    @cached_property
    def id(self) -> str:
        return digest("labelled-pair", self.prompt.id, self.chosen, self.rejected)


@dataclass(frozen=True)
class Defect:
    """A row that was left out, and why."""

    row: int
    kind: DefectKind
