"""Conversations in a row's values: messages in their spellings, what they say, and how blocks write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from backfire.preferences.schema import Unusable, as_json

SPELLINGS = (
    ("role", "content"),
    ("from", "value"),
    ("role", "value"),
    ("role", "text"),
    ("role", "parts"),
    ("role", "message"),
    ("from", "content"),
    ("from", "text"),
    ("speaker", "text"),
    ("speaker", "content"),
    ("sender", "text"),
    ("sender", "content"),
)
"""Keys of a message: OpenAI's, ShareGPT's, Gemini's (`parts`), and others that occur. The first that fits is read."""
ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "agent": "assistant",
    "prompter": "user",
    "observation": "tool",
    "developer": "system",
}
"""Other names of the four roles (ShareGPT's, Gemma's, OpenAssistant's, OpenAI's); letter case does not matter."""
SPOKEN = ("system", "user", "assistant")
KEYS = (
    "tool_calls",
    "function_call",
    "tool_call_id",
    "tool_plan",
    "reasoning_content",
    "reasoning",
    "thinking",
)
"""What chat templates read of a turn beside role and content; all of it is kept. `name` is kept beside these and in
turns of other roles than SPOKEN."""
CALLING = ("tool_calls", "function_call")
MEDIA = {
    "image": "images",
    "image_url": "images",
    "input_image": "images",
    "video": "videos",
    "video_url": "videos",
    "audio": "audio",
    "audio_url": "audio",
    "input_audio": "audio",
}
"""Types of a content part that hold no text."""
_TEXT_PARTS = ("text", "input_text", "output_text")
_THOUGHTS = ("thinking", "reasoning")
"""Types of a content part, and its keys, that hold the assistant's thoughts (Anthropic's); they are kept beside the text."""


class Turn(NamedTuple):
    """One turn of a conversation."""

    role: str
    content: str
    more: str = ""
    """The turn's KEYS (and `name`) as JSON, in the order that they came in, for templates write a call as they find it;
    empty without any."""
    media: tuple[str, ...] = ()
    """What else the content holds, such as "images"; it is counted, and not read."""


def role_of(name: str) -> str:
    """The role that a spelling of it means; an unknown one is kept as it is."""
    plain = name.strip().lower()
    return plain if plain in SPOKEN else ROLES.get(plain, name)


def turn_of(value: Any) -> Turn:
    """{role, content} or {from, value} and so on; content is text, or a list of parts, or null where tools are called.

    Raises:
        Unusable: wrong type.
    """
    if isinstance(value, Mapping):
        for role_key, content_key in SPELLINGS:
            role = value.get(role_key)
            if isinstance(role, str) and content_key in value:
                return _turn(role, value[content_key], value)
        if isinstance(role := value.get("role"), str):
            return _turn(role, None, value)
    raise Unusable("wrong type")


def _turn(role: str, content: Any, value: Mapping[str, Any]) -> Turn:
    if role.strip().lower() == "function_call":
        return Turn("assistant", "", _called(content))
    role = role_of(role)
    more = {key: field for key, field in value.items() if key in KEYS and field not in (None, [], {}, "")}
    if (more or role not in SPOKEN) and isinstance(value.get("name"), str):
        more["name"] = value["name"]
    media: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    if isinstance(content, str):
        text = content
    elif isinstance(content, list) and content:
        text = "".join(_part(part, media, thoughts, calls) for part in content)
    elif content is None and any(key in more for key in KEYS):
        text = ""
    elif isinstance(content, (Mapping, list)) and role not in SPOKEN:
        text = as_json(content)
    else:
        raise Unusable("wrong type")
    if thoughts and not more.keys() & {"reasoning_content", "reasoning", "thinking"}:
        more["reasoning_content"] = "\n\n".join(thoughts)
    if calls:
        more.setdefault("tool_calls", calls)
    return Turn(role, text, as_json(more) if more else "", tuple(media))


def _called(content: Any) -> str:
    """The `tool_calls` of ShareGPT's turn `function_call`, whose value is the JSON of a call or of several."""
    try:
        calls = json.loads(content) if isinstance(content, str) else content
    except (ValueError, RecursionError):
        raise Unusable("wrong type") from None
    calls = calls if isinstance(calls, list) else [calls]
    if not calls or not all(
        isinstance(call, Mapping) and isinstance(call.get("name"), str) for call in calls
    ):
        raise Unusable("wrong type")
    functions = [{"name": call["name"], "arguments": call.get("arguments", {})} for call in calls]
    return as_json({"tool_calls": [{"type": "function", "function": f} for f in functions]})


