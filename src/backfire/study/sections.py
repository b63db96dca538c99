"""The sections of a study file: settings of the commands that a study runs, with what a study says beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from backfire.auditing.settings import AuditSettings
from backfire.errors import InputError
from backfire.evaluation.settings import AttackSettings, GeneralSettings
from backfire.influence.settings import InfluenceSettings, PilotSettings
from backfire.models.settings import Opening
from backfire.preferences.settings import Reading
from backfire.records.settings import DecodingSettings
from backfire.responses.settings import GivenSettings
from backfire.settings import (
    DatasetReference,
    FolderReference,
    JudgeReference,
    ModelReference,
    Prefix,
    PromptsReference,
    Settings,
)
from backfire.training.settings import DPOSettings, TrainingOpening

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9+_.-]*$")]
"""A name that may become part of a folder's name."""


def _judge(reference: object) -> str:
    from backfire.judges import judge_form

    if not isinstance(reference, str):
        raise ValueError(f"a judge is named by a text, and {str(reference)[:80]!r} is none")

    return str(_checked(judge_form, reference))


def _checked(opened: Any, reference: str) -> Any:
    try:
        return opened(reference)
    except InputError as error:
        raise ValueError(str(error)) from error


JudgeName = Annotated[JudgeReference, AfterValidator(_judge)]
"""A judge by its reference, as `judges.open_judge` has it."""


class Section(Settings):
    """Settings of a command in a study file, but for those that the study knows."""

    known: ClassVar[Mapping[str, str]] = {}
    """Fields of the command that the study gives by itself, with what to do instead of giving them."""

    @model_validator(mode="before")
    @classmethod
    def _given(cls, values: Any) -> Any:
        return cls.refuse_known(values)

    @classmethod
    def refuse_known(cls, values: Any) -> Any:
        """The values; ValueError where one is given that the study knows."""
        for name, fix in cls.known.items():
            if isinstance(values, Mapping) and name in values:
                raise ValueError(f"{{{name}}} comes from the study: {fix}")
        return values


class OpeningSection(Opening):
    """How a study's models are opened."""

    adapter: SkipJsonSchema[FolderReference | None] = None
    """A policy that is an adapter is named by the adapter's folder."""

    @field_validator("adapter")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        if value is not None:
            raise ValueError("name the adapter's folder as the policy; it is opened on its base")
        return value


class GivenSection(Section, GivenSettings):
    """How a file of responses is read: the settings of `backfire import`."""

    known: ClassVar = {"source_column": "a responder is one writer; name him by `source` if at all"}

    source_column: SkipJsonSchema[None] = Field(default=None, exclude=True)
    """A responder is one writer."""


class ResponderSettings(Settings):
    """Who writes responses, and the role in which a recipe chooses them."""

    role: Name
    """`self`, `stronger`, `gpt4o`, `peer`, or a role of your own recipes. Several responders may share a role."""
    model: ModelReference | None = None
    """A checkpoint folder, a GGUF file, a hub name, `organism:NAME` or `openai:MODEL[@URL]`."""
    file: str | None = None
    """Instead of a model: a file with a column of prompts and one of responses that somebody has written."""
    reading: GivenSection | None = None
    """How that file is read, where it is not seen by itself: `{prompt_column: question, encoding: cp1252}`."""
    n: int = Field(default=1, ge=1)
    """How many responses each prompt gets."""
    decoding: DecodingSettings | None = None
    """Its own decoding. Responses that are decoded alike differ in fewer surface cues, so leave it out unless you need it."""
    opening: OpeningSection | None = None
    """How this model is opened, in the place of the study's `opening`. A responder that is its target's policy is opened
    as the target is."""

    @model_validator(mode="after")
    def _one_source(self) -> ResponderSettings:
        if (self.model is None) == (self.file is None):
            raise ValueError(f"responder {self.role}: give either model or file")
        if self.file is None and self.reading is not None:
            raise ValueError(f"responder {self.role}: {{reading}} is of a {{file}}; a model has none")
        if self.file is not None:
            of_models = [name for name in ("decoding", "opening") if getattr(self, name) is not None]
            if of_models:
                raise ValueError(
                    f"responder {self.role}: {{{of_models[0]}}} is of a {{model}}; a file has none"
                )
        return self


