"""The settings of `audit` and of `show`: frozen, checked, and documented by the docstring under each field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from backfire.influence.settings import PilotSettings, StatesSettings, no_steps, pilot_of
from backfire.models.settings import MAX_LENGTH, MaxLength, Opening, TokensOpening
from backfire.preferences.settings import Reading
from backfire.settings import (
    Commas,
    DatasetReference,
    EmbedderReference,
    Group,
    JudgeReference,
    Metavar,
    ModelReference,
    Names,
    PromptsReference,
    Settings,
    one_or_several,
)

FEWEST_PAIRS = 30
"""Fewer pairs give no number."""
FEWEST_CONTROLS = 199
"""With fewer swaps no p below 0.01 can be seen."""
MEASURING = Group("Measuring")
PHRASES = "phrases"
MOST_TOPICS = 200
"""Topics that can be asked for."""
MOST_SHOWN = 50
"""Pairs that are shown at once."""


class AuditSettings(Settings):
    """What the label of a preference data set encodes, before anything is trained on it."""

    policy: Annotated[ModelReference | None, Metavar("MODEL")] = None
    """The model to be trained. It adds a probe of the model's hidden states and how likely the model finds either side."""
    policy_pairs: Annotated[int, Metavar("N")] = Field(default=1_000, ge=FEWEST_PAIRS)
    """This many pairs, drawn at random, go through the policy at most."""
    max_length: MaxLength = MAX_LENGTH
    """Tokens of prompt and response together in the training that is meant: the policy reads pairs as they are cut there.
    0 sets no bound but the model's context."""
    probe_prompts: Annotated[tuple[PromptsReference, ...], Metavar("PROMPTS")] = ()
    """Harmful requests that are not in the data (a file, a published set such as advbench:100, or
    organism:prompts/probe), and benign ones if over-refusal is to
    be seen; several can be given. They predict where training on the data moves refusals. A policy is needed."""
    parameters: Annotated[str, Metavar("all|lora|PATTERN|auto|none")] = "auto"
    """Which parameters will be trained, for the prediction by probe prompts: all, lora, a regular expression of their names,
    or auto. With none no gradients are taken: the prediction then goes by hidden states alone, which takes forward passes only,
    and by a pilot, if one is asked for."""
    states: StatesSettings = StatesSettings()
    """What is predicted by hidden states."""
    pilot: PilotSettings | None = None
    """A few steps of DPO from the policy, to see what becomes of the probe prompts; a number stands for so many steps."""
    embedder: Annotated[EmbedderReference | None, Names("--embeddings"), Metavar("MODEL")] = None
    """A sentence-embedding model. It adds a probe of the vectors that it gives the responses."""
    reading: Reading = Reading()
    """How the data set is read."""
    overlap_with: Annotated[DatasetReference | None, Group(Reading.group), Metavar("DATASET")] = None
    """A second data set, such as the test split, whose prompts should not be in the first. It is read as the first is, but
    for columns that it lacks."""
    overlap_split: Annotated[str | None, Group(Reading.group), Metavar("NAME")] = None
    """The split to read of the second data set."""
    max_pairs: Annotated[int | None, Group(Reading.group), Metavar("N")] = Field(
        default=None, ge=FEWEST_PAIRS
    )
    """Audit a random sample of at most this many pairs: whole prompts, drawn by their content."""
    judge: Annotated[JudgeReference, MEASURING, Metavar("NAME")] = PHRASES
    """Who says whether a response refuses: phrases; in Python also a judge."""
    by_topic: Annotated[bool, MEASURING, Names("--by-topic", negative="--no-topics")] = True
    """Group the prompts by topic, and say of each what the two sides decide, who wrote them, and how much of the predicted push
    away from refusing comes from it."""
    topics: Annotated[int | None, MEASURING, Metavar("N")] = Field(default=None, ge=2, le=MOST_TOPICS)
    """How many topics are looked for. Where it is not given, as many as the number of different prompts allows: 30 at most."""
    controls: Annotated[int, MEASURING, Metavar("N")] = Field(default=FEWEST_CONTROLS, ge=FEWEST_CONTROLS)
    """Each probe is fitted again this many times with sides swapped at random, to compare with."""
    folds: Annotated[int, MEASURING, Metavar("N")] = Field(default=5, ge=2)
    """Folds of the cross-validation. All pairs of one prompt lie in the same fold."""
    seed: Annotated[int, MEASURING, Metavar("N")] = Field(default=0, ge=0, lt=2**63)
    """The seed of folds, swaps and samples. The order of the rows does not matter, but for rounding."""
    opening: Opening = Opening()
    """How the policy is opened."""

    _several = field_validator("probe_prompts", mode="before")(one_or_several)

    @field_validator("judge", mode="before")
    @classmethod
    def _phrases(cls, value: Any) -> Any:
        if isinstance(value, str) and value != PHRASES:
            raise ValueError(f"choose {PHRASES}, the only judge that needs no world; in Python give a judge")
        return PHRASES if value is None else value

    _so_many_steps = field_validator("pilot", mode="before")(pilot_of)

    @model_validator(mode="before")
    @classmethod
    def _steps_are_said(cls, values: Any) -> Any:
        pilot = values.get("pilot") if isinstance(values, Mapping) else None
        if isinstance(pilot, Mapping) and no_steps(pilot):
            others = [name for name in pilot if name != "steps" and name in PilotSettings.model_fields]
            if others:
                raise ValueError(
                    f"{{{min(others)}}} is of the pilot: say how many steps it takes by {{steps}}, such as 8"
                )
        return values

    @model_validator(mode="after")
    def _belong_together(self) -> AuditSettings:
        if self.topics is not None and not self.by_topic:
            raise ValueError(
                f"{{topics}} {self.topics} asks for topics, and {{by_topic}} is off: leave out one of the two"
            )
        if self.policy is None and self.probe_prompts:
            raise ValueError("{probe_prompts} probe the model that is to be trained: name it by {policy}")
        if not self.probe_prompts and self.pilot is not None:
            raise ValueError(
                f"a pilot of {{steps}} {self.pilot.steps} is seen on probes: give {{probe_prompts}}, and {{policy}}"
            )
        if not self.probe_prompts and self.parameters != "auto":
            raise ValueError(
                f"{{parameters}} {self.parameters!r} is of the prediction: give {{probe_prompts}} too"
            )
        if not self.probe_prompts and self.states != StatesSettings():
            name = min(self.states.model_fields_set)
            raise ValueError(f"{{{name}}} is of the prediction: give {{probe_prompts}} too")
        if self.policy is None and (self.opening.chat_template or self.opening.adapter):
            raise ValueError("{chat_template} and {adapter} belong to a model: name it by {policy}")
        return self


class ShowSettings(Settings):
    """Which pairs are shown, as which training would see them."""

    rows: Annotated[tuple[Annotated[int, Field(ge=1)], ...] | None, Commas(), Metavar("N,N,...")] = None
    """Show the pairs of these rows, counted from 1. Where it is not given, the first pair is shown."""
    max_length: MaxLength = MAX_LENGTH
    """The most tokens that prompt and response have together in the training that is meant. 0 sets no bound but the model's
    context."""
    reading: Reading = Reading()
    """How the data set is read."""
    opening: TokensOpening = TokensOpening()
    """How the policy's tokenizer is opened."""

    @field_validator("rows")
    @classmethod
    def _each_once(cls, value: Any) -> Any:
        if value is not None and len(value) > MOST_SHOWN:
            raise ValueError(f"these are {len(value)} rows: name at most {MOST_SHOWN}")
        return None if value is None else tuple(dict.fromkeys(value))
