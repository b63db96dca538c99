"""How responses are decoded, as settings that every command shares which samples."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from backfire.records.response import Decoding
from backfire.settings import Settings


class DecodingSettings(Settings):
    """How responses are sampled from a model."""

    group = "Decoding"

    max_new_tokens: int = Field(default=256, ge=1)
    """The most tokens of a response. A longer one is cut, and recorded as truncated."""
    temperature: float = Field(default=1.0, ge=0)
    """The sampling temperature. 0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Sample from the smallest set of tokens that has this much probability together. 1 sets no bound."""
    top_k: int = Field(default=0, ge=0)
    """Sample from this many of the likeliest tokens. 0 sets no bound."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Divides the logits of tokens that were there before. 1 changes nothing."""

    @model_validator(mode="before")
    @classmethod
    def _record(cls, value: Any) -> Any:
        return value.as_dict() if isinstance(value, Decoding) else value

    def decoding(self) -> Decoding:
        """The same as the record that responses are stored with."""
        return Decoding(**self.model_dump())
