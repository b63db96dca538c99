"""Which pairs `show` shows, and how they are read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from backfire.models.settings import MAX_LENGTH, MaxLength, TokensOpening
from backfire.preferences.settings import Reading
from backfire.settings import Commas, Metavar, Settings

MOST_SHOWN = 50
"""Pairs that are shown at once."""


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
