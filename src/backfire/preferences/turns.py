"""Conversations in a row's values: lists of messages in their spellings, and transcripts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from backfire.preferences.schema import Unusable, as_json

Turn = tuple[str, str]
"""Role and content."""

SPELLINGS = (("role", "content"), ("from", "value"))
ROLES = {"human": "user", "gpt": "assistant"}
"""ShareGPT's names of the roles; every other role is kept as it is."""

_TRANSCRIPT_TURN = re.compile(r"\n\n(Human|Assistant):")
_TRANSCRIPT_ROLE = {"Human": "user", "Assistant": "assistant"}


def turn_of(value: Any) -> Turn:
    """{role, content} or {from, value}; content is text, or a list of text parts.

    Raises:
        Unusable: wrong type.
    """
    if isinstance(value, Mapping):
        for role_key, content_key in SPELLINGS:
            role, content = value.get(role_key), value.get(content_key)
            if isinstance(role, str):
                if isinstance(content, str):
                    return ROLES.get(role, role), content
                if isinstance(content, list) and content:
                    return ROLES.get(role, role), "".join(map(_part, content))
    raise Unusable("wrong type")


def _part(value: Any) -> str:
    if isinstance(value, Mapping) and value.get("type") == "text" and isinstance(value.get("text"), str):
        return str(value["text"])
    raise Unusable("wrong type")


def turns_of(value: Any) -> list[Turn]:
    """A list of at least one message.

    Raises:
        Unusable: wrong type.
    """
    if not isinstance(value, list) or not value:
        raise Unusable("wrong type")
    return [turn_of(turn) for turn in value]


def transcript_turns(text: str) -> list[Turn]:
    """Anthropic's transcripts: "\\n\\nHuman: ...\\n\\nAssistant: ...", contents without surrounding blanks.

    Raises:
        Unusable: wrong type, when the text does not begin with a turn.
    """
    whole = text if text.startswith("\n\n") else "\n\n" + text.lstrip("\n")
    before, *pieces = _TRANSCRIPT_TURN.split(whole)
    if before.strip() or not pieces:
        raise Unusable("wrong type")
    return [
        (_TRANSCRIPT_ROLE[who], said.strip()) for who, said in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def completion_of(turns: Sequence[Turn]) -> str:
    """What the assistant says in turns that follow a prompt; the last has to be the assistant's.

    Raises:
        Unusable: no final assistant turn.
    """
    if turns[-1][0] != "assistant":
        raise Unusable("no final assistant turn")
    return "\n\n".join(content for role, content in turns if role == "assistant")


def prompt_and_messages(turns: Sequence[Turn]) -> tuple[str, str | None]:
    """The columns `prompt` and `messages` of the turns before the response."""
    if len(turns) == 1 and turns[0][0] == "user":
        return turns[0][1], None
    text = "\n\n".join(f"{role}: {content}" for role, content in turns)
    return text, as_json([{"role": role, "content": content} for role, content in turns])
