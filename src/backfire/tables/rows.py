"""The rows of a user's table, read whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backfire.errors import InputError
from backfire.tables.chunk import UNREAD
from backfire.tables.lines_of_text import COLUMN
from backfire.tables.opening import open_source


@dataclass(frozen=True)
class Table:
    """Rows as dictionaries, and their numbers as the file counts them."""

    origin: str
    rows: list[dict[str, Any]]
    numbers: list[int]
    """Lines of JSONL and text; rows of other formats, from 1, a header not counted."""

    @property
    def columns(self) -> list[str]:
        """All columns, in the order in which they come."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def numbered(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows, each with its number."""
        return zip(self.numbers, self.rows, strict=True)


def read_table(
    dataset: Any,
    *,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    encoding: str | None = None,
) -> Table:
    """The rows of a file in any format, a folder, a hub name, or a data set in memory, as `open_source` opens them.

    Plain strings and lines of text become the column `prompt`.

    Raises:
        InputError: what `open_source` raises, or a row that cannot be read or is no object, with its number.
    """
    source = open_source(dataset, config, split, revision, encoding)
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    for chunk in source.chunks(None, None):
        numbers += chunk.numbers.tolist()
        for number, row in zip(
            chunk.numbers.tolist(), chunk.values(np.arange(len(chunk.numbers))), strict=True
        ):
            if row is UNREAD:
                raise InputError(f"{source.origin} cannot be read: {source.fault(number)}")
            if isinstance(row, str):
                row = {COLUMN: row}
            if not isinstance(row, Mapping):
                raise InputError(f"row {number} of {source.origin} is not an object: give one object a row")
            rows.append(dict(row))
    return Table(source.origin, rows, numbers)


def read_rows(
    dataset: Any,
    *,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    encoding: str | None = None,
) -> list[dict[str, Any]]:
    """The rows of `read_table` alone."""
    return read_table(dataset, config=config, split=split, revision=revision, encoding=encoding).rows


def undecodable(text: str) -> bool:
    """Whether it holds lone surrogates, which JSON admits and neither UTF-8 nor a tokenizer does."""
    return any("\ud800" <= c <= "\udfff" for c in text)


def check_decodable(number: int, path: str | Path, **cells: str) -> None:
    """Raise InputError, which names row and column, for a cell that holds half a character."""
    for column, text in cells.items():
        if undecodable(text):
            raise InputError(
                f"row {number} of {path} holds half a character (a lone surrogate) in `{column}`: fix or remove it"
            )