class HumanSettings(Reading):
    """Human-labelled preference data, and how they are read, where that is not seen by itself."""

    data: DatasetReference
    """A file, a folder, a hub name, or `organism:human`."""

    def reading(self) -> dict[str, Any]:
        """What is said of the reading, as `open_preferences` takes it."""
        return self.model_dump(exclude={"data"}, exclude_unset=True, exclude_none=True)


class TargetSettings(Settings):
    """A policy to train, and the responders whose responses its preference data are made of."""

    family: Name
    """The name under which its cells appear, such as `llama`."""
    policy: ModelReference
    """The SFT checkpoint that DPO starts from: a folder, a GGUF file, a hub name or `organism:NAME`."""
    responders: tuple[ResponderSettings, ...]
    """Who writes responses. One has the role `self` if recipes are to use the policy's own responses."""
    prompts: PromptsReference | None = None
    """The prompts that this policy's pairs are built for, in the place of the study's `prompts`. Targets of one policy with
    disjoint prompts show how much a result depends on the prompts."""
    human: HumanSettings | str | None = None
    """Human-labelled preference data for this policy, in the place of the study's `human`."""
    worlds: tuple[str, ...] = ()
    """Only these of the study's worlds, so that families can rotate over worlds. Left out, it is all of them."""
    opening: OpeningSection | None = None
    """How this policy is opened, before and after training, in the place of the study's `opening`: its chat template,
    dtype and device."""


