"""The rows of a data set that stay, written to one file as they stand in it."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from backfire.errors import InputError
from backfire.preferences import Preferences
from backfire.preferences.settings import Reading
from backfire.repairing.given import GivenPairs
from backfire.repairing.outcome import Outcome
from backfire.store import Row, ending_of, write_rows
from backfire.store.artifacts import whole_file
from backfire.store.row_files import json_of
from backfire.tables.json_lines import value_of
from backfire.tables.opening import open_source
from backfire.tables.recognising import recognise
from backfire.tables.text_files import opened

LINES = (".jsonl", ".jsonl.gz")


def is_file_name(out: str | Path) -> bool:
    """Whether the name is that of a file of rows, and not of a folder."""
    return Path(out).name.lower().endswith((".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet"))


@dataclass(frozen=True)
class Trims:
    """Rows of which a response is shortened."""

    columns: tuple[str, ...]
    """Those that responses may stand in."""
    texts: Mapping[int, Sequence[tuple[str, str]]]
    """By row number, each changed response as it was and as it is to be."""

    def of(self, number: int, row: Any) -> Any:
        """The row as it is to be.

        Raises InputError where a response does not stand in the row as it was read, such as in a transcript that was cut.
        """
        for old, new in self.texts.get(number, ()):
            row = self._changed(number, row, old, new)
        return row

    def _changed(self, number: int, row: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
        for whole in (True, False):
            for name in self.columns:
                cell = _shortened(row.get(name), old, new, whole)
                if cell is not None:
                    return {**row, name: cell}
        raise InputError(
            f"row {number} holds its response in a form of which white space cannot be taken off: name a folder for the pairs,"
            " or skip debris"
        )


def _shortened(cell: Any, old: str, new: str, whole: bool) -> Any:
    """The cell, or its last turn, with the response shortened; None where it does not end with the response."""
    if isinstance(cell, str):
        ends = cell == old if whole else cell.endswith(old)
        return cell[: len(cell) - len(old)] + new if ends else None
    if isinstance(cell, list) and cell:
        last = _shortened(cell[-1], old, new, whole)
        return None if last is None else [*cell[:-1], last]
    if isinstance(cell, Mapping):
        for name in ("content", "value", "text"):
            text = _shortened(cell.get(name), old, new, whole)
            if text is not None:
                return {**cell, name: text}
    return None


def trims_of(data: Preferences, given: GivenPairs, outcome: Outcome) -> Trims:
    """The rows whose responses an outcome has shortened."""
    columns = dict.fromkeys(n for role, names in data.columns.items() if role != "prompt" for n in names)
    texts: dict[int, list[tuple[str, str]]] = {}
    for one in outcome.pairs:
        if one.change == "kept" or one.place is None:
            continue
        before, after = given.pairs[one.place], one.pair
        sides = ((before.chosen.text, after.chosen.text), (before.rejected.text, after.rejected.text))
        texts[given.rows[one.place]] = [(old, new) for old, new in sides if old != new]
    return Trims(tuple(columns), texts)


def check_rows(data: Preferences, rows: Sequence[int], out: Path) -> None:
    """InputError unless each pair comes from one row, and each row gives one pair."""
    if not data.one_row_a_pair or max(Counter(rows).values(), default=1) > 1:
        raise InputError(
            f"{out}: a row of this data set is no pair of its own ({data.format}), so that its rows cannot be kept as they"
            " stand: name a folder for the pairs"
        )


def write_same_rows(
    dataset: Any, reading: Reading, rows: Collection[int], out: Path, trims: Trims | None = None
) -> Path:
    """Write these rows, by their numbers from 1, in their order.

    A line of JSON stays the same bytes, and a Parquet file keeps its schema, where the new file is of the same format.
    Otherwise every column keeps its value. trims: rows of which a response is shortened, and nothing else.
    """
    trims = trims or Trims((), {})
    ending = ending_of(out)
    if isinstance(dataset, (str, Path)) and Path(dataset).expanduser().is_file():
        path = Path(dataset).expanduser()
        container = recognise(path, reading.encoding).container
        if container == "JSON lines" and ending in LINES:
            return _copy_lines(path, reading.encoding, frozenset(rows), out, trims)
        if container == "Parquet" and ending == ".parquet":
            return _copy_table(path, np.array(sorted(rows), dtype=np.int64), out, trims)
    wanted = np.array(sorted(rows), dtype=np.int64)

    def blocks() -> Iterator[list[Row]]:
        source = open_source(dataset, reading.config, reading.split, reading.revision, reading.encoding)
        for chunk in source.chunks(None, None):
            places = np.flatnonzero(np.isin(chunk.numbers, wanted))
            if len(places):
                values = chunk.values(places)
                numbers = chunk.numbers[places].tolist()
                yield [trims.of(number, row) for number, row in zip(numbers, values, strict=True)]

    write_rows(out, blocks, ())
    return out


def _copy_lines(path: Path, encoding: str | None, rows: frozenset[int], out: Path, trims: Trims) -> Path:
    """Lines are numbered from 1, blank ones too."""

    def copy(into: IO[bytes]) -> None:
        with opened(path, encoding) as lines:
            for number, line in enumerate(_lines(lines), start=1):
                if number in trims.texts:
                    changed = json_of(trims.of(number, value_of(line)))
                    into.write(changed.encode() + (b"\n" if line.endswith(b"\n") else b""))
                elif number in rows:
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


def _copy_table(path: Path, rows: np.ndarray, out: Path, trims: Trims) -> Path:
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
            here = rows[low:high]
            if any(number in trims.texts for number in here.tolist()):
                values = batch.take(pa.array(here - start)).to_pylist()
                changed = [trims.of(n, row) for n, row in zip(here.tolist(), values, strict=True)]
                writer.write_table(pa.Table.from_pylist(changed, file.schema_arrow))
            elif len(here):
                writer.write_batch(batch.take(pa.array(here - start)))
            start += len(batch)
    return out
