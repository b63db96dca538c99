"""How pairs are built of stored responses, and which of a source's responses are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from backfire.preferences.settings import Reading, roles_of
from backfire.settings import (
    Commas,
    DatasetReference,
    FileReference,
    Metavar,
    PromptsReference,
    RewardModelReference,
    Settings,
)
from backfire.store.settings import PromptReading

if TYPE_CHECKING:
    from backfire.records import Response

Truncated = Literal["keep", "drop"]
HUMAN_ROLES = ("human-chosen", "human-rejected")
"""The roles that people's responses play, where a recipe has them."""


class PairSettings(Settings):
    """How pairs are built of the responses that a recipe names."""

    truncated: Truncated = "keep"
    """Whether responses that were cut at the token limit may enter a pair."""
    min_characters: int = Field(default=1, ge=1)
    """A response with fewer characters other than white space counts as blank, and enters no pair."""


class StoredChoice(Settings):
    """Which responses of a source are meant, where it was sampled several times.

    Responses of one model, decoding and seed belong together. Those of several are refused until one is chosen.
    """

    group = "Choosing among several draws of one source"

    seed: int | None = None
    """Where a source was sampled several times: take what was sampled with this seed."""
    temperature: float | None = None
    """Likewise, take what was sampled at this temperature."""
    max_new_tokens: int | None = None
    """Likewise, take what was sampled with this bound of new tokens."""
    model_id: Annotated[str | None, Metavar("ID")] = None
    """Likewise, take what the model of this id wrote; the beginning of the id is enough."""

    def meets(self, response: Response) -> bool:
        """Whether the response is of those that are meant."""
        decoding = response.decoding
        sampled_so = {
            "temperature": None if decoding is None else decoding.temperature,
            "max_new_tokens": None if decoding is None else decoding.max_new_tokens,
            "seed": response.seed,
        }
        wanted = {name: getattr(self, name) for name in sampled_so}
        same = all(value is None or value == sampled_so[name] for name, value in wanted.items())
        return same and (self.model_id is None or response.model_id.startswith(self.model_id))


def _role_and_source(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    role, equals, source = value.strip().partition("=")
    if not (role and equals and source):
        raise ValueError("this is not of the form ROLE=SOURCE, such as self=./my-sft")
    return role, source


class StoredPairSettings(Settings):
    """Which stored responses play a recipe's roles, and whose scores rank them."""

    role: Annotated[
        tuple[Annotated[tuple[str, str], BeforeValidator(_role_and_source)], ...], Metavar("ROLE=SOURCE")
    ] = ()
    """Whose responses play a role of the recipe, such as self=./my-sft. A role may be given several sources."""
    prompts: Annotated[PromptsReference | None, Metavar("FILE")] = None
    """The prompts to build pairs for: a file, or organism:prompts/NAME. Where it is not given, all that were answered."""
    reading: PromptReading = PromptReading()
    """How the prompts are read."""
    human: Annotated[DatasetReference | None, Metavar("FILE")] = None
    """Human-labelled preference data in any form that `backfire audit` reads, or organism:human, for the roles human-chosen
    and human-rejected."""
    human_columns: Annotated[dict[str, str] | None, Commas(), Metavar("ROLE=NAME,...")] = None
    """Which column of the human-labelled data holds what, as --columns of `backfire audit` has it."""
    human_split: Annotated[str | None, Metavar("NAME")] = None
    """The split of the human-labelled data, where they have several."""
    reward_model: Annotated[RewardModelReference | None, Metavar("MODEL")] = None
    """The reward model to rank by. Responses that it has not scored yet are scored now."""
    scorer: Annotated[str | None, Metavar("ID")] = None
    """The reward model whose stored scores to rank by, by its id; no model is opened. It is not needed where only one has
    scored."""
    recipes: Annotated[FileReference | None, Metavar("FILE")] = None
    """A YAML file with recipes of your own."""
    building: PairSettings = PairSettings()
    """How pairs are built of them."""
    choice: StoredChoice = StoredChoice()
    """Which responses of a source are meant."""

    _columns = field_validator("human_columns", mode="before")(roles_of)

    @field_validator("role")
    @classmethod
    def _not_of_people(cls, value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        if any(role in HUMAN_ROLES for role, _ in value):
            raise ValueError("people's responses come from {human} FILE")
        return value

    @model_validator(mode="after")
    def _one_scorer(self) -> StoredPairSettings:
        if self.reward_model is not None and self.scorer is not None:
            raise ValueError("{reward_model} and {scorer} both say whose scores to use: give one of them")
        return self

    @property
    def human_reading(self) -> Reading:
        """How the human-labelled data are read."""
        return Reading.of(columns=self.human_columns, split=self.human_split)
