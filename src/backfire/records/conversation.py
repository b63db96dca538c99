"""A prompt: the turns before the response that a model is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from backfire.records.identity import digest

Kind = Literal["harmful", "benign"]


@dataclass(frozen=True)
class Message:
    role: str
    content: str

    def as_dict(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True)
class Prompt:
    """Turns up to the response. The id depends on the turns alone, so that it survives relabelling."""

    messages: tuple[Message, ...]
    kind: Kind | None = None
    """Whether complying would be harmful; None where nobody said."""
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What else is known of it, such as the organism's noun and wrapper, or a data set's row."""

    @classmethod
    def of(cls, text: str, *, kind: Kind | None = None, tags: Mapping[str, str] | None = None) -> Prompt:
        """A single user turn."""
        return cls((Message("user", text),), kind, dict(tags or {}))

    @classmethod
    def of_messages(
        cls,
        messages: Iterable[Mapping[str, str]],
        *,
        kind: Kind | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Prompt:
        turns = tuple(Message(m["role"], m["content"]) for m in messages)
        return cls(turns, kind, dict(tags or {}))

    @cached_property
    def id(self) -> str:
        return digest("prompt", self.as_messages())

    def as_messages(self) -> list[dict[str, str]]:
        """The form that tokenizers' chat templates, TRL and OpenAI endpoints take."""
        return [m.as_dict() for m in self.messages]

    @property
    def text(self) -> str:
        """The last turn's text."""
        return self.messages[-1].content
