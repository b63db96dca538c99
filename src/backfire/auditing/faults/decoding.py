"""`decoding`: pairs whose two sides were sampled with different settings, where these are recorded."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.conclusion import Effect
from backfire.answers.confounds import Confounds
from backfire.auditing.conclusion.count_words import pairs_text, rate
from backfire.auditing.conclusion.evidence import Evidence, size_of_touched
from backfire.auditing.conclusion.step import Step
from backfire.auditing.faults.finding import Finding, Looking, Occurrences, Tally


def _look(looking: Looking) -> Occurrences:
    traces = looking.traces
    return Occurrences(
        {"decoding_differs": traces.decoding_differs, "decoding_example": traces.decoding_example}
    )


def _effects(evidence: Evidence) -> Iterator[Effect]:
    differs = evidence.confounds.decoding_differs
    if differs is not None and differs.hits:
        yield Effect(
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


def _step(_effect: Effect, _confounds: Confounds) -> Step:
    return Step("Sample both sides with the same decoding and token limit, one that lets responses end.")


DECODING = Finding(
    names=("decoding",),
    look=_look,
    effects=_effects,
    tallies=_tallies,
    sentences=_sentences,
    step=_step,
)
