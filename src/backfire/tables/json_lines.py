"""JSON with one row a line, read in pieces of whole lines."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.errors import InputError
from backfire.tables.arrow_lines import Lines, table_of
from backfire.tables.chunk import UNREAD, Chunk, Head
from backfire.tables.text_files import opened

PIECE = 16 << 20
"""Bytes read at once."""
SMALL = 1 << 20
"""Bytes of a piece that says nothing of the others."""
LARGEST = 1 << 30


def value_of(line: bytes) -> Any:
    """One line's value, UNREAD if it is not JSON. Bytes that are not UTF-8 become lone surrogates."""
    try:
        return json.loads(line.decode("utf-8", "surrogateescape"), parse_int=integer)
    except (ValueError, RecursionError):
        return UNREAD


def integer(digits: str) -> int | float:
    """A whole number, infinite where it is too long for Python."""
    return int(digits) if len(digits) < 4000 else float("inf")


def _fault(line: bytes) -> str:
    try:
        json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return str(error)
    return "no JSON"


class JsonLines:
    """A JSONL file, zipped or not. Rows are numbered by line; blank lines are no rows."""

    def __init__(self, path: Path, origin: str = "", encoding: str | None = None, piece: int = PIECE) -> None:
        self.origin = origin or str(path)
        self._path = path
        self._encoding = encoding
        self._piece = piece

    def head(self, count: int) -> Head:
        columns: dict[str, None] = {}
        rows: list[Any] = []
        lines = 0
        for line in self._lines(count):
            lines += 1
            value = value_of(line)
            if isinstance(value, dict):
                columns.update(dict.fromkeys(value))
                rows.append(value)
            elif value is not UNREAD:
                rows.append(value)
        if not lines:
            raise InputError(f"{self.origin} is empty: it holds no rows")
        if not rows:
            which = f"its {lines} lines" if lines < count else f"its first {lines} lines"
            raise InputError(f"{self.origin}: none of {which} is JSON; is it another format?")
        return Head(list(columns), [row for row in rows if isinstance(row, dict)])

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        """As Source says; a file of which Arrow reads little is soon read without it."""
        number = 1
        for raw in self._pieces():
            chunk = _chunk(raw, number, wanted)
            yield chunk
            if chunk.table is None and len(raw) > SMALL:
                wanted = None
            number += raw.count(b"\n")

    def fault(self, number: int) -> str:
        """What is wrong with a line that is UNREAD."""
        start = 1
        for raw in self._pieces():
            lines = raw.split(b"\n")
            if number < start + len(lines):
                return f"line {number}: {_fault(lines[number - start])}"
            start += raw.count(b"\n")
        return f"there is no line {number}"

    def _lines(self, count: int) -> Iterator[bytes]:
        for raw in self._pieces(1 << 20):
            for line in raw.split(b"\n"):
                if _is_row(line):
                    yield line
                    count -= 1
                    if not count:
                        return

    def _pieces(self, size: int | None = None) -> Iterator[bytes]:
        """The file in pieces that end with a line."""
        with opened(self._path, self._encoding) as file:
            rest: list[bytes] = []
            while raw := file.read(size or self._piece):
                end = raw.rfind(b"\n") + 1
                if end:
                    yield b"".join([*rest, raw[:end]])
                    rest = []
                rest.append(raw[end:])
            if last := b"".join(rest):
                yield last


def _is_row(line: bytes) -> bool:
    return bool(line.strip()) and bool(line.decode("utf-8", "surrogateescape").strip())


def _chunk(raw: bytes, number: int, wanted: pa.Schema | None) -> Chunk:
    """Some whole lines, the first of which is line `number`: with a table if Arrow reads most of what Python would."""
    if wanted is None or len(raw) >= LARGEST:
        return _slow(raw, number)
    lines = Lines.of(raw)
    table = table_of(lines, wanted)
    if table is None:
        return _slow(raw, number)
    return Chunk(number + lines.numbers, partial(_values, lines), table)


def _values(lines: Lines, positions: np.ndarray) -> list[Any]:
    return [value_of(lines.raw[lines.starts[i] : lines.stops[i]]) for i in positions]


def _slow(raw: bytes, number: int) -> Chunk:
    rows = [(n, line) for n, line in enumerate(raw.split(b"\n"), start=number) if _is_row(line)]
    numbers = np.array([n for n, _ in rows], dtype=np.int64)
    return Chunk(numbers, lambda positions: [value_of(rows[int(i)][1]) for i in positions])
