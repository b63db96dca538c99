"""What a training run is told: frozen, validated, and written beside the weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from backfire.settings import Prefix, Settings

LossType = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "robust",
    "apo_zero",
    "apo_down",
    "sppo_hard",
    "nca_pair",
    "bco_pair",
    "aot",
    "aot_unpaired",
    "discopop",
    "sigmoid_norm",
]
SMOOTHED = ("robust", "aot", "aot_unpaired")
"""The losses in which TRL uses `label_smoothing`; in the others it would change nothing."""
Scheduler = Literal["cosine", "linear", "constant", "constant_with_warmup"]
Dtype = Literal["auto", "float32", "bfloat16"]


class LoRASettings(Settings):
    """A low-rank adapter (Hu et al. 2021), made by PEFT; the base weights stay as they are."""

    group = "Training an adapter"

    r: int = Field(default=16, ge=1)
    """Rank of the update."""
    alpha: int = Field(default=32, ge=1)
    """The update is scaled by alpha / r."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout before the adapter while training. TRL switches it off for DPO, as it does all dropout."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Names of the linear layers that get an adapter; `all-linear` is every one but the output layer."""


class TrainingSettings(Settings):
    """What DPO and SFT have in common."""

    group = "Training"

    lr: float = Field(gt=0)
    """Peak learning rate of AdamW."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the data."""
    batch_size: int = Field(default=8, ge=1)
    """Pairs (DPO) or conversations (SFT) per forward and backward pass, on each device."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Passes summed into one optimizer step: the effective batch is this times `batch_size`."""
    max_length: int | None = Field(default=1024, ge=2)
    """Tokens of prompt and response together. Longer ones lose their end, the end token with it, and are
    counted; those whose prompt alone fills it are left out, and counted. The model's context is a limit in any case."""
    warmup_ratio: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the steps in which the learning rate rises from 0."""
    scheduler: Scheduler = "cosine"
    """How the learning rate falls afterwards."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    """AdamW's decoupled weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seeds the order of the data and the adapter's first weights. Same seed, machine and data: same losses."""
    dtype: Dtype = "auto"
    """`float32`; or `bfloat16`: matrix products in bfloat16, weights and optimizer in float32 (a frozen base
    under an adapter is held in bfloat16). `auto`: bfloat16 on a GPU that has it, float32 elsewhere."""
    save_dtype: Literal["source", "float32"] = "source"
    """What the trained weights are saved in: `source`, what they came in. Mind that rounding to bfloat16 undoes
    changes smaller than about 1 part in 500 of a weight; the log says how much was lost (`update_lost`)."""
    parameters: Literal["auto", "all", "lora"] = "auto"
    """What is trained: `all` weights, a `lora` adapter, or by arithmetic on the model's size `auto`: all weights where
    these, their gradients and AdamW's moments fit three times the weights and 2 GB (or the GPU), else an adapter, at ten
    times the learning rate if none was given."""
    adapter: Annotated[LoRASettings | None, Prefix("lora")] = None
    """Train this LoRA adapter instead of all weights."""
    gradient_checkpointing: bool | None = None
    """Recompute activations in the backward pass: less memory, about a third slower. None: where they do not fit."""
    logging_steps: int = Field(default=1, ge=1)
    """Write a line of the log every so many optimizer steps; each is a mean over them."""

    @model_validator(mode="after")
    def _one_choice(self) -> TrainingSettings:
        if self.parameters == "all" and self.adapter is not None:
            raise ValueError("{parameters} all with an {adapter}: leave one of them out")
        return self

    @property
    def trains(self) -> str:
        """What is trained, as `influence.parameters` names it."""
        return "lora" if self.adapter is not None else self.parameters


class DPOSettings(TrainingSettings):
    """Direct Preference Optimization (Rafailov et al. 2023).

    lr, beta, batch size and max_length default to TRL's (1e-6, 0.1, 8, 1,024); one epoch, cosine and a
    warm-up of 0.1 to the Alignment Handbook's recipes (which take lr 5e-7). They suit models of billions of
    parameters; one of a million needs about a hundred times the learning rate.
    """

    lr: float = Field(default=1e-6, gt=0)
    """Peak learning rate of AdamW."""
    beta: float = Field(default=0.1, gt=0)
    """Strength of the pull towards the reference model; for `ipo` it is the paper's tau."""
    loss_type: LossType = "sigmoid"
    """TRL's name of the loss; `sigmoid` is DPO's own (equation 7)."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Assumed share of flipped labels, for `robust`, `aot` and `aot_unpaired`; refused with another loss."""

    @model_validator(mode="after")
    def _smoothing_is_used(self) -> DPOSettings:
        if self.label_smoothing and self.loss_type not in SMOOTHED:
            raise ValueError(
                f"{{label_smoothing}} {self.label_smoothing:g} does nothing with {{loss_type}} {self.loss_type}: "
                f"use {{loss_type}} {', '.join(SMOOTHED)}, or leave it 0"
            )
        return self


class SFTSettings(TrainingSettings):
    """Supervised fine-tuning on responses. lr is TRL's and the Alignment Handbook's, 2e-5."""

    lr: float = Field(default=2e-5, gt=0)
    """Peak learning rate of AdamW."""
