"""A prompt: the turns before the response that a model is asked for; and a completion, which may be several turns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from backfire.records.identity import digest

Kind = Literal["harmful", "benign"]


def _spelled(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str
    """What is said; empty where a turn only calls tools."""
    more: str = ""
    """The turn's other keys (`tool_calls`, `tool_call_id`, `name`, `reasoning_content`) as JSON, in the order that
    they came in: templates write a tool call as they find it."""

    @classmethod
    def of(cls, turn: Mapping[str, Any]) -> Message:
        """From a mapping with `role` and `content` (None is no text); its other keys that are not None are kept."""
        content = turn.get("content")
        rest = {k: v for k, v in turn.items() if k not in ("role", "content") and v is not None}
        return cls(turn["role"], "" if content is None else content, _spelled(rest) if rest else "")

    def as_dict(self) -> dict[str, Any]:
        """The form that chat templates take."""
        plain: dict[str, Any] = {"role": self.role, "content": self.content}
        return plain | json.loads(self.more) if self.more else plain


Completion = str | tuple[Message, ...]
"""What follows a prompt: the text of one assistant turn, or the turns themselves, where tools are called."""


def completion_turns(completion: Completion) -> list[dict[str, Any]]:
    """A completion in the form that chat templates take."""
    if isinstance(completion, str):
        return [{"role": "assistant", "content": completion}]
    return [turn.as_dict() for turn in completion]


def said_by_assistant(completion: Completion) -> str:
    """What the assistant says in a completion: the text that is judged."""
    if isinstance(completion, str):
        return completion
    return "\n\n".join(turn.content for turn in completion if turn.role == "assistant" and turn.content)


@dataclass(frozen=True)
class Prompt:
    """Turns up to the response. The id depends on these and on the tools alone, so that it survives relabelling."""

    messages: tuple[Message, ...]
    kind: Kind | None = None
    """Whether complying would be harmful; None where nobody said."""
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What else is known of it, such as the organism's noun and wrapper, or a data set's row."""
    tools: str = ""
    """JSON of the list of tools that the chat template renders; empty without any."""
    template_options: str = ""
    """JSON of further arguments of the chat template (TRL's `chat_template_kwargs`); empty without any."""

    @classmethod
    def of(cls, text: str, *, kind: Kind | None = None, tags: Mapping[str, str] | None = None) -> Prompt:
        """A single user turn."""
        return cls((Message("user", text),), kind, dict(tags or {}))

    @classmethod
    def of_messages(
        cls,
        messages: Iterable[Mapping[str, Any]],
        *,
        kind: Kind | None = None,
        tags: Mapping[str, str] | None = None,
        tools: str = "",
        template_options: str = "",
    ) -> Prompt:
        """From turns with `role` and `content`; a turn's other keys, such as `tool_calls`, are kept."""
        return cls(tuple(map(Message.of, messages)), kind, dict(tags or {}), tools, template_options)

    @cached_property
    def id(self) -> str:
        beside = [part for part in (self.tools, self.template_options) if part]
        return digest("prompt", self.as_messages(), *beside)

    def as_messages(self) -> list[dict[str, Any]]:
        """The form that tokenizers' chat templates, TRL and OpenAI endpoints take."""
        return [m.as_dict() for m in self.messages]

    @property
    def text(self) -> str:
        """The last turn's text."""
        return self.messages[-1].content

    def template_arguments(self) -> dict[str, Any]:
        """What a chat template is given beside the turns: `tools` and the template's own options."""
        given: dict[str, Any] = json.loads(self.template_options) if self.template_options else {}
        return {"tools": json.loads(self.tools), **given} if self.tools else given


class PairBody(NamedTuple):
    """What is read of a preference pair, and what is trained on: a prompt and the two completions of it."""

    prompt: Prompt
    chosen: Completion
    rejected: Completion
