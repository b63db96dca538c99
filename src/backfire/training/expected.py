"""How much work a training is, by arithmetic before it (`models.work`); what is watched is not counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backfire.models.memory import PROGRAM, Shape, ceiling
from backfire.models.work import OF_LONGEST, TRAINED, WRITTEN, Announce, Expected
from backfire.training.fitting import weight_bytes
from backfire.training.settings import DPOSettings, RLOOSettings, TrainingSettings
from backfire.training.sharding import processes

if TYPE_CHECKING:
    from backfire.training.log import Examples
    from backfire.training.policy import Policy


def training_tokens(settings: TrainingSettings, examples: float, each: float) -> float:
    """Tokens that go once forward in a training on so many examples of so many tokens each (both sides of a pair; of RLOO a
    prompt)."""
    if not isinstance(settings, RLOOSettings):
        references = 1 if isinstance(settings, DPOSettings) else 0
        return examples * each * (TRAINED * settings.epochs + references)
    of_step = settings.batch_size * settings.gradient_accumulation
    steps = settings.steps or -(-examples // of_step) * settings.epochs
    written = OF_LONGEST * settings.max_new_tokens
    read = (each + written) * (TRAINED + 2) + WRITTEN * written
    return steps * of_step * settings.generations * read


def announce_training(
    settings: TrainingSettings, policy: Policy, examples: Examples, announce: Announce | None
) -> None:
    """Say how long it will take and how much memory, where it takes long."""
    if announce is None:
        return
    each = examples.tokens / max(1, examples.trained)
    tokens = training_tokens(settings, examples.trained / processes(), each)
    shape = Shape.of(policy.model)
    expected = Expected.of_weights(shape.parameters, tokens, policy.device)
    most = max(ceiling(shape.parameters), PROGRAM + weight_bytes(settings, shape))
    watching = ", without what is watched," if settings.watch.on else ""
    Expected(expected.seconds, most).announce(
        f"training {'an adapter' if settings.adapter is not None else 'all weights'} on {examples.trained:,} examples{watching}",
        announce,
    )
