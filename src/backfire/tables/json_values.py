"""JSON over several lines: one value, or several one after the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.tables.in_memory import ListOfRows
from backfire.tables.json_containers import rows_of
from backfire.tables.json_lines import integer
from backfire.tables.text_files import opened


def open_json(path: Path, origin: str, encoding: str | None = None, split: str | None = None) -> ListOfRows:
    """A JSON file as rows. It is read whole, since JSON values cannot be split safely.

    Raises:
        InputError: it is not JSON, or holds no rows.
    """
    with opened(path, encoding) as file:
        text = file.read().decode("utf-8", "surrogateescape")
    values = _values(text, path)
    return ListOfRows(rows_of(values[0] if len(values) == 1 else values, str(path), split), origin)


def _values(text: str, path: Path) -> list[Any]:
    decoder = json.JSONDecoder(parse_int=integer)
    values: list[Any] = []
    at = _after_blanks(text, 0)
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            which = f"after {len(values)} values, " if values else ""
            raise InputError(
                f"{path} is not JSON ({which}{error}): fix it, or save one row a line as .jsonl"
            ) from error
        values.append(value)
        at = _after_blanks(text, at)
        if text[at : at + 1] == "," and isinstance(value, dict):
            at = _after_blanks(text, at + 1)
    if not values:
        raise InputError(f"{path} is empty: it holds no rows")
    return values


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
