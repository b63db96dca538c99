"""Reading what is trained on: preference pairs and conversations, from files, folders, tables or rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError
from backfire.records import Prompt
from backfire.store import read_rows

if TYPE_CHECKING:
    from datasets import Dataset

Row = dict[str, Any]
FORMATS = (".parquet", ".jsonl", ".json")
"""No table of text cells: turns would come as their text, and be trained on as such."""
TEMPLATE_COLUMNS = ("tools", "chat_template_kwargs")
"""Optional columns that change how TRL renders a row; every other extra column is provenance and stays behind."""


def read_pairs(source: str | Path | Dataset | Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of `prompt`, `chosen`, `rejected` for TRL, in order.

    Takes what TRL takes, conversational (lists of role and content) or plain strings, with the prompt in its
    own column or as the shared beginning of both sides; and the widespread mixture of a plain `prompt` beside
    conversational sides. Raises InputError for missing columns, an empty table, a row that is neither, or rows of
    several forms.
    """
    rows, name = _rows(source)
    _need(rows, ("chosen", "rejected"), name, "each row needs a chosen and a rejected response")
    places = [_place(name, number, row) for number, row in enumerate(rows)]
    return _alike([(place, _pair(row, place)) for place, row in zip(places, rows, strict=True)])


def read_conversations(source: str | Path | Dataset | Iterable[Mapping[str, Any]]) -> tuple[list[Row], int]:
    """Rows of `prompt` and `completion` for TRL, and how many rows were read.

    `messages` rows give one example for each assistant turn, the turns before it being the prompt, so that
    every assistant token is trained on once and nothing else is. Raises InputError as `read_pairs` does.
    """
    rows, name = _rows(source)
    if rows and "messages" not in rows[0]:
        _need(rows, ("prompt", "completion"), name, "give `messages`, or `prompt` and `completion`")
    examples: list[tuple[str, Row]] = []
    for number, row in enumerate(rows):
        place = _place(name, number, row)
        kept = {c: row[c] for c in TEMPLATE_COLUMNS if row.get(c) is not None}
        if "messages" in row:
            turns = row["messages"]
            _conversation(turns, "messages", place)
            at = [i for i, turn in enumerate(turns) if turn["role"] == "assistant"]
            if not at or at[0] == 0:
                raise InputError(f"{place}: messages need an assistant turn after another one, to learn from")
            examples += [(place, {"prompt": turns[:i], "completion": [turns[i]], **kept}) for i in at]
        else:
            _same_form(row, ("prompt", "completion"), place)
            examples.append((place, {"prompt": row["prompt"], "completion": row["completion"], **kept}))
    if not examples:
        raise InputError(f"{name} has no rows: nothing to train on")
    return _alike(examples), len(rows)


def conversational(rows: list[Row]) -> bool:
    """Whether rows are lists of turns, which pass through the chat template, or plain strings."""
    return not isinstance(rows[0].get("chosen", rows[0].get("completion")), str)


def unusual_prompts(rows: list[Row]) -> list[Prompt]:
    """The prompts that are not user and assistant by turns, the user last: a template may drop or refuse those."""
    found = {}
    for row in rows:
        turns = row.get("prompt") or row["chosen"][:-1]
        usual = ("user", "assistant") * (len(turns) // 2) + ("user",)
        if tuple(turn["role"] for turn in turns) != usual:
            prompt = Prompt.of_messages(turns)
            found[prompt.id] = prompt
    return list(found.values())


def _pair(row: Mapping[str, Any], place: str) -> Row:
    pair: Row = {c: row[c] for c in ("prompt", "chosen", "rejected") if row.get(c) is not None}
    prompt = pair.get("prompt")
    if isinstance(prompt, str) and not isinstance(pair.get("chosen"), str):
        _same_form(pair, ("chosen", "rejected"), place)
        if pair["chosen"][0]["role"] == "assistant":
            pair["prompt"] = [{"role": "user", "content": prompt}]
        else:
            del pair["prompt"]  # the sides repeat it as their first turn
    columns = ("prompt", "chosen", "rejected") if "prompt" in pair else ("chosen", "rejected")
    _same_form(pair, columns, place)
    return pair | {c: row[c] for c in TEMPLATE_COLUMNS if row.get(c) is not None}


def _same_form(row: Mapping[str, Any], columns: tuple[str, ...], place: str) -> None:
    plain = [isinstance(row.get(c), str) for c in columns]
    if all(plain):
        return
    if any(plain):
        text = ", ".join(c for c, p in zip(columns, plain, strict=True) if p)
        raise InputError(
            f"{place}: {text} is plain text and the rest is not: give all as text or all as turns"
        )
    for column in columns:
        _conversation(row.get(column), column, place)


def _alike(examples: list[tuple[str, Row]]) -> list[Row]:
    """Rows of one form: a table takes its columns from the first row, and would drop the others' without a word."""
    rows = [row for _, row in examples]
    first = _form(rows[0]) if rows else ""
    for place, row in examples:
        if _form(row) != first:
            raise InputError(
                f"{place} has {_form(row)}, and {examples[0][0]} {first}: give all rows in one form, or train on "
                "each form by itself"
            )
    if any("tools" in row for row in rows):
        rows = [{"tools": None, **row} for row in rows]
    return rows


def _form(row: Row) -> str:
    """Its columns, and whether they are text or turns; `tools` may be there or not."""
    said = "plain text" if isinstance(row.get("chosen", row.get("completion")), str) else "turns"
    return f"{', '.join(sorted(row.keys() - {'tools'}))} in {said}"


def _conversation(turns: object, column: str, place: str) -> None:
    good = isinstance(turns, list) and turns and all(isinstance(t, Mapping) for t in turns)
    if not good or not all(isinstance(t.get(k), str) for t in turns for k in ("role", "content")):  # type: ignore[attr-defined]
        shown = repr(turns)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise InputError(
            f"{place}: {column} is {shown}: give text, or a list of turns that have a role and a content"
        )


def _need(rows: list[Row], columns: tuple[str, ...], name: str, mend: str) -> None:
    if not rows:
        raise InputError(f"{name} has no rows: nothing to train on")
    missing = [c for c in columns if c not in rows[0]]
    if missing:
        found = ", ".join(rows[0]) or "none"
        raise InputError(f"{name} has no column {', '.join(missing)} (columns: {found}): {mend}")


def _place(name: str, number: int, row: Mapping[str, Any]) -> str:
    return f"{name}, row {number}" + (f" (pair {row['pair_id']})" if row.get("pair_id") else "")


def _rows(source: str | Path | Dataset | Iterable[Mapping[str, Any]]) -> tuple[list[Row], str]:
    """Every row as a dict, and the source's name for messages."""
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir() and not (path / "train.parquet").is_file():
            raise InputError(
                f"{path} has no train.parquet: name a folder that `backfire pair` wrote, or a file"
            )
        return _read(path / "train.parquet" if path.is_dir() else path), str(source)
    if hasattr(source, "column_names") and isinstance(source.column_names, dict):
        raise InputError(f"the data set has splits {', '.join(source.column_names)}: pass one of them")
    return [dict(row) for row in source], "the data"


def _read(path: Path) -> list[Row]:
    if path.suffix not in FORMATS:
        raise InputError(f"{path} is not a .parquet, .jsonl or .json file: convert it to one of these")
    return read_rows(path)
