"""Conversations to be fine-tuned on: which column holds what, and which turns are learned."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backfire.errors import InputError
from backfire.preferences.message_text import is_messages, value_in
from backfire.preferences.schema import Unusable, as_json
from backfire.preferences.turns import turns_of
from backfire.records import Completion, Message, Prompt
from backfire.tables import undecodable
from backfire.tables.columns import find, listed
from backfire.tables.opening import open_source

TURNS = ("messages", "conversations", "conversation", "dialog")
ANSWERS = ("completion", "response", "output", "answer")
ASKED = ("prompt", "instruction", "question", "query")
SYSTEMS = ("system", "system_prompt")
OPTIONS = "chat_template_kwargs"
ROLES = ("messages", "prompt", "response", "input", "system")
"""What `columns` can name."""
HEAD = 100


@dataclass(frozen=True)
class Conversations:
    """Prompts and what is learned after them, one for each assistant turn, and the rows that give none."""

    origin: str
    form: str
    given: int
    """Rows read."""
    examples: Sequence[tuple[Prompt, Completion]]
    rows: Sequence[int]
    """The row of each example, from 1."""
    left_out: Mapping[str, int]
    """Rows that give no example, by defect."""


def read_conversations(
    source: Any,
    *,
    columns: Mapping[str, str] | None = None,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    encoding: str | None = None,
) -> Conversations:
    """Read `messages` or `conversations`, a prompt and a `completion`, or `instruction`, `input` and `output`.

    `columns` maps a role (ROLES) to the column that holds it, where its name is another one.

    Raises:
        InputError: it cannot be read, has none of these columns, or no row gives anything to learn; a role of `columns`
            is not one of ROLES, names a column that is not there, or is not used beside the others.
    """
    opened = open_source(
        source
        if isinstance(source, (str, Path, Mapping)) or hasattr(source, "column_names")
        else list(source),
        config,
        split,
        revision,
        encoding,
    )
    there = opened.head(HEAD).columns
    if not there:
        raise InputError(f"{opened.origin} has no rows: there is nothing to train on")
    form = _form(there, opened.origin, dict(columns or {}))
    examples: list[tuple[Prompt, Completion]] = []
    rows: list[int] = []
    left_out: Counter[str] = Counter()
    first: dict[str, int] = {}
    given = 0
    for chunk in opened.chunks(None, None):
        given += len(chunk.numbers)
        values = chunk.values(np.arange(len(chunk.numbers)))
        for number, row in zip(chunk.numbers.tolist(), values, strict=True):
            try:
                of_row = list(_examples(row, form))
            except Unusable as error:
                left_out[error.kind] += 1
                first.setdefault(error.kind, number)
                continue
            examples += of_row
            rows += [number] * len(of_row)
    if not examples:
        if not given:
            raise InputError(f"{opened.origin} has no rows: there is nothing to train on")
        kind, count = left_out.most_common(1)[0]
        raise InputError(
            f"none of the {given} rows of {opened.origin} gives anything to learn: {count} {_IN_WORDS[kind]}, the first of "
            f"them row {first[kind]}; give {form.wanted}"
        )
    return Conversations(opened.origin, form.name, given, examples, rows, dict(left_out))


@dataclass(frozen=True)
class _Form:
    name: str
    wanted: str
    turns: str = ""
    """The column of whole conversations, or else:"""
    prompt: str = ""
    input: str = ""
    history: str = ""
    answer: str = ""
    system: str = ""


_IN_WORDS = {
    "wrong type": "hold a value of another type than their column",
    "no final assistant turn": "have no assistant turn after another one",
    "missing side": "have no prompt or no response",
    "blank side": "have a blank response",
    "undecodable": "cannot be decoded",
}


def _form(columns: Sequence[str], origin: str, named: Mapping[str, str]) -> _Form:
    _check_named(columns, origin, named)

    def one(names: Sequence[str], role: str = "") -> str:
        return named[role] if role in named else next(iter(find(columns, names)), "")

    system = one(SYSTEMS, "system")
    apart = {"prompt", "response", "input"} & named.keys()
    if turns := named.get("messages", "" if apart else one(TURNS)):
        wanted = f"`{turns}` as a list of turns with role and content, the assistant's after another one"
        return _Form("conversations", wanted, turns=turns, system=system)
    prompt, answer = one(ASKED, "prompt") or one(("input",)), one(ANSWERS, "response")
    if not prompt or not answer:
        raise InputError(
            f"{origin} has no conversations (columns: {listed(columns)}): give `messages`, or `prompt` and `completion`, or "
            "`instruction`, `input` and `output`, or name the columns by `columns`, such as messages=turns or "
            "prompt=question,response=answer"
        )
    beside = find(columns, ("instruction",)) == [prompt] or "input" in named
    return _Form(
        "prompts and completions",
        f"`{prompt}` and `{answer}` as text, or as lists of turns with role and content",
        prompt=prompt,
        input=one(("input",), "input") if beside else "",
        history=one(("history",)) if beside else "",
        answer=answer,
        system=system,
    )


def _check_named(columns: Sequence[str], origin: str, named: Mapping[str, str]) -> None:
    for role, column in named.items():
        if role not in ROLES:
            raise InputError(
                f"columns: there is no role {role!r} in conversations: name one of {', '.join(ROLES)}"
            )
        if column not in columns:
            raise InputError(f"columns: {origin} has no column {column!r} (columns: {listed(columns)})")
    apart = {"prompt", "response", "input"} & named.keys()
    if "messages" in named and apart:
        raise InputError(
            f"columns: {min(apart)} is not read beside messages, which hold the whole conversation: name one or the other"
        )


def _examples(row: Any, form: _Form) -> Iterator[tuple[Prompt, Completion]]:
    """Each assistant turn that is to be learned, after all that stands before it."""
    if not isinstance(row, Mapping):
        raise Unusable("undecodable")
    if form.turns:
        turns, known = _turns(row.get(form.turns)), 0
    else:
        turns, answer = _prompt(row, form), _turns_of(row.get(form.answer), "assistant")
        known = len(turns)
        turns = [*turns, *answer]
    system = row.get(form.system) if form.system else None
    if isinstance(system, str) and system.strip() and turns[0].role != "system":
        turns, known = [Message("system", system), *turns], known + 1
    if any(undecodable(turn.content) for turn in turns):
        raise Unusable("undecodable")
    tools, options = _json_of(row.get("tools"), list), _json_of(row.get(OPTIONS), Mapping)
    learned = [k for k, turn in enumerate(turns) if k and k >= known and turn.role == "assistant"]
    if not learned:
        raise Unusable("no final assistant turn")
    if not any(_filled(turns[k]) for k in learned):
        raise Unusable("blank side")
    for k in learned:
        if _filled(turns[k]):
            prompt = Prompt(tuple(turns[:k]), tools=tools, template_options=options)
            yield prompt, (turns[k].content if not turns[k].more else (turns[k],))


def _prompt(row: Mapping[str, Any], form: _Form) -> list[Message]:
    turns = _turns_of(row.get(form.prompt), "user")
    more = row.get(form.input) if form.input else None
    if isinstance(more, str) and more.strip() and len(turns) == 1:
        turns = [Message("user", f"{turns[0].content}\n{more}")]
    past: list[Message] = []
    for exchange in (row.get(form.history) if form.history else None) or ():
        if not isinstance(exchange, (list, tuple)) or len(exchange) != 2 or not all(map(_is_text, exchange)):
            raise Unusable("wrong type")
        past += [Message("user", exchange[0]), Message("assistant", exchange[1])]
    return [*past, *turns]


def _turns_of(value: Any, role: str) -> list[Message]:
    """Text as one turn, or turns."""
    if value is None or (isinstance(value, (str, list)) and not value):
        raise Unusable("missing side")
    if isinstance(value, str) and not is_messages(value_in(value)):
        return [Message(role, value)]
    return _turns(value)


def _turns(value: Any) -> list[Message]:
    if value is None:
        raise Unusable("missing side")
    if isinstance(value, str):
        value = value_in(value)
    return [Message(turn.role, turn.content, turn.more) for turn in turns_of(value)]


def _filled(turn: Message) -> bool:
    return bool(turn.content.strip() or turn.more)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _json_of(value: Any, kind: type) -> str:
    """A list or an object, as it is or as JSON, as JSON; empty where there is none."""
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            raise Unusable("wrong type") from None
    if value is None or value == "":
        return ""
    if not isinstance(value, kind):
        raise Unusable("wrong type")
    if isinstance(value, Mapping):
        value = {key: one for key, one in value.items() if one is not None}
    return as_json(value) if value else ""
