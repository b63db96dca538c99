"""Prompts from a user's file: AdvBench, JailbreakBench, SimpleSafetyTests, Alpaca, TRL rows, or plain lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.records import Kind, Prompt
from backfire.tables import read_table, undecodable
from backfire.tables.columns import TARGET_COLUMNS, find, kind_column, prompt_column


@dataclass(frozen=True)
class PromptFile:
    """A file's prompts in its order, each once."""

    prompts: tuple[Prompt, ...]
    column: str
    """The column that was read."""
    left_out: Mapping[str, int]
    """Rows by reason: `blank`, `duplicate`, `undecodable`."""
    ignored: str | None = None
    """A column called `kind` or the like that was not read as one: it speaks of something else (`tables.columns`)."""


def read_prompts(
    path: str | Path,
    *,
    column: str | None = None,
    kind: Kind | None = None,
    split: str | None = None,
    encoding: str | None = None,
) -> PromptFile:
    """Read prompts from a table in any format that `tables` reads (of TXT, a line is a prompt), a folder or the hub.

    A cell is a text (one user turn) or a list of turns with role and content that ends with the user's. Beside an
    Alpaca `instruction`, a filled `input` cell is set below it after a blank line. A column `kind` (or is_harmful, harmful,
    unsafe) says which prompts are harmful, as `tables.columns.kind_column` has it; the other columns become tags. A
    row with half a character (a lone surrogate) in its prompt or
    in one of TARGET_COLUMNS is left out; in another column it costs that tag.

    Args:
        column: where the prompts are; None finds a column of a usual name.
        kind: the kind of every prompt whose row does not say.
        split: which split of a folder, of a JSON file that has several, or of a data set on the hub.
        encoding: of a text file that is not UTF-8, such as cp1252.

    Raises:
        InputError: what `tables.read_table` raises; no or several columns that could hold prompts (with the columns
            found), a cell that is no prompt, a kind that is none, or one prompt given both as harmful and as benign.
    """
    if kind not in (None, "harmful", "benign"):
        raise InputError(f"kind {kind!r}: use harmful, benign or nothing")
    table = read_table(path, split=split, encoding=encoding)
    if not table.rows:
        raise InputError(f"{path} holds no rows: give it at least one prompt")
    prompt_name = prompt_column(table.columns, column, str(path), "column")
    kinds = kind_column(table.columns, table.numbered(), str(path))
    beside = _beside(table.columns, prompt_name)
    used = {prompt_name, beside, kinds.column.name if kinds.column else None}
    prompts: dict[str, Prompt] = {}
    left_out: Counter[str] = Counter()
    for number, row in table.numbered():
        where = f"row {number} of {path}"
        turns = _turns(row, prompt_name, beside, where)
        if turns is None or not turns[-1]["content"].strip():
            left_out["blank"] += 1
            continue
        tags = _tags(row, used)
        shown = [*(turn["content"] for turn in turns), *(tags[name] for name in find(tags, TARGET_COLUMNS))]
        if any(map(undecodable, shown)):
            left_out["undecodable"] += 1
            continue
        tags = {name: value for name, value in tags.items() if not undecodable(name + value)}
        prompt = Prompt.of_messages(turns, kind=kinds.kind(row, number) or kind, tags=tags)
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
    return PromptFile(tuple(prompts.values()), prompt_name, dict(sorted(left_out.items())), kinds.ignored)


def _beside(columns: Sequence[str], prompt: str) -> str | None:
    """The column of what an Alpaca instruction speaks of."""
    if not find([prompt], ("instruction",)):
        return None
    return next(iter(find(columns, ("input",))), None)


def _turns(
    row: Mapping[str, Any], column: str, beside: str | None, where: str
) -> list[dict[str, str]] | None:
    value = row.get(column)
    if value is None or value == []:
        return None
    if isinstance(value, str):
        context = row.get(beside) if beside is not None else None
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


def _tags(row: Mapping[str, Any], used: Collection[str | None]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for name, value in row.items()
        if name not in used and value is not None and value != ""
    }