def _part(value: Any, media: list[str], thoughts: list[str], calls: list[dict[str, Any]]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        kind, text = value.get("type"), value.get("text")
        if isinstance(text, str) and (kind in _TEXT_PARTS or kind is None):
            return text
        if kind in _THOUGHTS:
            thoughts += [
                thought for key in (*_THOUGHTS, "text") if isinstance(thought := value.get(key), str)
            ][:1]
            return ""
        if kind == "tool_use":
            calls.append(_used(value))
            return ""
        if kind in MEDIA:
            media.append(MEDIA[kind])
            return ""
    raise Unusable("wrong type")


def _used(part: Mapping[str, Any]) -> dict[str, Any]:
    """Anthropic's content part `tool_use`, as chat templates read the call of a tool."""
    name, arguments = part.get("name"), part.get("input")
    if not isinstance(name, str) or not isinstance(arguments, (Mapping, type(None))):
        raise Unusable("wrong type")
    call = {"type": "function", "function": {"name": name, "arguments": arguments or {}}}
    return {"id": part["id"], **call} if part.get("id") else call


def _results_apart(message: Any) -> list[Any]:
    """A message, or several where Anthropic's content parts `tool_result` stand in it: each is a turn of the tool."""
    content = message.get("content") if isinstance(message, Mapping) else None
    if not isinstance(content, list) or not any(map(_is_result, content)):
        return [message]
    messages: list[Any] = []
    for result, parts in groupby(content, _is_result):
        if result:
            messages += [
                {
                    "role": "tool",
                    "tool_call_id": part.get("tool_use_id"),
                    "content": part.get("content") or "",
                }
                for part in parts
            ]
        else:
            messages.append({**message, "content": list(parts)})
    return messages


def _is_result(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "tool_result"


def turns_of(value: Any) -> list[Turn]:
    """The turns of a list of at least one message; one that gives results of tools among its parts is several turns.

    Raises:
        Unusable: wrong type.
    """
    if not isinstance(value, (list, tuple)) or not value:
        raise Unusable("wrong type")
    return [turn_of(one) for message in value for one in _results_apart(message)]


def said_in(turns: Sequence[Turn]) -> str:
    """What the assistant says in the turns of a side; where that ends with a mere call of a tool, name(arguments)."""
    contents = [turn.content for turn in turns if turn.role == "assistant"]
    if turns and not turns[-1].content.strip():
        contents.append(_calls(turns[-1].more))
    return "\n\n".join(part for part in contents if part)


def _calls(more: str) -> str:
    if not more:
        return ""
    fields = json.loads(more)
    calls = fields.get("tool_calls") or []
    calls = [
        *(calls if isinstance(calls, list) else [calls]),
        *([fields["function_call"]] if "function_call" in fields else []),
    ]
    return "\n".join(map(_call, calls))


def _call(call: Any) -> str:
    function = call.get("function", call) if isinstance(call, Mapping) else call
    if not isinstance(function, Mapping) or "name" not in function:
        return as_json(call)
    arguments = function.get("arguments", {})
    return f"{function['name']}({arguments if isinstance(arguments, str) else as_json(arguments)})"


def prompt_and_messages(turns: Sequence[Turn]) -> tuple[str, str | None]:
    """The columns `prompt` and `messages` of the turns before the response."""
    if len(turns) == 1 and turns[0].role == "user" and not turns[0].more:
        return turns[0].content, None
    text = "\n\n".join(f"{turn.role}: {_shown(turn)}" for turn in turns)
    return text, turns_as_json(turns)


def _shown(turn: Turn) -> str:
    return (
        "\n\n".join(part for part in (turn.content, _calls(turn.more)) if part) if turn.more else turn.content
    )


def turns_as_json(turns: Sequence[Turn]) -> str:
    """The JSON list of turns, with all that is kept of them."""
    plain = [{"role": turn.role, "content": turn.content} for turn in turns]
    return as_json([p | json.loads(t.more) if t.more else p for p, t in zip(plain, turns, strict=True)])