class AttackSection(Section, AttackSettings):
    """What the trained policies are asked, and who judges the answers: the settings of `backfire attack`."""

    known: ClassVar = {"world": "list `worlds`", "seed": "list `seeds`"}

    harmful: dict[Name, PromptsReference]
    """Sets of requests that should not be complied with, by name: a file, a published set such as `advbench:100`, or
    `organism:prompts/NAME`."""
    benign: dict[Name, PromptsReference] = Field(default_factory=dict)
    """Sets of prompts that deserve an answer, by name. Refusing them is over-refusal."""
    judges: tuple[JudgeName, ...] = ("phrases",)
    """Any judge of `backfire judge`. The first is reported first. `exact` reads organisms' responses exactly, `phrases` looks
    for published refusal phrases, and `rubric:MODEL` asks a model with a rubric."""
    decoding: DecodingSettings = DecodingSettings(temperature=0.0)  # type: ignore[assignment]
    """How the policies' answers are decoded. The default is greedy, as in the paper."""
    world: SkipJsonSchema[None] = Field(default=None, exclude=True)
    seed: SkipJsonSchema[int] = Field(default=0, exclude=True)

    @field_validator("harmful", "benign", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return value

    @model_validator(mode="after")
    def _suite_opens(self) -> AttackSection:
        if self.suite is not None:
            from backfire.study.identities import suite_identity

            if not isinstance(self.suite, (str, Path)):
                raise ValueError(
                    "{suite}: a study names its attacks; give names, or module:object for one of your own"
                )
            try:
                suite_identity(str(self.suite), self.means())
            except InputError as error:
                raise ValueError(f"{{suite}} = {self.suite!r}: {error}") from error
        return self

    def means(self) -> dict[str, Any]:
        """What the suite's attacks need, as `evaluation.Means` has it."""
        return {
            "examples": self.shots,
            "translations": self.translations,
            "translator": self.translator,
            "attacker": self.attacker,
        }


class GeneralSection(Section, GeneralSettings):
    """Which general tasks are scored, by lm-evaluation-harness: the settings of `backfire general`."""

    known: ClassVar = {"world": "list `worlds`"}

    tasks: str | tuple[str, ...]
    """`organism` for the world's five counterparts, a folder of task files, or names of the harness's tasks. `leaderboard` is
    the five of the paper with the leaderboard's shots and metrics."""
    world: SkipJsonSchema[None] = Field(default=None, exclude=True)


class AuditSection(Section, AuditSettings):
    """How pairs are audited before training: the settings of `backfire audit`, but for those that the study knows."""

    known: ClassVar = {
        "policy": "leave it out, or say hidden: false for an audit by text alone",
        "seed": "list `seeds`",
        "reading": "leave it out",
        "opening": "give `opening` to the study or to a target",
    }

    hidden: bool = True
    """Whether the target reads the pairs, too: a probe of its hidden states, and how likely it finds either side. Without
    it, the audit is by text alone."""
    policy: SkipJsonSchema[Literal["target"] | None] = Field(default="target", exclude=True)
    """The cell's target, where `hidden` holds."""
    seed: SkipJsonSchema[int] = Field(default=0, exclude=True)
    """The cell's seed."""
    reading: SkipJsonSchema[Reading] = Field(default=Reading(), exclude=True)
    """The pairs are read as the study wrote them."""
    opening: SkipJsonSchema[Opening] = Field(default=Opening(), exclude=True)
    """The target is opened as the study's `opening` says."""

    @model_validator(mode="before")
    @classmethod
    def _given(cls, values: Any) -> Any:
        """Without the target, the settings are those of an audit without a policy."""
        values = cls.refuse_known(values)
        alone = isinstance(values, Mapping) and values.get("hidden") is False
        return {**values, "policy": None} if alone else values


class InfluenceSection(Section, InfluenceSettings):
    """First-order safety influence of every cell's pairs, and the refusal margin before and after training: the settings of
    `safety_influence`, but for those that the study knows."""

    known: ClassVar = {
        "seed": "list `seeds`",
        "max_length": "give it to `training`",
        "reading": "leave it out",
    }

    harmful: PromptsReference
    """The prompts that probes are sampled for, in neither training nor attacks: a file, a published set such as
    `advbench:100`, or `organism:prompts/NAME`. A file of prompts with their refusals and compliances is taken as it is."""
    benign: PromptsReference | None = None
    """Prompts that deserve an answer, for the influence on needless refusals."""
    pilot: Annotated[PilotSettings | None, Prefix("pilot")] = None
    """A pilot beside it: `{steps: 8}`, or the number alone. What it does not say of learning rate, beta and batch size is that
    of the cell's own training. Left out, there is none."""
    seed: SkipJsonSchema[int] = Field(default=0, exclude=True)
    """It comes from the study's `seeds`."""
    max_length: SkipJsonSchema[int | None] = Field(default=None, exclude=True)
    """Pairs are cut as the study's training cuts them."""
    reading: SkipJsonSchema[Reading] = Field(default=Reading(), exclude=True)
    """The pairs are read as the study wrote them."""

    @model_validator(mode="after")
    def _stored_in_the_run(self) -> InfluenceSection:
        if self.states.cache is not None:
            raise ValueError("leave {cache} out: a study stores what it has computed in its run folder")
        return self


class CellTraining(DPOSettings):
    """How the policy of one cell is trained: the settings of `backfire train dpo`, but for what the study gives."""

    reading: SkipJsonSchema[Reading] = Field(default=Reading(), exclude=True)
    """The pairs are read as the study wrote them."""
    opening: SkipJsonSchema[TrainingOpening] = Field(default=TrainingOpening(), exclude=True)
    """The policy is opened as the target's `opening` says."""


class TrainingSection(Section, CellTraining):
    """How policies are trained: the settings of `backfire train dpo`, but for those that the study knows."""

    known: ClassVar = {
        "seed": "leave it out and list `seeds`",
        "reading": "leave it out",
        "opening": "give `opening` to the study or to a target",
    }

    seed: SkipJsonSchema[int] = 0
    """It comes from the study's `seeds`."""

    @model_serializer(mode="wrap")
    def _as_given(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What the study file says, without defaults, so that a default of the command moves no cell."""
        return given_fields(self, whole(self))

    def given(self) -> dict[str, Any]:
        """What the study file says, as plain values."""
        given: dict[str, Any] = self.model_dump(mode="json")
        return given


def given_fields(settings: Settings, dumped: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were given, also of nested parts; whole numbers as such."""
    return {
        name: given_fields(part, value)
        if isinstance(part := getattr(settings, name), Settings)
        else _whole_numbers(value)
        for name, value in dumped.items()
        if name in settings.model_fields_set
    }


def _whole_numbers(value: Any) -> Any:
    """`2.0` of a float field as 2, so that the names of cells do not depend on the field's type."""
    if isinstance(value, Mapping):
        return {key: _whole_numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
