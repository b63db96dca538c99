"""Generation prompts that open a thought: the mark, what closes it, and a response without its own opening mark."""

from __future__ import annotations

import json
import re

from backfire.records import Completion, Message

PAIRS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "◁think▷": "◁/think▷",
}
"""Marks that open thoughts in chat templates, and those that close them."""
REASONING = ("reasoning_content", "reasoning", "thinking")
"""Keys of a turn that hold its thoughts."""
_AT_END = re.compile(rf"({'|'.join(map(re.escape, PAIRS))})\s*\Z")


def opened_by(generation_prompt: str) -> str:
    """The mark that a text ends with and so opens a thought, with the white space behind it; empty where it does not."""
    match = _AT_END.search(generation_prompt)
    return "" if match is None else generation_prompt[match.start() :]


def closing_of(opened: str) -> str:
    """The mark that closes what `opened_by` found."""
    return PAIRS[opened.strip()]


def continued(completion: Completion, opened: str) -> str | None:
    """What of a response follows an opened thought: all but its own opening mark; None where it is not one turn of text."""
    turn = Message("assistant", completion) if isinstance(completion, str) else completion[0]
    if not isinstance(completion, str) and len(completion) > 1:
        return None
    more = json.loads(turn.more) if turn.more else {}
    if more.keys() - set(REASONING):
        return None
    thoughts = next((more[key] for key in REASONING if isinstance(more.get(key), str)), "")
    if thoughts.strip():
        return f"{thoughts.strip()}\n{closing_of(opened)}\n\n{turn.content}"
    bare = turn.content.lstrip()
    mark = opened.strip()
    if not bare.startswith(mark):
        return turn.content
    return bare.removeprefix(mark).removeprefix(opened[len(mark) :])
