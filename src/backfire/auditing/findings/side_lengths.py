"""How long chosen and rejected responses are, and how much of the label their length alone tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from backfire.answers.conclusion import SideLengths
from backfire.auditing.affected import CHOSEN, REJECTED, Affected, at_places, in_order
from backfire.auditing.audited_pairs import AuditedPairs, Ints
from backfire.auditing.findings.cue_scan import effect
from backfire.auditing.findings.pairwise_alone import pairwise_alone
from backfire.auditing.probes.folds import Split, too_few
from backfire.auditing.probes.uncertainty import share
from backfire.texts import CUES

WORDS = next(index for index, cue in enumerate(CUES) if cue.name == "words")


def words_of_sides(audited: AuditedPairs) -> NDArray[np.float64]:
    """How many words each response has: [2 * pairs]; the cue holds their logarithm."""
    counts: NDArray[np.float64] = np.rint(np.expm1(audited.cues[:, WORDS].astype(np.float64)))
    return counts


def side_lengths(audited: AuditedPairs, split: Split, tokens: Ints | None) -> tuple[SideLengths, ...]:
    """In words, and in a policy's tokens where they are given: [pairs, 2], chosen then rejected."""
    lengths = [_lengths("words", words_of_sides(audited), split)]
    if tokens is not None and len(tokens) == audited.pairs:
        lengths.append(_lengths("tokens", tokens.T.ravel().astype(np.float64), split))
    return tuple(lengths)


def affected_by_length(audited: AuditedPairs, lengths: SideLengths) -> Affected:
    """The pairs whose chosen response is the longer one; the shorter one, where that is commoner."""
    words = words_of_sides(audited).reshape(2, -1)
    longer = lengths.longer.hits * 2 >= lengths.longer.scored
    hits = words[0] > words[1] if longer else words[0] < words[1]
    places = in_order(np.flatnonzero(hits), audited)
    return at_places(
        "length",
        places,
        audited,
        sides=np.full(len(places), CHOSEN if longer else REJECTED, dtype=np.int8),
        details=_Words(words[:, places].astype(np.int32)),
    )


class _Words(Sequence[str]):
    """How many words either side of each pair has; the texts are made where one is asked for."""

    def __init__(self, words: NDArray[np.int32]) -> None:
        """words: [2, pairs]."""
        self._words = words

    def __len__(self) -> int:
        return int(self._words.shape[1])

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> _Words: ...
    def __getitem__(self, place: int | slice) -> str | _Words:
        if isinstance(place, slice):
            return _Words(self._words[:, place])
        return f"{self._words[0, place]} words against {self._words[1, place]}"


def _lengths(unit: Literal["words", "tokens"], values: NDArray[np.float64], split: Split) -> SideLengths:
    chosen, rejected = values[: split.pairs], values[split.pairs :]
    longer, shorter = int(np.count_nonzero(chosen > rejected)), int(np.count_nonzero(chosen < rejected))
    return SideLengths(
        unit=unit,
        chosen=float(np.median(chosen)),
        rejected=float(np.median(rejected)),
        longer=share(longer, longer + shorter, split.pairs - longer - shorter),
        effect=effect(values, split)[0],
        pairwise=None if too_few(split) else pairwise_alone(values, split),
    )
