"""What a prediction will take, before it begins: tokens by arithmetic, times a speed that is measured on a few of them.

The unit is a token that goes once forward through all blocks. A backward pass costs two of it for all weights, and about one for an
adapter; a response is generated at the speed of SOME answers of a few tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from backfire.answers.influence import PredictionCost
from backfire.influence.margins import Contrast, Encoded, encode, side_logps
from backfire.influence.parameters import SEEDS, chosen_parameters
from backfire.influence.pilot import ANSWER_TOKENS
from backfire.influence.pilot_outcome import LARGE, MOST_PROBES
from backfire.influence.predictors.projection_difference import OWN_TOKENS
from backfire.influence.probe_sets import ProbeSets
from backfire.influence.probes import SAMPLES, SAMPLING
from backfire.influence.settings import PilotSettings, PredictorName, StatesSettings
from backfire.models.memory import GIGABYTE, Shape, ceiling
from backfire.models.work import OF_LONGEST, time_text
from backfire.records import Decoding, PairBody, Prompt, Request

if TYPE_CHECKING:
    from backfire.models import LocalModel

OWN: PredictorName = "projection-difference"
"""The predictor for which responses are generated."""
LOOKED_AT = 16
"""Pairs whose tokens are counted, and some of which are read to measure the speed."""
READ = 4
"""Pairs that are read for the speed."""
ASKED = 8
"""Prompts that are answered for the speed of generation, TOKENS tokens each."""
TOKENS = 8
BACKWARD = 2.0
"""A backward pass in forward passes."""


@dataclass(frozen=True)
class Planned:
    """What is to be done."""

    pairs: Sequence[PairBody]
    """Of which the answer is; a sample of them is looked at."""
    others: int
    """Further pairs that get a value each."""
    prompts: Sequence[Prompt]
    """To which probes are sampled; none where they are finished."""
    probes: int
    """Prompts that may give a probe."""
    predictors: Sequence[PredictorName]
    parameters: str
    pilot: PilotSettings | None
    own_answers: int = 0
    """Prompts that are answered for the projection difference."""

    @classmethod
    def of(
        cls,
        pairs: Sequence[PairBody],
        others: int,
        source: Sequence[Prompt] | ProbeSets,
        *,
        states: StatesSettings,
        parameters: str,
        pilot: PilotSettings | None,
    ) -> Planned:
        """source: prompts that probes are sampled for, or finished probes."""
        answered = len({prompt.id for prompt, _, _ in pairs}) if OWN in states.names else 0
        return cls(
            pairs,
            others,
            () if isinstance(source, ProbeSets) else source,
            len(source.refusal.probes if isinstance(source, ProbeSets) else source),
            states.names,
            parameters,
            pilot,
            0 if states.own_answers is not None else answered,
        )


@dataclass
class Price:
    """What is known of the cost; `cost` has the seconds once the prediction is done."""

    cost: PredictionCost


@contextmanager
def priced(
    model: LocalModel,
    planned: Planned,
    announce: Callable[[str], None] | None,
    *,
    plain: bool,
    max_length: int | None,
) -> Iterator[Price]:
    """Around a prediction: what it will take is announced before it, and what it took is known after it."""
    price = Price(expected_cost(model, planned, plain=plain, max_length=max_length))
    if announce is not None:
        announce(cost_text(price.cost))
    started = perf_counter()
    yield price
    price.cost = price.cost.model_copy(update={"seconds": perf_counter() - started})


def expected_cost(
    model: LocalModel, planned: Planned, *, plain: bool, max_length: int | None
) -> PredictionCost:
    """Seconds and memory by arithmetic. It reads a few pairs twice and has a few prompts answered."""
    shape = Shape.of(model.model)
    of_pair, seconds = _reading(model, planned.pairs, plain, max_length)
    each_generated = _generating(model, planned.prompts or [prompt for prompt, _, _ in planned.pairs])
    of_probe = 2.0 * (SAMPLES * 0.5) * OF_LONGEST * SAMPLING.max_new_tokens / 2
    sampled = len(planned.prompts) * SAMPLES * OF_LONGEST * SAMPLING.max_new_tokens
    generated = sampled + planned.own_answers * OF_LONGEST * OWN_TOKENS
    count = len(planned.pairs)
    read = (count + planned.others) * of_pair * _depth(planned.predictors) + planned.probes * of_probe
    if planned.parameters != "none":
        how = chosen_parameters(model) if planned.parameters == "auto" else planned.parameters
        passes = 1 + BACKWARD * (SEEDS / 2 if how == "lora" else 1)
        read += (count * of_pair + planned.probes * of_probe) * passes
        read += planned.others * of_pair * (passes if how == "lora" else 2)
        read += 0 if how == "lora" else 2 * count * of_pair
    if planned.pilot is not None:
        of_margins = min(planned.probes, MOST_PROBES) if shape.parameters >= LARGE else planned.probes
        taken = planned.pilot.steps * planned.pilot.batch_size
        read += taken * of_pair * (2 + BACKWARD)
        read += of_margins * of_probe * (2 if shape.parameters >= LARGE else planned.pilot.steps + 1)
        generated += planned.probes * 2 * OF_LONGEST * ANSWER_TOKENS
    return PredictionCost(
        expected_seconds=float(read * seconds + generated * each_generated),
        expected_bytes=ceiling(shape.parameters),
        tokens_read=int(read),
        tokens_generated=int(generated),
    )


def cost_text(cost: PredictionCost) -> str:
    """A sentence for whoever waits."""
    time, memory = time_text(cost.expected_seconds), f"{cost.expected_bytes / GIGABYTE:.1f} GB"
    return (
        f"the prediction will take about {time} and up to {memory} of memory: {cost.tokens_read:,} tokens to read (backward "
        f"passes counted as reading) and {cost.tokens_generated:,} to generate"
    )


def _depth(predictors: Sequence[PredictorName]) -> float:
    """Which part of the blocks is read: the block of refusing is not known yet, and lies in the middle of most models."""
    return 1.0 if "ches" in predictors else 0.6 if predictors else 0.0


def _reading(
    model: LocalModel, pairs: Sequence[PairBody], plain: bool, max_length: int | None
) -> tuple[float, float]:
    """Tokens of a pair, both sides together, and seconds a token."""
    places = np.linspace(0, len(pairs) - 1, num=min(LOOKED_AT, len(pairs)), dtype=np.int64)
    some = [pairs[i] for i in places]
    contrasts = [Contrast(prompt, (chosen,), (rejected,)) for prompt, chosen, rejected in some]
    encoded = encode(model, contrasts, plain=plain, max_length=max_length)
    few = encoded.subset(np.arange(min(READ, encoded.count)))
    side_logps(model, few)
    started = perf_counter()
    side_logps(model, few)
    taken = perf_counter() - started
    return _tokens(encoded) / max(1, int(encoded.usable.sum())), taken / max(1, _tokens(few))


def _generating(model: LocalModel, prompts: Sequence[Prompt]) -> float:
    """Seconds a token that is generated, several prompts at a time."""
    decoding = Decoding(max_new_tokens=TOKENS, temperature=1.0)
    fitting = [
        prompt
        for prompt in prompts[:ASKED]
        if model.context is None or model.prompt_lengths([prompt])[0] + TOKENS <= model.context
    ]
    if not fitting:
        return 0.0
    requests = [Request(p, model.id, model.template_digest, decoding, 0, 0) for p in fitting]
    started = perf_counter()
    replies = model.generate(requests)
    return (perf_counter() - started) / max(1, sum(reply.tokens or 0 for reply in replies))


def _tokens(encoded: Encoded) -> int:
    return sum(len(ids) for ids, _ in encoded.rows)
