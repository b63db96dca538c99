"""JSON that is one value: a list of rows, columns, or an object around a list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.tables.chunk import Source
from backfire.tables.in_memory import ListOfRows
from backfire.tables.json_lines import JsonLines, opened, value_of


def open_json(path: Path) -> Source:
    """A .json file as rows. Such a file is read whole, since JSON lists cannot be split safely; JSON lines under the
    name .json are recognised and stream.

    Raises:
        InputError: it is not JSON, or no list of rows.
    """
    if _is_lines(path):
        return JsonLines(path)
    with opened(path) as file:
        text = file.read().decode("utf-8-sig", "surrogateescape")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if "\n{" in text.strip():
            return JsonLines(path)
        raise InputError(
            f"{path} is not JSON ({error}): mend it, or save one row a line as .jsonl"
        ) from error
    rows = _rows(value)
    if not isinstance(rows, list):
        raise InputError(f"{path} holds a {type(rows).__name__}: a list of rows is needed")
    return ListOfRows(rows, str(path))


def _is_lines(path: Path) -> bool:
    """Whether the first two lines that are not blank are an object and the beginning of another."""
    with opened(path) as file:
        begun = []
        for line in file:
            if line.strip():
                begun.append(line)
            if len(begun) == 2:
                break
    if len(begun) < 2 or not begun[1].lstrip().startswith(b"{"):
        return False
    return isinstance(value_of(begun[0].removeprefix(b"\xef\xbb\xbf")), dict)


def _rows(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    lists = {k: v for k, v in value.items() if isinstance(v, list)}
    wrapped = len(lists) == 1 and len(value) <= 3
    if wrapped:
        return next(iter(lists.values()))
    if lists and len({len(v) for v in lists.values()}) == 1:
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return [value]
