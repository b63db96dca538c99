"""A pilot's outcome for the answer: what a few steps did to the probes, with intervals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any

from backfire.answers.estimates import Estimate
from backfire.answers.influence import PilotOutcome
from backfire.influence.pilot import run_pilot
from backfire.influence.probes import ProbeSet
from backfire.influence.settings import PilotSettings
from backfire.influence.stored_parts import StoredParts
from backfire.models.memory import Shape
from backfire.models.settings import MAX_LENGTH
from backfire.records import PairBody
from backfire.statistics import paired_difference
from backfire.statistics.clusters import mean_of_clusters

LARGE = 50_000_000
"""Parameters from which on margins are read before and after alone, and of MOST_PROBES: reading costs more than a step. All prompts
are asked all the same: the interval of refusals depends on how many there are."""
MOST_PROBES = 64

if TYPE_CHECKING:
    from backfire.judges.judge import Judge
    from backfire.models import LocalModel


def piloted(
    model: LocalModel,
    conversations: Sequence[PairBody],
    probes: ProbeSet,
    settings: PilotSettings,
    parameters: str,
    judge: Judge | None,
    seed: int,
    plain: bool = False,
    max_length: int | None = MAX_LENGTH,
    stored: StoredParts | None = None,
) -> PilotOutcome:
    """`run_pilot` with intervals over the probe prompts: Student's of the mean margin change, a paired one of refusals.

    stored: where the outcome is kept, and taken from where the same pilot was run before.
    """
    of = [
        settings.model_dump(mode="json"),
        parameters,
        seed,
        "" if judge is None else judge.id,
        plain,
        max_length,
    ]
    of += [
        [[prompt.id, repr(chosen), repr(rejected)] for prompt, chosen, rejected in conversations],
        probes.digest,
    ]

    def compute() -> dict[str, Any]:
        outcome = _piloted(model, conversations, probes, settings, parameters, judge, seed, plain, max_length)
        return outcome.model_dump(mode="json")

    outcome = (stored or StoredParts()).record(["pilot of all prompts", *of], model, compute)
    return PilotOutcome.model_validate_json(json.dumps(outcome))


def _piloted(
    model: LocalModel,
    conversations: Sequence[PairBody],
    probes: ProbeSet,
    settings: PilotSettings,
    parameters: str,
    judge: Judge | None,
    seed: int,
    plain: bool,
    max_length: int | None,
) -> PilotOutcome:
    from backfire.judges import PhraseJudge

    started = perf_counter()
    pilot = run_pilot(
        model,
        conversations,
        probes,
        steps=settings.steps,
        lr=settings.given_lr,
        beta=settings.beta,
        batch_size=settings.batch_size,
        **reading_of_probes(model, settings.steps),
        parameters=parameters,
        lora=settings.lora,
        judge=PhraseJudge() if judge is None else judge,
        seed=seed,
        plain=plain,
        max_length=max_length,
    )
    margin = mean_change(pilot.changes)
    chosen, rejected = (mean_change([of_pair[side] for of_pair in pilot.moved]) for side in (0, 1))
    both = [(a, b) for a, b in pilot.refused if a is not None and b is not None]
    gained, lost = sum(b and not a for a, b in both), sum(a and not b for a, b in both)
    moved = None
    if both:
        change, lowest, highest = paired_difference(gained, lost, len(both))
        moved = Estimate(value=change, low=lowest, high=highest)
    return PilotOutcome(
        steps=settings.steps,
        pairs=min(len(conversations), settings.steps * settings.batch_size),
        lr=pilot.lr,
        beta=settings.beta,
        batch_size=settings.batch_size,
        margins=pilot.margins,
        margin_change=margin,
        margin_probes=len(pilot.changes),
        refused_before=sum(a for a, _ in both) / len(both) if both else None,
        refused_after=sum(b for _, b in both) / len(both) if both else None,
        refusal_change=moved,
        chosen_change=chosen,
        rejected_change=rejected,
        trained=pilot.trained,
        seconds=perf_counter() - started,
        tokens_trained=pilot.tokens.trained,
        tokens_read=pilot.tokens.read,
        tokens_generated=pilot.tokens.generated,
        scored=len(both),
        unscored=len(pilot.refused) - len(both),
    )


def reading_of_probes(model: LocalModel, steps: int) -> dict[str, Any]:
    """How often a pilot reads margins, and of how many probes, as keywords of `run_pilot`."""
    if Shape.of(model.model).parameters < LARGE:
        return {"every": 1}
    return {"every": steps, "most_probes": MOST_PROBES}


def mean_change(changes: Sequence[float]) -> Estimate | None:
    """Student's interval of the mean, over those that are numbers; None for fewer than two."""
    finite = [change for change in changes if isfinite(change)]
    if len(finite) < 2:
        return None
    mean, low, high = mean_of_clusters(finite)
    return Estimate(value=mean, low=low, high=high)
