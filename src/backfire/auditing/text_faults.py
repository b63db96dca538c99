"""Faults of single texts: how a side ends, whether it repeats its prompt, which kinds of personal data a row holds; scores and votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.auditing.packed_flags import PackedFlags
from backfire.texts import ENDINGS, PERSONAL, cut_ends, echo_mask, personal_data

SIDES = ("chosen", "rejected")
PARTS = ("prompt", *SIDES)
VOTED = (*SIDES, "tied")


@dataclass(frozen=True)
class TextFaults:
    """Of every pair."""

    endings: PackedFlags
    """[pairs, 2] of texts.ENDINGS: in which ways either side is cut."""
    echoes: NDArray[np.bool_]
    """[pairs, 2]: whether either side repeats its prompt's last turn."""
    personal: PackedFlags
    """[pairs, 3] of texts.PERSONAL: kinds of personal data of prompt, chosen and rejected."""
    scores: NDArray[np.float64] | None
    """[pairs, 2]: what a column of scores gives either side, NaN where it is empty; None where no pair has scores."""

    votes: NDArray[np.float64] | None = None
    """[pairs, 3]: how many people preferred chosen, rejected and neither, NaN where no votes are recorded; None where there are
    none of any pair."""

    def subset(self, places: NDArray[np.int64]) -> TextFaults:
        """Fewer pairs, by their indices."""
        return TextFaults(
            self.endings.take(places),
            self.echoes[places],
            self.personal.take(places),
            None if self.scores is None else self.scores[places],
            None if self.votes is None else self.votes[places],
        )


def text_faults(batch: pa.RecordBatch, last_turns: pa.Array) -> TextFaults:
    """Those of a block of `preferences.SCHEMA`; last_turns: what the user said last in each prompt."""
    sides = [batch[side] for side in SIDES]
    return TextFaults(
        endings=PackedFlags.of(np.stack([cut_ends(side) for side in sides], axis=1)),
        echoes=np.stack([echo_mask(last_turns, side) for side in sides], axis=1),
        personal=PackedFlags.of(np.stack([personal_data(batch[part]) for part in PARTS], axis=1)),
        scores=_numbers(batch, [f"{side}_score" for side in SIDES]),
        votes=_numbers(batch, [f"{whose}_votes" for whose in VOTED]),
    )


def _numbers(batch: pa.RecordBatch, names: Sequence[str]) -> NDArray[np.float64] | None:
    """[pairs, columns], NaN for null; None where all of them are null."""
    columns = [batch[name] for name in names]
    if all(one.null_count == len(one) for one in columns):
        return None
    return np.stack([one.to_numpy(zero_copy_only=False).astype(np.float64) for one in columns], axis=1)


def joined(blocks: Sequence[TextFaults]) -> TextFaults:
    """Those of several blocks, one after the other."""
    nothing = TextFaults(
        PackedFlags.of(np.zeros((0, 2, len(ENDINGS)), dtype=bool)),
        np.zeros((0, 2), dtype=bool),
        PackedFlags.of(np.zeros((0, 3, len(PERSONAL)), dtype=bool)),
        None,
    )
    every = [nothing, *blocks]
    return TextFaults(
        PackedFlags.joined([one.endings for one in every]),
        np.concatenate([one.echoes for one in every]),
        PackedFlags.joined([one.personal for one in every]),
        _joined_numbers([(len(one.echoes), one.scores) for one in blocks], len(SIDES)),
        _joined_numbers([(len(one.echoes), one.votes) for one in blocks], len(VOTED)),
    )


def _joined_numbers(
    blocks: Sequence[tuple[int, NDArray[np.float64] | None]], columns: int
) -> NDArray[np.float64] | None:
    """blocks: of each its pairs, and their numbers where it has any."""
    if all(numbers is None for _, numbers in blocks):
        return None
    return np.concatenate(
        [np.full((pairs, columns), np.nan) if numbers is None else numbers for pairs, numbers in blocks]
    )
