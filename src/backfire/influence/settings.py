"""The settings of influence and of a pilot, and what the audit and studies have in common that ask for one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from backfire.models.settings import DPO_RATE, MAX_LENGTH, LoRASettings, MaxLength
from backfire.preferences.settings import Reading
from backfire.settings import Commas, Default, FileReference, Metavar, Names, Prefix, Settings


class PilotSettings(Settings):
    """A few steps of DPO in memory, in the settings of the training that is meant; the defaults are those of `DPOSettings`."""

    group = "The pilot"

    steps: Annotated[int, Names("--pilot"), Metavar("STEPS"), Default("no pilot")] = Field(default=8, ge=1)
    """Also take this many steps of DPO on the data, in memory, and see how often the probe prompts are refused
    afterwards. 8 is a good start. On small synthetic models, eight steps ordered data sets much as whole trainings changed
    attack success. Whether the direction of the first step does as well is not known."""
    lr: Annotated[float, Default("1e-06, or 1e-05 where auto trains an adapter")] = Field(
        default=DPO_RATE, gt=0
    )
    """The pilot's learning rate: that of the training you mean. AdamW keeps it constant, without a warm-up, so that a
    pilot's few steps count in full. What is given is taken as it is. Where none is given and an adapter is chosen because
    the whole model does not fit, it is ten times the default, as in `train dpo`."""
    beta: float = Field(default=0.1, gt=0)
    """The pilot's strength of DPO's pull towards the reference model."""
    batch_size: int = Field(default=32, ge=1)
    """Pairs in each of the pilot's steps."""
    lora: Annotated[LoRASettings | None, Prefix("lora")] = None
    """The adapter that the pilot trains: that of the training you mean. Where it is not given, and an adapter is trained, it is that
    of `train dpo` at its defaults."""

    @property
    def given_lr(self) -> float | None:
        """The learning rate, where one was given."""
        return self.lr if "lr" in self.model_fields_set else None

    def options(self) -> dict[str, Any]:
        """The same as keywords of `run_pilot`."""
        return {**self.model_dump(), "lr": self.given_lr, "lora": self.lora}


PredictorName = Literal["activation-contrast", "projection-difference", "ches"]
"""Predictors by hidden states (`influence.predictors`)."""
USUAL: tuple[PredictorName, ...] = ("activation-contrast", "ches")
"""What is read where nothing else is said: no response is generated for them."""


class StatesSettings(Settings):
    """What is predicted by hidden states, which takes forward passes only."""

    group = "Prediction by hidden states"

    predictors: Annotated[tuple[PredictorName, ...] | None, Commas(), Metavar("NAME,...")] = None
    """What is read of the policy's hidden states, in one pass over the pairs. activation-contrast: how much nearer chosen responses are
    to the policy's refusals than rejected ones. projection-difference: the same of chosen responses and the policy's own answers.
    ches: how alike the two sides look to the policy, since training on like sides can make both less likely. Where it is not
    given, it is activation-contrast and ches, and projection-difference if own_answers are given."""
    own_answers: Annotated[FileReference | None, Metavar("FILE")] = None
    """The policy's own answers to the prompts of the pairs, for projection-difference: the ledger of `backfire sample`, or a file of
    prompts and responses. Other prompts are answered anew, with up to 64 tokens each."""
    cache: Annotated[Path | None, Metavar("FOLDER")] = None
    """Store in this folder what has been computed, so that a prediction that was interrupted goes on where it was. It may be deleted
    at any time."""

    @property
    def names(self) -> tuple[PredictorName, ...]:
        """The predictors that are read."""
        if self.predictors is not None:
            return self.predictors
        return USUAL if self.own_answers is None else (*USUAL, "projection-difference")

    @model_validator(mode="after")
    def _answers_are_used(self) -> StatesSettings:
        if self.own_answers is not None and "projection-difference" not in self.names:
            raise ValueError("{own_answers} are for projection-difference: name it in {predictors}, too")
        return self


FEWEST_PAIRS = 30
"""Fewer pairs give no direction."""


def pilot_of(value: Any) -> Any:
    """A number of steps as a pilot's settings, and no steps as None; anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"steps": value} if value else None
    return None if isinstance(value, Mapping) and no_steps(value) and len(value) == 1 else value


def no_steps(pilot: Mapping[str, Any]) -> bool:
    """Whether the pilot is given no steps; on the command line the number is a text."""
    return pilot.get("steps") in (None, 0, "0")


class InfluenceSettings(Settings):
    """How the influence of pairs on refusals is measured, and the pilot beside it."""

    parameters: Annotated[str, Metavar("all|lora|none|PATTERN|auto")] = "auto"
    """The parameters that will be trained, whose gradients are compared: `all`, `lora`, `auto` or a regular expression of
    names. `none` takes no gradients, and predicts by hidden states alone."""
    pairs: Annotated[int, Metavar("N")] = Field(default=1_000, ge=FEWEST_PAIRS)
    """The direction is estimated on a random sample of at most so many pairs. In a study every pair gets a value of its own in any case."""
    beta: float = Field(default=0.1, gt=0)
    """DPO's beta, for what the first step is projected to do to margins."""
    precondition: Literal["adam"] | None = None
    """`adam` takes inner products as Adam's second moment would."""
    states: StatesSettings = StatesSettings()
    """What is predicted by hidden states."""
    pilot: Annotated[PilotSettings | None, Prefix("pilot")] = None
    """A few steps of DPO beside it: `{steps: 8}`, or the number alone. Left out, there is none."""
    max_length: MaxLength = MAX_LENGTH
    """Tokens of prompt and response together in the training that is meant: pairs are read as they are cut there. 0 sets no
    bound but the model's context."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """The seed of the sample of pairs and of the probes."""
    reading: Reading = Reading()
    """How the data set is read."""

    _so_many_steps = field_validator("pilot", mode="before")(pilot_of)
