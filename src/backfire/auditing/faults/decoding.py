"""`decoding`: pairs whose two sides were sampled with different settings, where these are recorded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backfire.answers.confounds import Confounds
from backfire.answers.estimates import Share
from backfire.auditing.audited_pairs import Coded
from backfire.auditing.conclusion.commands import Effected
from backfire.auditing.conclusion.count_words import pairs_text, rate
from backfire.auditing.conclusion.evidence import Evidence, size_of_touched
from backfire.auditing.conclusion.step import Step
from backfire.auditing.faults.finding import Finding, Looking, Occurrences, Tally
from backfire.auditing.probes.uncertainty import share


def _look(looking: Looking) -> Occurrences:
    differs, example = _decoding(looking.audited.decodings)
    return Occurrences({"decoding_differs": differs, "decoding_example": example})


def _decoding(decodings: Coded) -> tuple[Share | None, tuple[str, str] | None]:
    known = decodings.known()
    if not known.any():
        return None, None
    codes = decodings.codes[known]
    apart = codes[codes[:, 0] != codes[:, 1]]
    differs = share(len(apart), len(codes), len(known) - len(codes))
    if not len(apart):
        return differs, None
    combinations, counts = np.unique(apart, axis=0, return_counts=True)
    best = min(
        zip(-counts, combinations, strict=True),
        key=lambda e: (e[0], decodings.names[e[1][0]], decodings.names[e[1][1]]),
    )[1]
    return differs, (decodings.names[best[0]], decodings.names[best[1]])


def _effects(evidence: Evidence) -> Iterator[Effected]:
    differs = evidence.confounds.decoding_differs
    if differs is not None and differs.hits:
        yield Effected.of(
            name="decoding",
            what=f"The two sides of {pairs_text(differs.hits)} ({rate(differs)}) were decoded differently.",
            pairs=differs,
            **size_of_touched(differs),
        )


def _tallies(confounds: Confounds) -> Iterator[Tally]:
    if confounds.decoding_differs is not None:
        example = confounds.decoding_example
        beside = () if example is None else (f"commonest: chosen {example[0]}, rejected {example[1]}",)
        yield Tally("the two sides were decoded differently", pairs=confounds.decoding_differs, beside=beside)


def _sentences(confounds: Confounds) -> Iterator[str]:
    if confounds.decoding_differs is not None and confounds.decoding_differs.hits:
        yield f"{rate(confounds.decoding_differs)} of pairs were decoded differently on their two sides."


def _step(_effect: Effected, _confounds: Confounds) -> Step:
    return Step("Sample both sides with the same decoding and token limit, one that lets responses end")


DECODING = Finding(
    names=("decoding",),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
)
