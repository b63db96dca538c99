"""The rows of a data set that stay, written to one file as they stand in it."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from backfire.errors import InputError
from backfire.preferences import Preferences
from backfire.preferences.settings import Reading
from backfire.store import Row, ending_of, write_rows
from backfire.store.artifacts import whole_file
from backfire.tables.opening import open_source
from backfire.tables.recognising import recognise
from backfire.tables.text_files import opened

LINES = (".jsonl", ".jsonl.gz")


def is_file_name(out: str | Path) -> bool:
    """Whether the name is that of a file of rows, and not of a folder."""
    return Path(out).name.lower().endswith((".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet"))


def check_rows(data: Preferences, rows: Sequence[int], out: Path) -> None:
    """InputError unless each pair comes from one row, and each row gives one pair."""
    if not data.one_row_a_pair or max(Counter(rows).values(), default=1) > 1:
        raise InputError(
            f"{out}: a row of this data set is no pair of its own ({data.format}), so that its rows cannot be kept as they"
            " stand: name a folder for the pairs"
        )


def write_same_rows(dataset: Any, reading: Reading, rows: Collection[int], out: Path) -> Path:
    """Write these rows, by their numbers from 1, in their order.

    A line of JSON stays the same bytes, and a Parquet file keeps its schema, where the new file is of the same format.
    Otherwise every column keeps its value.
    """
    ending = ending_of(out)
    if isinstance(dataset, (str, Path)) and Path(dataset).expanduser().is_file():
        path = Path(dataset).expanduser()
        if out.exists() and out.samefile(path):
            raise InputError(f"{out} is the data set itself: name another file to write")
        container = recognise(path, reading.encoding).container
        if container == "JSON lines" and ending in LINES:
            return _copy_lines(path, reading.encoding, frozenset(rows), out)
        if container == "Parquet" and ending == ".parquet":
            return _copy_table(path, np.array(sorted(rows), dtype=np.int64), out)
    wanted = np.array(sorted(rows), dtype=np.int64)

    def blocks() -> Iterator[list[Row]]:
        source = open_source(dataset, reading.config, reading.split, reading.revision, reading.encoding)
        for chunk in source.chunks(None, None):
            places = np.flatnonzero(np.isin(chunk.numbers, wanted))
            if len(places):
                yield chunk.values(places)

    write_rows(out, blocks, ())
    return out


def _copy_lines(path: Path, encoding: str | None, rows: frozenset[int], out: Path) -> Path:
    """Lines are numbered from 1, blank ones too."""

    def copy(into: IO[bytes]) -> None:
        with opened(path, encoding) as lines:
            for number, line in enumerate(_lines(lines), start=1):
                if number in rows:
                    into.write(line)

    with whole_file(out) as aside:
        if out.name.lower().endswith(".gz"):
            with gzip.open(aside, "wb") as packed:
                copy(packed)  # type: ignore[arg-type]
        else:
            with aside.open("wb") as file:
                copy(file)
    return out


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines with their ends, parted by line feeds alone."""
    rest = b""
    while piece := file.read(1 << 24):
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


def _copy_table(path: Path, rows: np.ndarray, out: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    with (
        whole_file(out) as aside,
        parquet.ParquetFile(path) as file,
        parquet.ParquetWriter(aside, file.schema_arrow) as writer,
    ):
        start = 1
        for batch in file.iter_batches():
            low, high = np.searchsorted(rows, [start, start + len(batch)])
            if high > low:
                writer.write_batch(batch.take(pa.array(rows[low:high] - start)))
            start += len(batch)
    return out
