"""What sampling, storing given responses and scoring are asked for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from backfire.models.settings import RewardOpening
from backfire.records.settings import DecodingSettings
from backfire.settings import Group, Metavar, Names, Settings

LARGEST_SEED = 2**63


class SamplingSettings(Settings):
    """How responses to prompts are sampled from a model."""

    n: Annotated[int, Names("-n", "--n")] = Field(default=1, ge=1)
    """How many responses each prompt gets."""
    source: Annotated[str | None, Metavar("NAME")] = None
    """Who is named as the writer of the responses. Where it is not given, the model's own name."""
    decoding: DecodingSettings = DecodingSettings()
    """How responses are decoded."""
    seed: Annotated[int, Group("Decoding")] = Field(default=0, ge=-LARGEST_SEED, lt=LARGEST_SEED)
    """The seed of everything that is sampled."""
    batch_size: int = Field(default=64, ge=1)
    """How many go through the model at once. Above temperature 0 the responses depend on it, as they do on the seed."""


class ScoreSettings(Settings):
    """How a reward model scores responses."""

    batch_size: int = Field(default=32, ge=1)
    """How many go through the model at once."""
    opening: RewardOpening = RewardOpening()
    """How the reward model is opened."""


class GivenSettings(Settings):
    """How responses that were written elsewhere are read from a table."""

    source: Annotated[str | None, Metavar("NAME")] = None
    """Who wrote all of them. Where it is not given, a column that names the writers is read."""
    prompt_column: Annotated[str | None, Metavar("NAME")] = None
    """The column that holds the prompts, where it has no usual name."""
    response_column: Annotated[str | None, Metavar("NAME")] = None
    """The column that holds the responses, where it has no usual name."""
    source_column: Annotated[str | None, Metavar("NAME")] = None
    """The column that names the writers, where it has no usual name."""
    split: Annotated[str | None, Metavar("NAME")] = None
    """The split to read, of a file, a folder or a hub data set that has several."""
    encoding: Annotated[str | None, Metavar("NAME")] = None
    """The encoding of a text file that is not UTF-8, such as cp1252."""
