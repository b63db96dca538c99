"""How long chosen and rejected responses are, and how much of the label their length alone tells."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backfire.answers.conclusion import SideLengths
from backfire.answers.estimates import Estimate
from backfire.auditing.affected import CHOSEN, REJECTED, Affected
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
    places = np.flatnonzero(hits)
    rows = audited.rows[places]
    order = np.argsort(rows, kind="stable")
    return Affected(
        "length",
        rows[order],
        sides=np.full(len(rows), CHOSEN if longer else REJECTED, dtype=np.int8),
        details=tuple(f"{words[0, i]:.0f} words against {words[1, i]:.0f}" for i in places[order].tolist()),
    )


def _lengths(unit: Literal["words", "tokens"], values: NDArray[np.float64], split: Split) -> SideLengths:
    chosen, rejected = values[: split.pairs], values[split.pairs :]
    longer, shorter = int(np.count_nonzero(chosen > rejected)), int(np.count_nonzero(chosen < rejected))
    size, low, high, _ = effect(values, split)
    return SideLengths(
        unit=unit,
        chosen=float(np.median(chosen)),
        rejected=float(np.median(rejected)),
        longer=share(longer, longer + shorter, split.pairs - longer - shorter),
        effect=Estimate(value=size, low=low, high=high),
        pairwise=None if too_few(split) else pairwise_alone(values, split),
    )
