"""Plain text as a source: a line a row."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.tables.chunk import UNREAD, Chunk, Head
from backfire.tables.in_memory import ROWS
from backfire.tables.text_files import opened

COLUMN = "prompt"


class LinesOfText:
    """A text file, each line of which is a prompt; blank lines are rows, but not those at the end."""

    def __init__(self, path: Path, origin: str, encoding: str | None = None) -> None:
        self.origin = origin
        self._path = path
        self._encoding = encoding

    def head(self, count: int) -> Head:
        return Head([COLUMN], [{COLUMN: line} for line in itertools.islice(self._lines(), count)])

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        lines, start = self._lines(), 1
        while some := list(itertools.islice(lines, ROWS)):
            yield Chunk(np.arange(start, start + len(some)), partial(_values, some))
            start += len(some)

    def fault(self, number: int) -> str:
        return f"line {number} is not UTF-8"

    def _lines(self) -> Iterator[str]:
        rest, blank = b"", 0
        with opened(self._path, self._encoding) as file:
            for piece in itertools.chain(iter(partial(file.read, 1 << 20), b""), [b"\n"]):
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    text = line.decode("utf-8", "surrogateescape").removesuffix("\r")
                    if not text.strip():
                        blank += 1
                        continue
                    yield from itertools.repeat("", blank)
                    blank = 0
                    yield text


def _values(lines: list[str], positions: np.ndarray) -> list[Any]:
    some = (lines[int(i)] for i in positions)
    return [{COLUMN: line} if line.isascii() or not _is_broken(line) else UNREAD for line in some]


def _is_broken(line: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in line)
