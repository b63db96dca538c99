"""The rows of a user's table file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.tables.hub import FORM, PREFIX, read_hub

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """Rows as dictionaries: JSONL and JSON (objects, or plain strings), CSV, TSV, Parquet, or TXT, a line a row; or of
    `hub:OWNER/NAME`, as `read_hub` has it.

    Plain strings and lines of text become the column `prompt`; blank lines are kept, for their number's sake.

    Raises:
        InputError: no such file, an unknown ending, or content that its ending does not describe.
    """
    if str(path).startswith(PREFIX):
        return read_hub(str(path))
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}: name one that ends in {', '.join(FORMATS)}, or {FORM}")
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise InputError(f"{path} ends in {ending!r}: give a file that ends in {', '.join(FORMATS)}")
    try:
        rows = _read(path, ending)
    except (ValueError, OSError, csv.Error, RecursionError) as error:
        raise InputError(f"{path} does not read as {ending[1:]}: {error}") from error
    if not isinstance(rows, list):
        raise InputError(f"{path} is not a list of rows but {type(rows).__name__}: make it a list of objects")
    table = [{"prompt": row} if isinstance(row, str) else row for row in rows]
    wrong = next((n for n, row in enumerate(table, 1) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise InputError(f"row {wrong} of {path} is not an object: give one object a row")
    return table


def undecodable(text: str) -> bool:
    """Whether it holds lone surrogates, which JSON admits and neither UTF-8 nor a tokenizer does."""
    return any("\ud800" <= c <= "\udfff" for c in text)


def check_decodable(number: int, path: str | Path, **cells: str) -> None:
    """Raise InputError, which names row and column, for a cell that holds half a character."""
    for column, text in cells.items():
        if undecodable(text):
            raise InputError(
                f"row {number} of {path} holds half a character (a lone surrogate) in `{column}`: mend or remove it"
            )


def _read(path: Path, ending: str) -> Any:
    if ending == ".parquet":
        import pyarrow.parquet as parquet

        return parquet.read_table(path).to_pylist()
    if ending in (".csv", ".tsv"):
        with path.open(encoding="utf-8-sig", newline="") as lines:
            csv.field_size_limit(2**31 - 1)
            reader = csv.DictReader(lines, delimiter="\t" if ending == ".tsv" else ",")
            rows = list(reader)
        for number, row in enumerate(rows, 1):
            if None in row:
                raise ValueError(f"row {number} has more cells than the header: quote cells that hold commas")
        return rows
    text = path.read_text(encoding="utf-8-sig")
    if ending == ".json":
        return json.loads(text)
    lines_ = text.split("\n")
    if lines_ and not lines_[-1].strip():
        lines_.pop()
    if ending == ".txt":
        return [line.removesuffix("\r") for line in lines_]
    rows = []
    for number, line in enumerate(lines_, 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
    return rows
