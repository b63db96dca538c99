"""Prompts from a user's file: AdvBench, JailbreakBench, SimpleSafetyTests, Alpaca, TRL rows, or plain lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.records import Kind, Prompt
from backfire.tables.rows import read_rows, undecodable

PROMPT_COLUMNS = ("prompt", "instruction", "goal", "question", "query", "prompts_final", "messages")
"""Recognised without `column`, in upper or lower case."""
TARGET_COLUMNS = ("target", "Target")
"""Where AdvBench and JailbreakBench keep the beginning of a compliant answer."""


@dataclass(frozen=True)
class PromptFile:
    """A file's prompts in its order, each once."""

    prompts: tuple[Prompt, ...]
    column: str
    """The column that was read."""
    left_out: Mapping[str, int]
    """Rows by reason: `blank`, `duplicate`, `undecodable`."""


def read_prompts(path: str | Path, *, column: str | None = None, kind: Kind | None = None) -> PromptFile:
    """Read prompts from JSONL, JSON, CSV, TSV, Parquet or TXT (a line a prompt).

    A cell is a text (one user turn) or a list of turns with role and content that ends with the user's. Beside an
    Alpaca `instruction`, a filled `input` cell is set below it after a blank line. A column `kind` says `harmful`,
    `benign` or nothing; the other columns become tags. A row with half a character (a lone surrogate) in its prompt or
    in one of TARGET_COLUMNS is left out; in another column it costs that tag.

    Args:
        column: where the prompts are; None finds one of PROMPT_COLUMNS.
        kind: the kind of every prompt whose row does not say.

    Raises:
        InputError: no or several columns that could hold prompts (with the columns found), a cell that is no prompt,
            or one prompt given both as harmful and as benign.
    """
    if kind not in (None, "harmful", "benign"):
        raise InputError(f"kind {kind!r}: use harmful, benign or nothing")
    rows = read_rows(path)
    if not rows:
        raise InputError(f"{path} holds no rows: give it at least one prompt")
    found = _column(rows, column, path)
    prompts: dict[str, Prompt] = {}
    left_out: Counter[str] = Counter()
    for number, row in enumerate(rows, 1):
        where = f"row {number} of {path}"
        turns = _turns(row, found, where)
        if turns is None or not turns[-1]["content"].strip():
            left_out["blank"] += 1
            continue
        tags = _tags(row, found)
        shown = [*(turn["content"] for turn in turns), *(tags.get(name, "") for name in TARGET_COLUMNS)]
        if any(map(undecodable, shown)):
            left_out["undecodable"] += 1
            continue
        tags = {name: value for name, value in tags.items() if not undecodable(name + value)}
        prompt = Prompt.of_messages(turns, kind=_kind(row, kind, where), tags=tags)
        first = prompts.setdefault(prompt.id, prompt)
        if first is not prompt:
            left_out["duplicate"] += 1
            if first.kind is None:
                prompts[prompt.id] = prompt
            elif prompt.kind not in (None, first.kind):
                raise InputError(
                    f"{where} calls a prompt {prompt.kind} that another row calls {first.kind}: {prompt.text!r:.80}; "
                    "give it one kind"
                )
    return PromptFile(tuple(prompts.values()), found, dict(sorted(left_out.items())))


def _column(rows: Sequence[Mapping[str, Any]], named: str | None, path: str | Path) -> str:
    found = list(dict.fromkeys(name for row in rows for name in row))
    there = ", ".join(found)
    if named is not None:
        if named not in found:
            raise InputError(f"{path} has no column {named!r}; its columns are {there}")
        return named
    matches = [name for name in found if name.lower() in PROMPT_COLUMNS]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(
            f"several columns of {path} could be the prompt ({', '.join(matches)}): name one by column"
        )
    raise InputError(
        f"{path} has no column for the prompt: name one by column, or rename it to `prompt`; its columns are {there}"
    )


def _turns(row: Mapping[str, Any], column: str, where: str) -> list[dict[str, str]] | None:
    value = row.get(column)
    if value is None or value == []:
        return None
    if isinstance(value, str):
        context = row.get("input") if column.lower() == "instruction" else None
        text = (
            f"{value}\n\n{context}"
            if isinstance(context, str) and context.strip() and value.strip()
            else value
        )
        return [{"role": "user", "content": text}]
    if not isinstance(value, list) or not all(_is_turn(turn) for turn in value):
        raise InputError(
            f"{where}: {column} is neither a text nor a list of turns with role and content: {value!r:.80}"
        )
    if value[-1]["role"] != "user":
        raise InputError(
            f"{where}: the last turn of {column} is the {value[-1]['role']}'s: end with the user's turn, which is answered"
        )
    return value


def _is_turn(turn: Any) -> bool:
    return (
        isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
    )


def _kind(row: Mapping[str, Any], otherwise: Kind | None, where: str) -> Kind | None:
    value = row.get("kind")
    if value is None or value == "":
        return otherwise
    if value == "harmful" or value == "benign":
        return value  # type: ignore[no-any-return]
    raise InputError(f"{where}: kind is {value!r}: use harmful, benign or nothing")


def _tags(row: Mapping[str, Any], column: str) -> dict[str, str]:
    used = {column, "kind"} | ({"input"} if column.lower() == "instruction" else set())
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for name, value in row.items()
        if name not in used and value is not None and value != ""
    }
