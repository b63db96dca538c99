"""The repairs of a study file: each method of `backfire repair` with its options, but for what the study knows."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from backfire.influence.settings import PredictorName
from backfire.records.settings import DecodingSettings
from backfire.repairing.settings import Auto, Balance, Clean, Filter, Mix, Restyle, Review, Switch
from backfire.settings import FileReference
from backfire.study.sections import JudgeName, Section

Derived = SkipJsonSchema[None]
"""What the study gives by itself."""
DATA = "leave it out; the study has measured or stored it"


class RepairSection(Section):
    """What every repair of a study says."""

    model_config = ConfigDict(serialize_by_alias=True)

    recipes: tuple[str, ...] = Field(min_length=1, alias="of")
    """The recipes of the study whose pairs are repaired, as cells named `recipe~repair`."""
    ends: Literal["drop", "cut"] | None = None
    """Where only one side was cut at the token limit: leave the pair out, or cut both sides alike."""
    judge: JudgeName | None = None
    """Who says what a response decides. Left out, `exact` where the study uses it on organisms, else `phrases`."""

    @property
    def added(self) -> str | None:
        """The recipe of the study whose pairs are added."""
        return getattr(self, "self_pairs", None)

    @property
    def by_pilot(self) -> bool:
        return getattr(self, "by", None) == "pilot"

    @property
    def by_influence(self) -> bool:
        """Whether it cannot be done without what was measured of each pair beside its influence."""
        by = getattr(self, "by", None)
        return isinstance(self, AutoSection) or by == "influence" or by in get_args(PredictorName)

    def given(self) -> dict[str, Any]:
        """What decides the repaired pairs, beside those that are repaired."""
        given = self.model_dump(mode="json", exclude={"recipes"}, exclude_defaults=True)
        return {**given, "method": self.method}  # type: ignore[attr-defined]


class FilterSection(RepairSection, Filter):
    """Leave out the pairs that push away from refusing, or those that are told apart most easily."""

    known: ClassVar = {"ease": DATA}

    ease: Derived = Field(default=None, exclude=True)


class SwitchSection(RepairSection, Switch):
    """Exchange chosen and rejected in the pairs that push away from refusing, and leave none out."""

    known: ClassVar[dict[str, str]] = {}


class BalanceSection(RepairSection, Balance):
    """Even out who wrote the two sides, with the study's stored responses, or which of them is longer."""

    known: ClassVar = {"pool": DATA}

    pool: Derived = Field(default=None, exclude=True)


class RestyleSection(RepairSection, Restyle):
    """Let the target rewrite the responses, so that both sides are in its own style."""

    known: ClassVar = {"ledger": "give `ledger` to the study"}

    template: FileReference | None = None  # type: ignore[assignment]
    """A file with another rewriting instruction: a text with {prompt} and {response}."""
    ledger: Derived = Field(default=None, exclude=True)
    decoding: DecodingSettings | None = None  # type: ignore[assignment]
    """How the new responses are decoded. Left out, as the study's responders are."""


class MixSection(RepairSection, Mix):
    """Put pairs of another recipe in the place of given ones, or beside them."""

    known: ClassVar = {"self_influence": DATA}

    self_pairs: str
    """The recipe of the study, such as self+rm, whose pairs are added."""
    self_influence: Derived = Field(default=None, exclude=True)


class AutoSection(RepairSection, Auto):
    """Make the smallest change after which the prediction lies above a target."""

    known: ClassVar = {
        "self_influence": DATA,
        "pilot": "leave it out; its steps are those of `influence.pilot`, its settings those of `training`",
    }

    self_pairs: str | None = None
    """The recipe of the study, such as self+rm, whose pairs are added. Left out, pairs are left out and none is added."""
    self_influence: Derived = Field(default=None, exclude=True)
    pilot: Derived = Field(default=None, exclude=True)


class CleanSection(RepairSection, Clean):
    """Take out the pairs that have a fault of their own, and change nothing else."""

    known: ClassVar[dict[str, str]] = {}


class ReviewSection(RepairSection, Review):
    """Do what a person has decided about single pairs of one cell, whose folder was audited with --worst; of other cells' pairs
    the decisions are refused."""

    known: ClassVar[dict[str, str]] = {}


RepairOfStudy = Annotated[
    FilterSection
    | SwitchSection
    | BalanceSection
    | RestyleSection
    | MixSection
    | AutoSection
    | CleanSection
    | ReviewSection,
    Field(discriminator="method"),
]
"""A repaired data set beside each of some recipes."""
