"""What a chat template loses of a prompt or a completion, told by looking for it in the text that it writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, NoReturn, get_args

from backfire.errors import TemplateError
from backfire.models.thoughts import REASONING
from backfire.records import Completion, Message, Prompt

FaultKind = Literal[
    "refused",
    "system turn lost",
    "turn lost",
    "tools lost",
    "tool calls lost",
    "prompt rewritten",
    "reasoning lost",
    "response changed",
    "inside thought",
]
LOSSES: tuple[FaultKind, ...] = get_args(FaultKind)
SURVIVED: tuple[FaultKind, ...] = ("reasoning lost", "response changed", "inside thought")
"""Losses that are counted and not refused: the response is trained on, though not as it stands in the data."""
LEFT_OUT: tuple[FaultKind, ...] = ("tools lost", "tool calls lost")
"""Losses for which training leaves the pair out and counts it; at the others that do not survive it ends with an error."""

GIVE = "give another chat template, as a Jinja file"
THOUGHTS = re.compile(r"\s*<think>\s*(.*?)\s*</think>\s*", re.DOTALL)
SEEN = 40
"""Characters of the thoughts that are looked for."""


class Fault(NamedTuple):
    """What the template refuses or loses, and what to do about it."""

    kind: FaultKind
    message: str

    @property
    def stops(self) -> bool:
        """Whether nothing can be trained on: the pair is left out, or training ends with an error."""
        return self.kind not in SURVIVED

    @property
    def leaves_out(self) -> bool:
        """Whether training goes on without the pair."""
        return self.kind in LEFT_OUT

    def stop(self) -> None:
        """Raise TemplateError, unless the response survives it."""
        if self.stops:
            self._raise()

    def _raise(self) -> NoReturn:
        raise TemplateError(self.message)


class Text(NamedTuple):
    """What a template writes, and what it loses in writing; the text is empty where it refuses."""

    text: str
    fault: Fault | None


def lost_by_prompt(prompt: Prompt, text: str) -> Fault | None:
    """The first turn, tool call or tool of a prompt that does not stand in the text."""
    for turn in prompt.messages:
        if turn.role != "assistant" and not _stands(turn, text):
            kind: FaultKind = "system turn lost" if turn.role == "system" else "turn lost"
            return Fault(
                kind,
                f"the chat template drops the {turn.role} turn of prompt {prompt.id[:8]} "
                f"({turn.content[:40]!r}): move its text into the user turn, or {GIVE} that keeps it",
            )
        if fault := _calls_lost(turn, text, prompt):
            return fault
    if prompt.tools:
        for name in _names(json.loads(prompt.tools)):
            if name not in text:
                return Fault(
                    "tools lost",
                    f"the chat template leaves out the tool {name!r} of prompt {prompt.id[:8]}: leave the column "
                    f"`tools` out of the data, or {GIVE} that renders tools",
                )
    return None


def lost_by_completion(prompt: Prompt, completion: Completion, whole: str) -> Fault | None:
    """What of a completion does not stand in the whole text: calls, other speakers' turns, thoughts, the answer."""
    turns = (Message("assistant", completion),) if isinstance(completion, str) else completion
    for turn in turns:
        if fault := _calls_lost(turn, whole, prompt):
            return fault
        if turn.role != "assistant":
            if not _stands(turn, whole):
                return Fault(
                    "turn lost",
                    f"the chat template drops the {turn.role} turn of a response to prompt {prompt.id[:8]} "
                    f"({turn.content[:40]!r}): {GIVE} that keeps it",
                )
            continue
        if fault := _changed(turn, whole, prompt):
            return fault
    return None


def inside_thought(prompt: Prompt, opened: str, closing: str, after: str) -> Fault | None:
    """That the generation prompt opens a thought and what follows it does not close it."""
    if closing in after:
        return None
    return Fault(
        "inside thought",
        f"the generation prompt opens a thought ({opened.strip()}), and a response to prompt {prompt.id[:8]} "
        f"({after[:SEEN]!r}) does not close it: it is trained as a thought; write {closing} before its answer, or {GIVE}",
    )


def rewritten(prompt: Prompt, before: str, whole: str) -> Fault | None:
    """That the prompt is another text when a response follows it."""
    if whole.startswith(before.rstrip()):
        return None
    place = next(k for k, (a, b) in enumerate(zip(before, whole + "\0", strict=False)) if a != b)
    system = next((t.content.strip() for t in prompt.messages if t.role == "system"), "")
    return Fault(
        "system turn lost" if system and system not in whole else "prompt rewritten",
        f"the chat template writes prompt {prompt.id[:8]} ({', '.join(t.role for t in prompt.messages)}) "
        f"otherwise when a response follows: {before[place : place + 40]!r} becomes "
        f"{whole[place : place + 40]!r}, so training would see another prompt than sampling; fold a "
        f"system turn into the user turn, or {GIVE}",
    )


def _stands(turn: Message, text: str) -> bool:
    """Whether a turn's words are there, as they are or written as a JSON string (tools' results are)."""
    content = turn.content.strip()
    if content in text:
        return True
    return any(json.dumps(content, ensure_ascii=plain)[1:-1] in text for plain in (False, True))


def _calls_lost(turn: Message, text: str, prompt: Prompt) -> Fault | None:
    if '"tool_calls"' not in turn.more:
        return None
    for name in _names(json.loads(turn.more)["tool_calls"]):
        if name not in text:
            return Fault(
                "tool calls lost",
                f"the chat template leaves out the call of the tool {name!r} in an assistant turn of or after prompt "
                f"{prompt.id[:8]}: {GIVE} that renders tool calls",
            )
    return None


def _names(tools: Any) -> Iterator[str]:
    """Names of functions in a list of tools or of tool calls, nested under `function` or not."""
    for tool in tools if isinstance(tools, list) else [tools]:
        inner = tool.get("function", tool) if isinstance(tool, Mapping) else {}
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if isinstance(name, str):
            yield name


def _changed(turn: Message, whole: str, prompt: Prompt) -> Fault | None:
    """Thoughts that are left out, or an answer that stands there otherwise."""
    if not turn.more and turn.content in whole:
        return None
    fields = json.loads(turn.more) if turn.more else {}
    thoughts = next((fields[k] for k in REASONING if isinstance(fields.get(k), str)), "")
    content = turn.content
    if match := THOUGHTS.match(content):
        thoughts, content = thoughts or match[1], content[match.end() :]
    if thoughts.strip()[:SEEN] not in whole:
        return Fault(
            "reasoning lost",
            f"the chat template leaves out the reasoning of a response to prompt {prompt.id[:8]} "
            f"({thoughts.strip()[:SEEN]!r}): it is not trained on; {GIVE} that keeps it",
        )
    if content.strip() not in whole:
        return Fault(
            "response changed",
            f"the chat template writes a response to prompt {prompt.id[:8]} otherwise than it stands in the data "
            f"({content.strip()[:SEEN]!r})",
        )
    return None
