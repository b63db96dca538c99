"""What a repair gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backfire.answers.conclusion import Input
from backfire.answers.in_notebooks import InNotebooks
from backfire.repairing.choosing import Choice, Prediction

if TYPE_CHECKING:
    from backfire.answers import AuditReport


@dataclass(frozen=True)
class Repaired(InNotebooks):
    """What was written, and what it was before and after."""

    folder: Path
    """The folder of pairs, or the file of rows that stayed as they were."""
    pairs: int
    changed: Mapping[str, int]
    """Pairs by what happened to them: kept, response rewritten, response cut, response trimmed, re-paired, labels switched, added,
    left out."""
    influence: tuple[Prediction, Prediction] | None
    """Mean influence before and after, where values are known of both; rewritten pairs have none."""
    choice: Choice | None
    """Of `auto`: the ladder and the step taken."""
    before: AuditReport | None
    after: AuditReport | None
    without_pair: Mapping[str, int]
    """Rows of the given data set that gave no pair, by what is wrong with them."""
    input: Input
    """What was read: its rows, and the digest of its pairs."""
    output: Input
    """What was written, likewise: what an audit of it says as `input`."""
    left_out: Mapping[str, tuple[int, ...]]
    """Row numbers of the given pairs that are not in the new set, by reason."""
