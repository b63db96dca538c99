"""Rows out of a JSON value: a list, an object around one, splits, columns, or a table as pandas writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backfire.errors import InputError
from backfire.tables.columns import (
    PAIR_COLUMNS,
    PROMPT_COLUMNS,
    RARER_PROMPT_COLUMNS,
    RESPONSE_COLUMNS,
    normal,
)
from backfire.tables.splits import chosen_split, refuse_options

_TEXTS = frozenset((*PROMPT_COLUMNS, *RARER_PROMPT_COLUMNS, *RESPONSE_COLUMNS, *PAIR_COLUMNS))
"""Columns that hold the texts of a row: an object in which one of them is no list is a row."""
_TURNS = ({"role"}, {"from", "value"})
_VIEWER = {"row_idx", "row", "truncated_cells"}
"""The keys of a row as the hub's viewer gives it."""


def is_container(value: Any) -> bool:
    """Whether an object holds rows, and is none itself."""
    return isinstance(value, dict) and _splits(value) is not None


def rows_of(value: Any, origin: str, split: str | None = None) -> list[Any]:
    """The rows of a JSON value; an object that is no container is one row.

    Raises:
        InputError: it is neither a list nor an object; it has no such split, or several and no train; or the hub's
            viewer cut its cells.
    """
    if isinstance(value, dict) and (splits := _splits(value)) is not None:
        if "" not in splits:
            return _unwrapped(chosen_split(splits, split, origin), origin)
        value = splits[""]
    refuse_options(f"{origin} has no splits", split=split)
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise InputError(f"{origin} holds a {type(value).__name__}: a list of rows is needed")
    return _unwrapped(value, origin)


def _splits(value: Mapping[str, Any]) -> dict[str, list[Any]] | None:
    """The rows that an object holds by the name of their split, or all of them under ""; None if it is a row itself."""
    for read in (_viewer, _pandas_split, _pandas_table):
        if (rows := read(value)) is not None:
            return {"": rows}
    if any(_is_turns(held) or (normal(name) in _TEXTS and _is_cell(held)) for name, held in value.items()):
        return None
    for read in (_columns, _numbered_columns, _keyed_rows):
        if (rows := read(value)) is not None:
            return {"": rows}
    splits: dict[str, list[Any]] = {}
    for name, held in value.items():
        if isinstance(held, list) and all(isinstance(row, dict) for row in held):
            if normal(name) in _TEXTS:
                return None
            splits[name] = held
        elif isinstance(held, dict) and (inner := _splits(held)) is not None and len(inner) == 1:
            splits[name] = next(iter(inner.values()))
    texts = {name for name, rows in splits.items() if any(map(_holds_texts, rows[:10]))}
    return {name: rows for name, rows in splits.items() if not rows or name in texts or not texts} or None


def _is_cell(held: Any) -> bool:
    """Whether a value is what one row holds in a column, rather than the column."""
    return not isinstance(held, (list, dict)) or (isinstance(held, dict) and not _is_numbered(held))


def _is_turns(held: Any) -> bool:
    if isinstance(held, list):
        held = held[0] if held else None
    return isinstance(held, dict) and any(keys <= held.keys() for keys in _TURNS)


def _is_numbered(held: Any) -> bool:
    """Whether an object holds one value a row, by number, as pandas writes a column."""
    return isinstance(held, dict) and bool(held) and all(key.isdecimal() for key in held)


def _viewer(value: Mapping[str, Any]) -> list[Any] | None:
    rows = value.get("rows")
    return rows if isinstance(rows, list) and _are_viewed(rows) else None


def _are_viewed(rows: Sequence[Any]) -> bool:
    return bool(rows) and all(
        isinstance(row, dict) and row.keys() <= _VIEWER and isinstance(row.get("row"), dict) for row in rows
    )


def _pandas_split(value: Mapping[str, Any]) -> list[Any] | None:
    names, data = value.get("columns"), value.get("data")
    if not value.keys() <= {"columns", "index", "data", "index_names", "column_names"} or not isinstance(
        names, list
    ):
        return None
    if not isinstance(data, list) or not all(
        isinstance(row, list) and len(row) == len(names) for row in data
    ):
        return None
    return [dict(zip(map(str, names), row, strict=True)) for row in data]


def _pandas_table(value: Mapping[str, Any]) -> list[Any] | None:
    schema, data = value.get("schema"), value.get("data")
    if value.keys() != {"schema", "data"} or not isinstance(schema, dict) or not isinstance(data, list):
        return None
    return data if "fields" in schema else None


def _columns(value: Mapping[str, Any]) -> list[Any] | None:
    """A list for each column."""
    lists = {name: held for name, held in value.items() if isinstance(held, list)}
    known = sum(normal(name) in _TEXTS for name in lists)
    if len({len(held) for held in lists.values()}) != 1 or (len(lists) < len(value) and known < 2):
        return None
    if not known and all(isinstance(item, dict) for held in lists.values() for item in held):
        return None
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def _numbered_columns(value: Mapping[str, Any]) -> list[Any] | None:
    """An object for each column, with a value for each row's number: `DataFrame.to_json`."""
    if not value or not all(map(_is_numbered, value.values())):
        return None
    if all(key.isdecimal() for key in value):
        return None
    numbers = dict.fromkeys(number for column in value.values() for number in column)
    return [{name: column.get(number) for name, column in value.items()} for number in numbers]


def _keyed_rows(value: Mapping[str, Any]) -> list[Any] | None:
    """An object for each row, by its number or another key: `DataFrame.to_json(orient="index")`."""
    if not value or not all(isinstance(held, dict) for held in value.values()):
        return None
    rows: list[Any] = list(value.values())
    by_number = all(key.isdecimal() for key in value)
    return rows if by_number or all(_holds_texts(row) for row in rows) else None


def _holds_texts(row: Mapping[str, Any]) -> bool:
    return _splits(row) is None and any(normal(name) in _TEXTS for name in row)


def _unwrapped(rows: Sequence[Any], origin: str) -> list[Any]:
    """Rows as they are, or without what the hub's viewer puts around each."""
    if not _are_viewed(rows):
        return list(rows)
    for row in rows:
        if cut := row.get("truncated_cells"):
            raise InputError(
                f"{origin}: the hub's viewer cut {', '.join(map(str, cut))} of row {row.get('row_idx')}: take the data "
                "set itself, by its name or as its Parquet files"
            )
    return [row["row"] for row in rows]
