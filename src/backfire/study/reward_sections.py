"""The sections of a study file that train by rewards: a reward model of the study's own, and RLOO."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import SkipJsonSchema

from backfire.models.settings import RewardOpening
from backfire.settings import DatasetReference, ModelReference, Prefix
from backfire.store.settings import PromptReading
from backfire.study.sections import Section, given_fields
from backfire.study.worlds import in_world
from backfire.training.settings import RewardSettings, RLOOSettings, TrainingOpening

OPENING = "give `opening` to the study or to a target"


class CellReward(RewardSettings):
    """How a study's reward model is trained: the settings of `backfire train reward`, but for what the study gives."""

    opening: SkipJsonSchema[TrainingOpening] = Field(default=TrainingOpening(), exclude=True)
    """It is opened as the study's `opening` says."""


class RewardTraining(Section, CellReward):
    """A reward model that the study trains: the settings of `backfire train reward`, but for those that the study knows."""

    known: ClassVar = {"seed": "list `seeds`", "opening": OPENING}

    model: ModelReference
    """What it is made of: a language model, or a reward model that is trained further."""
    data: DatasetReference | None = None
    """The preference pairs that it is trained on. Left out, the study's `human`, read as `human` says."""
    seed: SkipJsonSchema[int] = 0
    """It comes from the study's `seeds`."""

    @model_serializer(mode="wrap")
    def _as_given(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What the study file says, without defaults, so that a default of the command moves no cell."""
        return given_fields(self, whole(self))

    def settings(self, seed: int) -> CellReward:
        """The settings of the training alone."""
        given = {
            name: getattr(self, name) for name in self.model_fields_set if name in CellReward.model_fields
        }
        return CellReward(**{**given, "seed": seed})


class TrainedReward(Section):
    """A reward model that the study trains itself, before anything is scored."""

    train: RewardTraining
    """What it is made of, on which pairs, and how."""

    def spec(self, world: str | None, human: Any, seed: int) -> dict[str, Any]:
        """What decides it; `human` is what decides the human-labelled pairs."""
        train = self.train
        data = human if train.data is None else in_world(str(train.data), world)
        given = train.model_dump(mode="json", exclude={"data"})
        return {**given, "model": in_world(str(train.model), world), "data": data, "seed": seed}


class CellRLOO(RLOOSettings):
    """How a policy is trained by RLOO: the settings of `backfire train rloo`, but for what the study gives."""

    reading: SkipJsonSchema[PromptReading] = Field(default=PromptReading(), exclude=True)
    """The prompts are those of the study."""
    reward: Annotated[SkipJsonSchema[RewardOpening], Prefix("reward")] = Field(
        default=RewardOpening(), exclude=True
    )
    """The reward model is opened as `scoring` says."""
    opening: SkipJsonSchema[TrainingOpening] = Field(default=TrainingOpening(), exclude=True)
    """The policy is opened as the target's `opening` says."""


class RLOOSection(Section, CellRLOO):
    """RLHF beside the recipes: every target is also trained by RLOO on the study's prompts, by the study's reward model, as a
    cell named `rloo`. The settings of `backfire train rloo`, but for those that the study knows."""

    known: ClassVar = {
        "seed": "list `seeds`",
        "reading": "leave it out",
        "reward": "give `scoring` to the study",
        "opening": OPENING,
    }

    seed: SkipJsonSchema[int] = 0
    """It comes from the study's `seeds`."""

    @model_serializer(mode="wrap")
    def _as_given(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What the study file says, without defaults, so that a default of the command moves no cell."""
        return given_fields(self, whole(self))

    def settings(self, seed: int) -> CellRLOO:
        """The settings of one training."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return CellRLOO(**{**given, "seed": seed})
