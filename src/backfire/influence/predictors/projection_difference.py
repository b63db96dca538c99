"""Projection difference (persona vectors, arXiv 2507.21509): chosen responses less the policy's own answers to the same prompts.

The mean over prompts of [a(x, chosen) - a(x, own answer)] . v / |v|^2, v being the direction of refusing that the activation contrast
goes by. Rejected responses have no part in it: it asks how far the data would pull the policy from where it is now.

Own answers are those that were given, then what the probes hold of the same prompt, then greedy answers of OWN_TOKENS tokens at most.
Where several are known of a prompt, their mean is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from backfire.influence.margins import Contrast, encode
from backfire.influence.predictors.along_refusing import along_refusing, line_of, sentence_of
from backfire.influence.predictors.predictor import Measured, Numbers, Predictor
from backfire.influence.predictors.readings import Pairs, Readings, SideStates, StatesOf, reduced
from backfire.records import Completion, Decoding, Prompt

OWN_TOKENS = 64
"""The most tokens of an own answer that is sampled here."""


def _wants(readings: Readings) -> list[StatesOf]:
    return [StatesOf(readings.block.number)]


def _reduce(sides: SideStates) -> Numbers:
    (of,) = (of for of in sides.states if of.pool == "mean")
    return {"chosen": sides.states[of][:, 0]}


def _conclude(readings: Readings, pairs: Numbers, others: Numbers) -> Measured:
    prompts = {contrast.prompt.id: contrast.prompt for contrast in readings.pairs.contrasts}
    answers = known_answers(readings)
    lacking = [prompt for key, prompt in prompts.items() if key not in answers]
    answers |= _sampled(readings, lacking)
    further: Sequence[Contrast] = [] if readings.others is None else readings.others.contrasts
    asked_of = {**prompts, **{contrast.prompt.id: contrast.prompt for contrast in further}}
    own = _states_of_answers(readings, {key: p for key, p in asked_of.items() if key in answers}, answers)
    nothing = np.full(pairs["chosen"].shape[1], np.nan, dtype=np.float32)

    def less_own(chosen: NDArray[np.floating], contrasts: Sequence[Contrast]) -> NDArray[np.floating]:
        if not contrasts:
            return chosen
        less: NDArray[np.floating] = chosen - np.array([own.get(c.prompt.id, nothing) for c in contrasts])
        return less

    return along_refusing(
        readings,
        less_own(pairs["chosen"], readings.pairs.contrasts),
        less_own(others["chosen"], further),
    )


def known_answers(readings: Readings) -> dict[str, tuple[Completion, ...]]:
    """The policy's own answers by prompt id: those that were given, and what it said to probe prompts of the same id."""
    answers: dict[str, tuple[Completion, ...]] = {}
    for probed in readings.probes.values():
        for probe in probed.probe_set.probes:
            if probe.how == "sampled":
                answers.setdefault(probe.prompt.id, (*probe.toward, *probe.away))
    return {**answers, **(readings.own_answers or {})}


def _sampled(readings: Readings, prompts: list[Prompt]) -> dict[str, tuple[Completion, ...]]:
    """A greedy answer to each prompt that fits."""
    if not prompts:
        return {}
    from backfire.responses import sample

    decoding = Decoding(max_new_tokens=OWN_TOKENS, temperature=0.0)
    with readings.parts_stored.ledger() as ledger:
        sampled = sample(readings.model, prompts, ledger=ledger, n=1, decoding=decoding, seed=0)
    return {response.prompt_id: (response.text,) for response in sampled.responses}


def _states_of_answers(
    readings: Readings, prompts: Mapping[str, Prompt], answers: Mapping[str, tuple[Completion, ...]]
) -> dict[str, NDArray[np.floating]]:
    """The mean state of each prompt's own answers, at the block that is read."""
    contrasts = [Contrast(prompt, answers[key], ()) for key, prompt in prompts.items()]
    if not contrasts:
        return {}
    of = StatesOf(readings.block.number)
    encoded = encode(readings.model, contrasts, plain=readings.plain, max_length=readings.max_length)
    states = reduced(
        readings.model,
        Pairs(contrasts, encoded),
        [of],
        lambda sides: {"own": sides.states[of][:, 0]},
        "own answers",
        readings.parts_stored,
    )
    return dict(zip(prompts, states["own"], strict=True))


PROJECTION_DIFFERENCE = Predictor(
    "projection-difference",
    what="projection difference",
    highest="kept",
    sign="<",
    meaning="the whole interval of the projection difference lies below X, from -1 to 1: chosen responses are nearer to the policy's"
    " compliances than its own answers to the same prompts",
    wants=_wants,
    reduce=_reduce,
    conclude=_conclude,
    line=lambda predicted: line_of(predicted, "chosen less the policy's own answers"),
    sentences=lambda predicted: sentence_of(
        predicted, "Chosen responses and the policy's own answers", "its own answers to the same prompts"
    ),
)
