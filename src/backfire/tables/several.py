"""Several files of one data set as one source."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from backfire.tables.chunk import Chunk, Head, Source


class Several:
    """Sources one after the other; their rows are numbered through."""

    def __init__(self, sources: Sequence[Source], origin: str) -> None:
        self.origin = origin
        self._sources = sources

    def head(self, count: int) -> Head:
        heads = [source.head(count) for source in self._sources]
        columns = dict.fromkeys(name for head in heads for name in head.columns)
        return Head(list(columns), [row for head in heads for row in head.rows][:count])

    def chunks(self, names: Collection[str] | None, wanted: pa.Schema | None) -> Iterator[Chunk]:
        before = 0
        for source in self._sources:
            last = before
            for chunk in source.chunks(names, wanted):
                numbers = chunk.numbers + before
                last = int(numbers[-1]) if len(numbers) else last
                yield replace(chunk, numbers=numbers)
            before = last

    def fault(self, number: int) -> str:
        before = 0
        for source in self._sources:
            last = max(
                (int(chunk.numbers[-1]) for chunk in source.chunks(None, None) if len(chunk.numbers)),
                default=0,
            )
            if number <= before + last:
                return f"{source.origin}: {source.fault(number - before)}"
            before += last
        return f"there is no row {number}"
