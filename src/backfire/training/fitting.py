"""What of a policy is trained, and how many pairs go through it at a time, so that the run fits: by arithmetic, before it.

All weights take 16 bytes a parameter: float32 weights, their gradient and AdamW's two moments (18 where the 16-bit weights
that they came as are kept to say what rounding loses, and 4 more for the starting policy of RLOO). A LoRA adapter takes 4, the
float32 weights, and little more. What remains below the ceiling (`models.memory`) is for what the layers keep of a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from backfire.models.memory import GIGABYTE, LEAST, PROGRAM, Shape, available, ceiling
from backfire.models.settings import LoRASettings, rate_of
from backfire.training.settings import DPOSettings, TrainingSettings
from backfire.training.sharding import processes

if TYPE_CHECKING:
    from backfire.training.policy import Policy

ALL_BYTES, KEPT_BYTES, LORA_BYTES = 16, 2, 4
HALF = 2
"""Bytes of a number that is computed with."""
WHOLE_BATCHES = ("aot", "aot_unpaired", "bco_pair")
"""Losses that compare the pairs of a batch, which therefore cannot be cut into portions."""


WIDER = 2
"""What an adapter keeps beside each linear layer, and TRL of its head, as a multiple; of SmolLM2, 3.0 GB were seen without."""


class Share(NamedTuple):
    """Bytes in each of the processes that share a training, by what they are for."""

    weights: int
    gradients: int
    moments: int
    """AdamW's."""
    reference: int
    """Of RLOO, the starting policy. DPO reads it before training, by the weights that are trained then."""
    gathered: int
    """What a pass collects of other processes: a layer that computes and the next one, a layer's gradient, the embeddings and the head."""

    @property
    def together(self) -> int:
        return sum(self)


def in_each(shape: Shape, count: int, *, reference: bool = False) -> Share:
    """What each of `count` processes holds where all weights are trained in 16 bits and shared by FSDP2 or ZeRO-3.

    The head is collected in float32, with its gradient, since TRL reads it beside the model's own forward pass.
    """
    embedded = shape.vocabulary * shape.hidden
    layer = max(0, shape.parameters - 2 * embedded) // shape.layers
    each = 4 * shape.parameters // count
    gathered = layer * (2 * HALF + HALF + 4) + embedded * (HALF + 8)
    return Share(each, each, 2 * each, each if reference else 0, gathered)


class Portions(NamedTuple):
    """How a batch goes through the model."""

    at_once: int
    """Pairs or conversations; a divisor of the batch."""
    passes: int
    """Of so many, to the optimizer's step."""
    recompute: bool
    """Whether layers are computed again in the backward pass."""


def fitted(settings: TrainingSettings, model: Any) -> tuple[TrainingSettings, str]:
    """The settings with `parameters` resolved to all or lora, and why, where that was not said."""
    if settings.adapter is not None or settings.parameters == "lora":
        adapter = settings.adapter or LoRASettings()
        return settings.model_copy(update={"adapter": adapter, "parameters": "lora"}), ""
    if settings.parameters == "all" or settings.sharding is not None:
        return settings.model_copy(update={"parameters": "all"}), ""
    shape = Shape.of(model)
    if trains_all(settings, shape.parameters):
        return settings.model_copy(update={"parameters": "all"}), ""
    needed, most = _all_bytes(settings) * shape.parameters, _meant_for_all(settings, shape.parameters)
    rate = rate_of(settings.given_lr, settings.lr, adapter_by_auto=True)
    chosen = {"adapter": LoRASettings(), "parameters": "lora", "lr": rate}
    why = (
        f"a LoRA adapter is trained, at lr {rate:g}: all {shape.parameters / 1e6:,.0f} million weights with gradients and "
        f"AdamW's moments take {needed / GIGABYTE:.1f} GB, and {max(0, most) / GIGABYTE:.1f} GB are meant for them here; "
        "parameters all trains them all the same"
    )
    return settings.model_copy(update=chosen), why


def trains_all(settings: TrainingSettings, parameters: int) -> bool:
    """Whether all weights of a model of so many numbers are trained, as the settings say or `auto` decides."""
    if settings.adapter is not None or settings.parameters == "lora":
        return False
    return settings.parameters == "all" or _all_bytes(settings) * parameters <= _meant_for_all(
        settings, parameters
    )


def _meant_for_all(settings: TrainingSettings, parameters: int) -> int:
    """Bytes that training all weights may take."""
    free = _free(settings)
    return ceiling(parameters) - PROGRAM - LEAST if free is None else free


def portions(settings: TrainingSettings, policy: Policy, longest: int) -> Portions:
    """Cut a batch into portions that fit, each with its gradient; sums over them are the batch's.

    longest: tokens of the longest side or conversation that is trained on.
    """
    batch, steps = settings.examples_in_batch, settings.gradient_accumulation
    shape = Shape.of(policy.model)
    weights = weight_bytes(settings, shape)
    free = _free(settings)
    left = max(2 * LEAST, (ceiling(shape.parameters) - PROGRAM if free is None else free) - weights)
    tokens = longest * settings.sides
    recompute = settings.gradient_checkpointing
    if recompute is None:
        recompute = tokens * shape.with_gradients > left
    each = WIDER * tokens * (shape.checkpointed if recompute else shape.with_gradients)
    at_once = max(n for n in range(1, batch + 1) if batch % n == 0 and (n == 1 or n * each <= left))
    if isinstance(settings, DPOSettings) and settings.loss_type in WHOLE_BATCHES:
        at_once = batch
    return Portions(at_once, steps * (batch // at_once), recompute)


def weight_bytes(settings: TrainingSettings, shape: Shape) -> int:
    """Bytes of the weights in one process, and of what lies beside each while it is trained; an adapter's own are few."""
    if settings.sharding is not None:
        return in_each(shape, processes(), reference=bool(settings.bytes_beside)).together
    return shape.bytes if settings.adapter is not None else _all_bytes(settings) * shape.parameters


def _all_bytes(settings: TrainingSettings) -> int:
    """Bytes a parameter where all weights are trained."""
    return ALL_BYTES + KEPT_BYTES + settings.bytes_beside


def _free(settings: TrainingSettings) -> int | None:
    """Four fifths of what a GPU has free; None on a CPU, where the ceiling counts."""
    if settings.opening.on() == "cpu":
        return None
    free = available("cuda")
    return None if free is None else free * 4 // 5
