"""How pairs are built of stored responses, and which of a source's responses are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from backfire.settings import Metavar, Settings

if TYPE_CHECKING:
    from backfire.records import Response

Truncated = Literal["keep", "drop"]


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
