"""What one pass over a data set leaves in memory: numbers of every pair, and the text of a sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.auditing.packed_flags import PackedFlags
from backfire.auditing.text_faults import TextFaults
from backfire.judges.deciding import COMPLY, REFUSE, UNDECIDED

__all__ = ["COMPLY", "KINDS", "REFUSE", "UNDECIDED", "AuditedPairs", "Coded", "Ints", "Keys"]

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

KINDS = ("unknown", "harmful", "benign")
"""Kinds of prompts, by their code."""


@dataclass(frozen=True)
class Coded:
    """A column of either side as numbers: `codes` [pairs, 2] (chosen, rejected) into `names`; -1 where not stated."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    def known(self) -> NDArray[np.bool_]:
        """Pairs that state it for both sides: [pairs]."""
        both: NDArray[np.bool_] = np.all(self.codes >= 0, axis=1)
        return both


@dataclass(frozen=True)
class AuditedPairs:
    """Every usable pair, in the data set's order. Where both sides are stacked, chosen ones come first: [2 * pairs]."""

    rows: Ints
    """Row number in the data set, from 1."""
    earlier_rows: Ints | None
    """[pairs]: the other row of each pair, where pairs are made of two (KTO); None where one row gives a pair."""
    groups: Ints
    """Prompt group of each pair, numbered from 0: pairs of one prompt, or of nearly the same one, or with the same sides."""
    kinds: NDArray[np.int8]
    """Codes into KINDS."""
    decisions: NDArray[np.int8]
    """[pairs, 2]: REFUSE, COMPLY or UNDECIDED, chosen then rejected."""
    judge: str
    """Who said so."""
    reasons: Coded
    """Why a side is undecided; -1 where it is decided."""
    languages: Coded
    """The ISO 639-1 codes of sides in other languages than English; -1 for English."""
    thinks: NDArray[np.bool_]
    """[pairs, 2]: which sides hold thoughts before their answer."""
    cues: NDArray[np.float32]
    """[2 * pairs, len(texts.CUES)]."""
    debris: PackedFlags
    """[2 * pairs] of texts.DEBRIS."""
    prompt_marks: PackedFlags
    """[pairs] of texts.TEMPLATE_MARKS: marks of chat templates in the prompts."""
    faults: TextFaults
    sources: Coded
    stops: Coded
    decodings: Coded
    prompt_keys: Keys
    """Of the whole prompt, letter case and white space aside (`texts.text_keys`)."""
    last_turn_keys: Keys
    """Of the prompt's last user turn, the same way and without a wrapper such as [INST]: what evaluation sets are compared with."""
    near_prompts: Ints
    """Clusters of nearly the same prompt: [pairs]."""
    prompt_signatures: NDArray[np.uint32] | None
    """`texts.signatures` of the prompts, where they are to be compared with another set's."""
    side_keys: Keys
    """[pairs, 2]: of each response, byte for byte."""
    near_sides: Ints | None
    """[pairs, 2]: clusters of nearly the same response; None for large sets, where they are not looked for."""
    sample: Ints
    """Indices of the pairs whose text is kept, ascending: all of a small set, else whole groups drawn by their content."""
    text: pa.Table
    """`preferences.SCHEMA` rows of `sample`."""

    @property
    def pairs(self) -> int:
        return len(self.rows)

    def decides_alike(self) -> NDArray[np.bool_]:
        """Pairs whose two sides make the same, known, decision: [pairs]."""
        same: NDArray[np.bool_] = (self.decisions[:, 0] == self.decisions[:, 1]) & (
            self.decisions[:, 0] != UNDECIDED
        )
        return same

    def subset(self, places: Ints) -> AuditedPairs:
        """Fewer pairs, by ascending indices that include the sample's."""
        sides = np.concatenate([places, places + self.pairs])
        return replace(
            self,
            rows=self.rows[places],
            earlier_rows=None if self.earlier_rows is None else self.earlier_rows[places],
            groups=self.groups[places],
            kinds=self.kinds[places],
            decisions=self.decisions[places],
            reasons=Coded(self.reasons.codes[places], self.reasons.names),
            languages=Coded(self.languages.codes[places], self.languages.names),
            thinks=self.thinks[places],
            cues=self.cues[sides],
            debris=self.debris.take(sides),
            prompt_marks=self.prompt_marks.take(places),
            faults=self.faults.subset(places),
            sources=Coded(self.sources.codes[places], self.sources.names),
            stops=Coded(self.stops.codes[places], self.stops.names),
            decodings=Coded(self.decodings.codes[places], self.decodings.names),
            prompt_keys=self.prompt_keys[places],
            last_turn_keys=self.last_turn_keys[places],
            near_prompts=self.near_prompts[places],
            prompt_signatures=None if self.prompt_signatures is None else self.prompt_signatures[places],
            side_keys=self.side_keys[places],
            near_sides=None if self.near_sides is None else self.near_sides[places],
            sample=np.searchsorted(places, self.sample),
        )
