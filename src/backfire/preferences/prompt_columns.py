"""Which column holds the prompt, which stand beside it, and what to say where there was a choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backfire.preferences.cells import FULL_TEXT
from backfire.preferences.columns import PROMPTS, SYSTEMS
from backfire.preferences.look import Look
from backfire.preferences.settings import COLUMNS
from backfire.preferences.wrappers import wrapper_of

HALF = 0.5
"""A column called so is the prompt's when this share of its first values can be prompts: others are defects."""


@dataclass(frozen=True)
class PromptColumns:
    names: dict[str, str]
    """prompt, input, history and system, as far as there are any."""
    shape: str | None = None
    """text, turns, or None without a prompt."""
    wrapped: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def prompt_columns(look: Look, *, also: str | None = None, taken: tuple[str, ...] = ()) -> PromptColumns:
    """The prompt's columns: the caller's, or the first of PROMPTS that holds requests, or `also`.

    A text that is the same in all rows is an instruction, and stands before another column's that differs. `taken` are
    columns that hold something else.
    """
    columns, notes = _prompt(look, also, taken)
    names = {"prompt": columns[0]} if columns else {}
    names |= {"input": columns[1]} if len(columns) > 1 else {}
    if columns and len(columns) == 1 and "prompt" not in look.asked:
        names |= _input_and_history(look, columns[0], taken)
    system = look.asked.get("system") or look.column(*SYSTEMS)
    if (
        system
        and system not in (*taken, *names.values())
        and (look.is_text(system) or not look.values(system))
    ):
        names["system"] = system
    if not columns:
        return PromptColumns(names)
    shape = "text" if look.mostly(columns[0], _is_plain, HALF) else "turns"
    wrapper = (
        wrapper_of(look.texts(columns[0]), answered=False) if shape == "text" and not look.plain else None
    )
    wrapped = {columns[0]: wrapper} if wrapper and len(columns) == 1 else {}
    if wrapped:
        notes += (
            f"The prompts in `{columns[0]}` are chats written as text ({wrapper}); they are read as their turns.",
        )
    return PromptColumns(names, shape, wrapped, notes)


def _input_and_history(look: Look, prompt: str, taken: tuple[str, ...]) -> dict[str, str]:
    """What stands beside a request: LLaMA-Factory's `input` beside `instruction`, and `history` beside any."""
    names = {}
    further, history = look.column("input"), look.column("history")
    instruction = prompt == look.column("instruction")
    if instruction and further and further not in taken and look.shapes[further] in ("text", "nothing"):
        names["input"] = further
    exchanges = look.values(history)
    if (
        history
        and history not in (prompt, *taken)
        and (instruction or (exchanges and all(map(_is_exchanges, exchanges))))
    ):
        names["history"] = history
    return names


def _is_exchanges(value: Any) -> bool:
    """Whether a value is a list of earlier exchanges: pairs of a question and an answer, or messages."""
    return isinstance(value, list) and all(
        isinstance(one, Mapping) or (isinstance(one, list) and len(one) == 2) for one in value
    )


def _prompt(look: Look, also: str | None, taken: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if "prompt" in look.asked:
        return (look.asked["prompt"],), ()
    there = [look.named[name] for name in PROMPTS if name in look.named]
    able = [name for name in there if name not in taken and look.mostly(name, _is_prompt, HALF)]
    if also is not None and (not able or (also not in able and not _is_first(look, able[0]))):
        able.insert(0, also)
    if not able:
        return (also,) if also else (), ()
    fixed = [name for name in able if look.constant(name)]
    free = [name for name in able if name not in fixed]
    if fixed and free and look.is_text(free[0]):
        note = f"`{fixed[0]}` is the same in all rows: it is read as an instruction before `{free[0]}`."
        return (fixed[0], free[0]), (note,)
    first = able[0]
    beside = (look.column("input"), look.column("history")) if first == look.column("instruction") else ()
    others = [name for name in able[1:] if name not in beside]
    return (first,), _chosen(first, others)


def _is_first(look: Look, name: str) -> bool:
    return name == look.column("prompt")


def _chosen(first: str, others: list[str]) -> tuple[str, ...]:
    if not others:
        return ()
    names = " and ".join(f"`{name}`" for name in others)
    return (
        f"The prompt is read from `{first}`, and not from {names}: `{COLUMNS} prompt={others[0]}` takes that instead.",
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) == 1 and isinstance(value[0], str)
    return isinstance(value, str) or (
        isinstance(value, Mapping) and any(isinstance(value.get(k), str) for k in FULL_TEXT)
    )


def _is_prompt(value: Any) -> bool:
    """Text, alone or in a list; a message, or a list of messages; no number and no list of pairs."""
    if isinstance(value, str):
        return True
    if isinstance(value, list):
        return _is_plain(value) or (bool(value) and all(isinstance(turn, Mapping) for turn in value))
    return isinstance(value, Mapping) and (_is_plain(value) or "role" in value or "from" in value)
