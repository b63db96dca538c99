"""Faults of single texts: how a side ends, whether it repeats its prompt, which kinds of personal data a row holds; and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.texts import ENDINGS, PERSONAL, cut_ends, echo_mask, personal_data

SIDES = ("chosen", "rejected")
PARTS = ("prompt", *SIDES)


@dataclass(frozen=True)
class TextFaults:
    """Of every pair."""

    endings: NDArray[np.bool_]
    """[pairs, 2, len(texts.ENDINGS)]: in which ways either side is cut."""
    echoes: NDArray[np.bool_]
    """[pairs, 2]: whether either side repeats its prompt's last turn."""
    personal: NDArray[np.bool_]
    """[pairs, 3, len(texts.PERSONAL)]: kinds of personal data of prompt, chosen and rejected."""
    scores: NDArray[np.float64]
    """[pairs, 2]: what a column of scores gives either side; NaN where none is recorded."""

    def subset(self, places: NDArray[np.int64]) -> TextFaults:
        """Fewer pairs, by their indices."""
        return TextFaults(
            self.endings[places], self.echoes[places], self.personal[places], self.scores[places]
        )


def text_faults(batch: pa.RecordBatch, last_turns: pa.Array) -> TextFaults:
    """Those of a block of `preferences.SCHEMA`; last_turns: what the user said last in each prompt."""
    sides = [batch[side] for side in SIDES]
    return TextFaults(
        endings=np.stack([cut_ends(side) for side in sides], axis=1),
        echoes=np.stack([echo_mask(last_turns, side) for side in sides], axis=1),
        personal=np.stack([personal_data(batch[part]) for part in PARTS], axis=1),
        scores=np.stack(
            [batch[f"{side}_score"].to_numpy(zero_copy_only=False).astype(np.float64) for side in SIDES],
            axis=1,
        ),
    )


def joined(blocks: Sequence[TextFaults]) -> TextFaults:
    """Those of several blocks, one after the other."""
    nothing = TextFaults(
        np.zeros((0, 2, len(ENDINGS)), dtype=bool),
        np.zeros((0, 2), dtype=bool),
        np.zeros((0, 3, len(PERSONAL)), dtype=bool),
        np.zeros((0, 2)),
    )
    every = [nothing, *blocks]
    return TextFaults(
        np.concatenate([one.endings for one in every]),
        np.concatenate([one.echoes for one in every]),
        np.concatenate([one.personal for one in every]),
        np.concatenate([one.scores for one in every]),
    )
