"""The settings of a training run: frozen, checked, and written beside the weights."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from backfire.models.settings import DPO_RATE, LoRASettings, RewardOpening
from backfire.preferences.settings import Reading, roles_of
from backfire.settings import (
    Commas,
    DatasetReference,
    Default,
    FileReference,
    JudgeReference,
    Metavar,
    Prefix,
    PromptsReference,
    Settings,
)
from backfire.store.settings import PromptReading

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
Sharding = Literal["fsdp2", "zero3"]
Tracker = Literal["trackio", "wandb", "mlflow", "tensorboard", "comet_ml", "swanlab"]


class ConversationReading(Settings):
    """How a data set of conversations is read. What is not given is found by itself."""

    group = "Reading the data"

    columns: Annotated[dict[str, str] | None, Commas(), Metavar("ROLE=NAME,...")] = None
    """Which column holds what, where that is not seen by itself, such as messages=turns, or prompt=question,response=answer;
    input and system are roles, too."""
    config: Annotated[str | None, Metavar("NAME")] = None
    """The configuration of a hub data set."""
    split: Annotated[str | None, Metavar("NAME")] = None
    """The split to read of a hub data set, of a folder or of a JSON file that has several."""
    revision: Annotated[str | None, Metavar("COMMIT")] = None
    """The revision of a hub data set."""
    encoding: Annotated[str | None, Metavar("NAME")] = None
    """The encoding of a text file that is not UTF-8, such as cp1252. UTF-16 is seen by itself."""
    plain: bool = False
    """Train on plain prompts and completions as they are, without the policy's chat template."""

    _roles = field_validator("columns", mode="before")(roles_of)


class TrainingOpening(Settings):
    """How the policy that is trained is opened."""

    group = "Opening the model"

    chat_template: Annotated[FileReference | None, Metavar("FILE")] = None
    """A Jinja file that takes the place of the policy's chat template, and is saved with the trained policy."""
    device: Annotated[Literal["cpu", "cuda"] | None, Metavar("cpu|cuda")] = None
    """Where training computes. Where it is not given, a GPU is taken if there is one."""

    def on(self) -> Literal["cpu", "cuda"]:
        """The device that is meant on this machine."""
        import torch

        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")


class WatchSettings(Settings):
    """What is measured while a model is trained. Nothing is measured where no prompts, no pairs and no steps are given."""

    group = "Watching the training"

    prompts: Annotated[tuple[PromptsReference, ...], Metavar("FILE")] = ()
    """Prompts on which refusals are measured during training: a file, a published set such as advbench:50,
    organism:prompts/probe, or a file with the columns prompt, refusal and compliance. Prompts of the kind benign show needless
    refusals. Prompts of unknown kind count as harmful."""
    pairs: Annotated[DatasetReference | None, Metavar("DATA")] = None
    """Preference pairs that are not trained on, in any form that `backfire audit` reads: their log-probabilities and the reward
    accuracy on them are measured, beside those of pairs that are trained on."""
    every: Annotated[
        int | None, Metavar("STEPS"), Default("a twentieth of the steps, where anything is watched")
    ] = Field(default=None, ge=1)
    """Measure before the first step, after every so many optimizer steps, and after the last."""
    most: int = Field(default=48, ge=1)
    """Of each kind of prompts, and of the pairs that are trained on and of those that are not, so many at most."""
    samples: int = Field(default=4, ge=1)
    """Responses sampled for each prompt before the first step. The model's own refusals and compliances among them make the
    refusal margin. A file that has these columns needs none."""
    max_new_tokens: int = Field(default=48, ge=1)
    """The most tokens of a response that is sampled for a measurement."""
    judge: Annotated[JudgeReference, Metavar("JUDGE")] = "phrases"
    """Who says whether a response refuses: any judge of `backfire judge`."""
    stop_below: float | None = Field(default=None, gt=0, le=1)
    """Stop training once the share of refused harmful prompts falls below this."""
    answers_every: int = Field(default=1, ge=1, exclude_if=lambda every: every == 1)
    """Answer the prompts at every so many measurements only, and at the first and the last. The others measure margins and pairs,
    which takes less time."""
    keep_best: bool = Field(default=False, exclude_if=lambda keep: not keep)
    """Save the weights of the best step, too, in the folder `best` of the output folder. The best step is the one that refuses the
    largest share of the harmful prompts; of equal ones the one with the fewest needless refusals, and of these the last. The
    model before the first step does not count."""
    load_best: bool = Field(default=False, exclude_if=lambda load: not load)
    """Save the weights of the best step in the place of those of the last."""

    @property
    def on(self) -> bool:
        """Whether anything is measured."""
        return bool(self.prompts) or self.pairs is not None or self.every is not None

    @model_validator(mode="after")
    def _stops_by_refusals(self) -> WatchSettings:
        if self.stop_below is not None and not self.prompts:
            raise ValueError("{stop_below} looks at refusals: give {prompts}, too")
        if (self.keep_best or self.load_best) and not self.prompts:
            which = "{keep_best}" if self.keep_best else "{load_best}"
            raise ValueError(f"{which} looks at refusals: give {{prompts}}, too")
        if self.keep_best and self.load_best:
            raise ValueError("{load_best} saves the best step alone: leave out {keep_best}")
        return self


