"""The first step of an audit: the pairs are read, a sample is taken where fewer are asked for, and folds are dealt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from backfire.auditing.audited_pairs import AuditedPairs, Ints
from backfire.auditing.inputs import Inputs
from backfire.auditing.probes.folds import Split, make_split, too_few
from backfire.auditing.settings import AuditSettings
from backfire.auditing.steps import Steps
from backfire.auditing.text_pass import collect
from backfire.auditing.text_sample import SAMPLE_PAIRS, first_prompts
from backfire.errors import InputError
from backfire.preferences import DefectKind, Preferences, no_pairs


@dataclass(frozen=True)
class PairsRead:
    """The audited pairs and the folds that every probe shares."""

    data: Preferences
    audited: AuditedPairs
    split: Split
    usable: int
    """Pairs that the data set gives: more than are audited where `max_pairs` asks for fewer."""
    places: Ints | None
    """Where the audited pairs stand among the usable ones, ascending; None where all of them are audited."""

    @property
    def too_few(self) -> str | None:
        """Why no probe can be fitted on these pairs; None where one can."""
        return too_few(self.split)

    @property
    def left_out(self) -> dict[DefectKind, int]:
        """Rows that give no pair, by what is wrong with them."""
        return {kind: len(rows) for kind, rows in self.data.defects.items()}

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """The text of the audited pairs, read anew."""
        if self.places is None:
            yield from self.data.blocks()
            return
        start = 0
        for block in self.data.blocks():
            low, high = np.searchsorted(self.places, [start, start + len(block)])
            if high > low:
                yield block.take(pa.array(self.places[low:high] - start))
            start += len(block)


def read(inputs: Inputs, settings: AuditSettings, steps: Steps) -> PairsRead:
    """Read the pairs once.

    Raises InputError where no row gives a pair.
    """
    most = settings.max_pairs
    with steps.step("reading", 5):
        audited = collect(
            inputs.data.blocks(),
            judge=inputs.judge,
            sample=SAMPLE_PAIRS if most is None else min(SAMPLE_PAIRS, most),
            keep_signatures=inputs.overlap is not None,
        )
        usable = audited.pairs
        if not usable:
            raise InputError(no_pairs(inputs.data))
        places = None
        if most is not None and usable > most:
            places = first_prompts(audited.prompt_keys, most)
            audited = audited.subset(places)
    split = make_split(audited.groups, folds=settings.folds, controls=settings.controls, seed=settings.seed)
    return PairsRead(inputs.data, audited, split, usable, places)
