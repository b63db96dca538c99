"""One cell of a row as what a form needs: the turns of a prompt, a side, a number, a list."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from backfire.preferences.message_text import value_in
from backfire.preferences.plan import Plan
from backfire.preferences.schema import Unusable
from backfire.preferences.splitting import Side
from backfire.preferences.turns import Turn, turns_of
from backfire.preferences.wrappers import prompt_in, turns_in, unwrapped, without_end

Row = Mapping[str, Any]
FULL_TEXT = ("full_text", "text", "post", "article")
"""Where an object holds a prompt's text (WebGPT's question, `info` of summarize_from_feedback)."""


def cell(row: Row, plan: Plan, part: str) -> Any:
    """What a row's column for a part holds; text that spells messages or lists is read as these; None without any, and for NaN.
    Responses lose the marks that end a turn where nearly all end so and the prompts are in such a wrapper.

    Raises:
        Unusable: wrong type, for a cell that spells nothing in a column where nearly all others spell messages.
    """
    column = plan.names.get(part)
    if column is None:
        return None
    value = row.get(column)
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str) and column in plan.spelled:
        if not value.strip():
            return None
        value = value_in(value)
        if value is None:
            raise Unusable("wrong type")
    elif isinstance(value, str) and column in plan.ends:
        return without_end(value, plan.ends[column])
    return value


def text_of(value: Any) -> str:
    """Text that may be absent, as "".

    Raises:
        Unusable: wrong type.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unusable("wrong type")
    return value


def prompt_of_value(value: Any, wrapper: str | None) -> list[Turn]:
    """The turns of a prompt: text (in a wrapper or not), a message, a list of messages, or an object with the text.

    Raises:
        Unusable: no prompt, for null; wrong type.
    """
    if value is None:
        raise Unusable("no prompt")
    if isinstance(value, str):
        return (prompt_in(value, wrapper) or unwrapped(value) if wrapper else None) or [Turn("user", value)]
    if isinstance(value, Mapping):
        text = next((value[key] for key in FULL_TEXT if isinstance(value.get(key), str)), None)
        return turns_of([value]) if text is None or "role" in value else [Turn("user", text)]
    if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], str):
        return [Turn("user", value[0])]
    return turns_of(value)


def side_of_value(value: Any, wrapper: str | None = None) -> Side:
    """A response: text (a whole chat in a wrapper or not), a number, a message, or a list of messages or of one text.

    Raises:
        Unusable: missing side, for null; wrong type.
    """
    if value is None:
        raise Unusable("missing side")
    if isinstance(value, str):
        if wrapper is None:
            return value
        turns = turns_in(value, wrapper)
        if turns is None:
            raise Unusable("wrong type")
        return turns
    if (number := number_text(value)) is not None:
        return number
    if isinstance(value, Mapping):
        return turns_of([value])
    if isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    return turns_of(value)


def number_text(value: Any) -> str | None:
    """A number that stands where a text should, as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return str(value) if isinstance(value, int) or math.isfinite(value) else None
    except ValueError:  # more digits than Python writes
        return None


def number_of(value: Any) -> float | None:
    """A number, also one that is written as text; None for anything else."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def with_system(system: str, turns: list[Turn]) -> list[Turn]:
    """The turns after a system turn, where something is said and they have none of their own."""
    if not system.strip() or (turns and turns[0].role == "system"):
        return turns
    return [Turn("system", system), *turns]