class TrainingSettings(Settings):
    """What all trainings have in common."""

    group = "Training"
    sides: ClassVar[int] = 1
    """Sequences that go through the model for each example: two for a pair."""

    lr: float = Field(gt=0)
    """Peak learning rate of AdamW."""
    epochs: float = Field(default=1.0, gt=0)
    """How many times training goes over the data."""
    batch_size: int = Field(default=8, ge=1)
    """Pairs (DPO, reward models) or conversations (SFT) per forward and backward pass, on each device."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """How many such passes are summed into one optimizer step. The effective batch is this times the batch size."""
    max_length: int | None = Field(default=1024, ge=2)
    """The most tokens that prompt and response have together. What is longer loses its end, and the end token with it;
    where the prompt alone fills it, the example is left out. Both are counted. The model's context is a limit in any
    case."""
    warmup_ratio: float = Field(default=0.1, ge=0.0, lt=1.0)
    """The share of the steps in which the learning rate rises from 0."""
    scheduler: Scheduler = "cosine"
    """How the learning rate falls afterwards."""
    weight_decay: float = Field(default=0.0, ge=0.0)
    """AdamW's decoupled weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """The norm that gradients are clipped to."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """The seed of the order of the data and of the adapter's first weights. The same seed, machine and data give the same
    losses."""
    dtype: Dtype = "auto"
    """What training computes in. `bfloat16` takes matrix products in bfloat16 and keeps weights and optimizer in float32
    (a frozen base under an adapter is held in bfloat16). `auto` is bfloat16 on a GPU that has it, and float32 elsewhere."""
    save_dtype: Literal["source", "float32"] = "source"
    """What the trained weights are saved in. `source` is what they came in. Rounding to bfloat16 undoes changes that are
    smaller than about 1 part in 500 of a weight; the log says as `update_lost` how much was lost."""
    parameters: Literal["auto", "all", "lora"] = "auto"
    """What is trained: `all` weights, or a `lora` adapter. `auto` decides by the model's size. It trains all weights where
    these, their gradients and AdamW's moments fit three times the weights and 2 GB (or the GPU). Elsewhere it trains an
    adapter, at ten times the learning rate if none was given."""
    adapter: Annotated[LoRASettings | None, Prefix("lora")] = None
    """Train a LoRA adapter instead of all weights."""
    gradient_checkpointing: bool | None = None
    """Recompute activations in the backward pass, which takes less memory and is about a third slower. Where it is not
    given, it is done where the activations do not fit."""
    sharding: Sharding | None = Field(default=None, exclude_if=lambda kind: kind is None)
    """Share the weights, their gradients and AdamW's moments among several processes, where a model does not fit one GPU: `fsdp2` by
    torch itself, `zero3` by DeepSpeed. All weights are trained then."""
    processes: Annotated[int | None, Metavar("COUNT")] = Field(
        default=None, ge=2, exclude_if=lambda count: count is None
    )
    """Train in so many processes of this machine, one for each GPU, which are started here and end with this one. Each takes the batch
    size from the examples of a step. Without `sharding` each of them holds all weights. torchrun and accelerate start processes,
    too; this is left out there."""
    checkpoint_every: Annotated[int | None, Metavar("STEPS")] = Field(
        default=None, ge=1, exclude_if=lambda every: every is None
    )
    """Save weights, optimizer and the place in the data after every so many optimizer steps, in a folder beside the output folder
    whose name ends in `.checkpoints`. The same command, run again after an interruption, goes on from there. The folder is removed
    when the output is written."""
    logging_steps: int = Field(default=1, ge=1)
    """The log gets a line every so many optimizer steps, which is a mean over them."""
    report_to: Annotated[tuple[Tracker, ...], Metavar("TRACKER")] = Field(
        default=(), exclude_if=lambda names: not names
    )
    """Send the log, and what is watched, to a tracker while training runs: trackio, wandb, mlflow, tensorboard, comet_ml or
    swanlab. It has to be installed. The run gets the name of the output folder, in the project backfire; tensorboard writes into the
    folder runs. Several may be named."""
    opening: TrainingOpening = TrainingOpening()
    """How the policy is opened."""
    watch: Annotated[WatchSettings, Prefix("watch")] = Field(
        default=WatchSettings(), exclude_if=lambda watch: watch == WatchSettings()
    )
    """What is measured while the model is trained."""

    @model_validator(mode="after")
    def _one_choice(self) -> TrainingSettings:
        if self.parameters == "all" and self.adapter is not None:
            raise ValueError("{parameters} all with an {adapter}: leave one of them out")
        return self

    @property
    def given_lr(self) -> float | None:
        """The learning rate, where one was given."""
        return self.lr if "lr" in self.model_fields_set else None

    @property
    def examples_in_batch(self) -> int:
        """Examples of one forward and backward pass, on each device."""
        return self.batch_size

    @property
    def bytes_beside(self) -> int:
        """Bytes a parameter that lie beside all weights in training, their gradients and AdamW's moments."""
        return 0

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

    sides: ClassVar[int] = 2

    lr: Annotated[float, Default("1e-06, or 1e-05 where auto trains an adapter")] = Field(
        default=DPO_RATE, gt=0
    )
    """The peak learning rate of AdamW. A model of a million parameters needs about a hundred times as much."""
    beta: float = Field(default=0.1, gt=0)
    """The strength of the pull towards the reference model. For `ipo` it is the paper's tau."""
    loss_type: LossType = "sigmoid"
    """The loss, by TRL's name. `sigmoid` is DPO's own (equation 7 of the paper)."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=0.5)
    """The share of labels that is assumed to be flipped, for the losses `robust`, `aot` and `aot_unpaired`. Another loss
    takes none."""
    reading: Reading = Reading()
    """How the pairs are read."""

    @model_validator(mode="after")
    def _smoothing_is_used(self) -> DPOSettings:
        if self.label_smoothing and self.loss_type not in SMOOTHED:
            raise ValueError(
                f"{{label_smoothing}} {self.label_smoothing:g} does nothing with {{loss_type}} {self.loss_type}: "
                f"use {{loss_type}} {', '.join(SMOOTHED)}, or leave it 0"
            )
        return self


class RewardSettings(TrainingSettings):
    """A reward model: a sequence classifier with one label, trained by the loss of Bradley and Terry (1952).

    lr is that of TRL's own script for all weights, 1e-5; under an adapter TRL takes ten times as much.
    """

    sides: ClassVar[int] = 2

    lr: Annotated[float, Default("1e-05, or 1e-04 where auto trains an adapter")] = Field(default=1e-5, gt=0)
    """The peak learning rate of AdamW. A model of a million parameters needs about a hundred times as much."""
    held_out: float = Field(default=0.1, ge=0.0, lt=1.0)
    """The share of the pairs that is not trained on. The trained model scores these pairs, and the log says how often it
    scores the chosen response higher. All pairs of a prompt, and of nearly the same prompts, stay together. 0 trains on all
    pairs."""
    centering: float = Field(default=0.0, ge=0.0)
    """The weight of the squared sum of a pair's two scores in the loss, which keeps scores around 0 (Eisenstein et al. 2023,
    equation 2). 0.01 is usual; 0 leaves it out."""
    reading: Reading = Reading()
    """How the pairs are read."""

    @model_validator(mode="after")
    def _through_the_template(self) -> RewardSettings:
        if self.reading.plain:
            raise ValueError(
                "{plain} is not for reward models: `backfire score` shows them every response through the chat template; "
                "leave it out"
            )
        if self.watch.prompts:
            raise ValueError(
                "{watch_prompts}: a reward model answers no prompts; give {watch_pairs} or {watch_every}"
            )
        return self


class SFTSettings(TrainingSettings):
    """Supervised fine-tuning on responses. lr is TRL's and the Alignment Handbook's, 2e-5."""

    lr: Annotated[float, Default("2e-05, or 2e-04 where auto trains an adapter")] = Field(default=2e-5, gt=0)
    """The peak learning rate of AdamW. A model of a million parameters needs about a hundred times as much."""
    reading: ConversationReading = ConversationReading()
    """How the conversations are read."""


class RLOOSettings(TrainingSettings):
    """REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024): RLHF on a policy's own responses, by a reward model.

    lr, beta and temperature are TRL's (1e-6, 0.05, 1.0); four responses to each prompt are the paper's larger setting.
    """

    lr: Annotated[float, Default("1e-06, or 1e-05 where auto trains an adapter")] = Field(
        default=DPO_RATE, gt=0
    )
    """The peak learning rate of AdamW. A model of a million parameters needs about a hundred times as much."""
    batch_size: int = Field(default=8, ge=1)
    """Prompts of one optimizer step, on each device. Each of them gets as many responses as `generations` says."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """The prompts of one step are so many times the batch size. All responses of a step are sampled before it."""
    generations: int = Field(default=4, ge=2)
    """Responses that are sampled to each prompt. A response counts as good as its reward lies above the mean reward of the
    others to the same prompt."""
    steps: int | None = Field(default=None, ge=1)
    """How many optimizer steps are done, in the place of `epochs`."""
    max_new_tokens: int = Field(default=256, ge=1)
    """The most tokens of a sampled response. One that reaches them is cut, and scored as it is."""
    temperature: float = Field(default=1.0, gt=0)
    """The temperature of sampling. The log-probabilities in the loss are taken at the same temperature."""
    beta: float = Field(default=0.05, ge=0)
    """The strength of the pull towards the starting policy: so much of the KL term, log p(response) under the policy less that
    under the starting policy, is taken off each reward. 0 leaves it out, and no starting policy is kept in memory."""
    max_length: int | None = Field(default=1024, ge=2)
    """The most tokens that prompt and response have together. A prompt that leaves less than `max_new_tokens` for its response
    is left out and counted. The model's context is a limit in any case."""
    reward: Annotated[RewardOpening, Prefix("reward")] = RewardOpening()
    """How the reward model is opened."""
    reading: PromptReading = PromptReading()
    """How the prompts are read."""

    @property
    def examples_in_batch(self) -> int:
        return self.batch_size * self.generations

    @property
    def bytes_beside(self) -> int:
        return 4 if self.beta else 0

    @model_validator(mode="after")
    def _leaves_space_for_a_prompt(self) -> RLOOSettings:
        if self.max_length is not None and self.max_new_tokens >= self.max_length:
            raise ValueError(
                f"{{max_new_tokens}} {self.max_new_tokens} leaves nothing of {{max_length}} {self.max_length} for a prompt: lower "
                "the one, or raise the other"
            )
        return self
