"""`convert`: preference data of any form, written as conversational `prompt`, `chosen` and `rejected`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import pyarrow as pa

from backfire.errors import InputError
from backfire.preferences.preferences import Preferences, open_preferences
from backfire.preferences.read_options import ReadOptions
from backfire.preferences.row_files import Row, ending_of, write_rows
from backfire.preferences.schema import SIDES, DefectKind, Format

TURNS = ("prompt", *SIDES)
PROVENANCE = (
    "kind",
    *(f"{side}_{part}" for part in ("source", "stop_reason", "decoding") for side in SIDES),
    "tags",
)
"""What the reader understands beside the texts, under the names by which it reads them back."""
_BESIDE = ("tools", "chat_template_kwargs")
_IN_BLOCK = {"chat_template_kwargs": "template_options"} | {f"{s}_stop_reason": f"{s}_stop" for s in SIDES}
OF_TRAINERS = frozenset(
    {"prompt", "chosen", "rejected", "completion", "completions", "messages", "image", "images"}
    | {"tools", "chat_template_kwargs", "row"}
)
"""Names by which trainers (TRL) tell what a data set is: a user's column that is called so and is none of the pair's own
columns is written as `given_NAME`."""


@dataclass(frozen=True)
class Converted:
    """What was read and written."""

    path: Path
    format: Format
    rows: int
    """Rows of the data set."""
    pairs: int
    left_out: Mapping[DefectKind, tuple[int, ...]]
    """Numbers of the rows that gave no pair, by what is wrong with them."""
    kept: tuple[str, ...]
    """Further columns of the data set, as they are."""
    renamed: Mapping[str, str]
    """Those of them whose names trainers would take for something else, and what they are called now."""
    not_kept: tuple[str, ...]
    """Further columns that could not be kept, since a pair comes from two rows."""


def convert(
    dataset: Any,
    out: str | Path,
    **reading: Unpack[ReadOptions],
) -> Converted:
    """Write preference data of any form that the audit reads as conversational `prompt`, `chosen` and `rejected`.

    Each is a list of turns as chat templates and TRL take them; the sides hold the assistant's turns only. Beside them
    stand `row` (from 1), `tools` and `chat_template_kwargs` where rows have them, what is known of kind, sources, stop
    reasons, decodings and tags, and every other column of the data set.

    Args:
        out: A .jsonl, .json (both also with .gz) or .parquet file; it is there whole or not at all.
        dataset, reading: As `open_preferences` takes them: config, split, revision, columns, source_columns.

    Raises:
        InputError: the data set cannot be read, no row of it gives a pair, or `out` cannot be written.
    """
    path = Path(out)
    ending = ending_of(path)
    if (
        isinstance(dataset, (str, Path))
        and path.exists()
        and Path(dataset).exists()
        and path.samefile(dataset)
    ):
        raise InputError(f"{path} is the data set itself: name another file to write")
    data = open_preferences(dataset, **reading)
    layout = _Layout.of(data, texts=ending == ".parquet")
    if not layout.pairs:
        raise InputError(_no_pair(data))
    write_rows(path, lambda: layout.blocks(data), TURNS)
    return Converted(
        path,
        data.format,
        data.rows,
        layout.pairs,
        {kind: tuple(rows) for kind, rows in data.defects.items()},
        tuple(layout.given),
        {name: new for name, new in layout.given.items() if new != name},
        layout.not_kept,
    )


@dataclass
class _Layout:
    """Which columns are written, found by a first pass, so that all rows have the same."""

    said: tuple[str, ...]
    """What the reader understood anywhere, by the names of the output."""
    given: dict[str, str]
    """The data set's own columns that are no part of the pair, and what they are called in the output."""
    not_kept: tuple[str, ...]
    pairs: int
    texts: bool
    """Whether tools are written as text of JSON, as TRL takes them too."""

    @classmethod
    def of(cls, data: Preferences, *, texts: bool) -> _Layout:
        said: dict[str, None] = {}
        there: dict[str, None] = {}
        differing: set[str] = set()
        pairs = 0
        for block, rows in data.with_rows():
            pairs += len(block)
            found = {name: block.column(_IN_BLOCK.get(name, name)) for name in (*PROVENANCE, *_BESIDE)}
            said |= dict.fromkeys(name for name, column in found.items() if column.null_count < len(column))
            for number, row in enumerate(rows):
                there |= dict.fromkeys(map(str, row))
                for name in found:
                    if row.get(name) is not None and not found[name][number].is_valid:
                        differing.add(name)
        of_pair = {n for what in ("prompt", *SIDES) for n in data.columns.get(what, ())}
        further = [n for n in there if n not in of_pair and (n not in said or n in differing)]
        taken = {*of_pair, *there, *TURNS, *PROVENANCE, *_BESIDE, *OF_TRAINERS}
        given = {n: _free(f"given_{n}", taken) if n in OF_TRAINERS or n in said else n for n in further}
        used = {*said, *(n for names in data.columns.values() for n in names)}
        not_kept = () if data.one_row_a_pair else tuple(n for n in data.all_columns if n not in used)
        names = tuple(n for n in (*_BESIDE, *PROVENANCE) if n in said)
        return cls(names, given, not_kept, pairs, texts)

    def blocks(self, data: Preferences) -> Iterator[list[Row]]:
        for block, rows in data.with_rows():
            yield list(self._rows(block, rows))

    def _rows(self, block: pa.RecordBatch, rows: list[Any]) -> Iterator[Row]:
        for index, pair in enumerate(block.to_pylist()):
            row: Row = {"prompt": _turns(pair["prompt"], pair["messages"], "user")}
            row |= {side: _turns(pair[side], pair[f"{side}_messages"], "assistant") for side in SIDES}
            for name in self.said:
                value = pair[_IN_BLOCK.get(name, name)]
                row[name] = _beside_value(name, value, self.texts) if name in _BESIDE else value
            row["row"] = pair["row"]
            if rows:
                row |= {new: rows[index].get(name) for name, new in self.given.items()}
            yield row


def _beside_value(name: str, value: str | None, texts: bool) -> Any:
    if name == "tools":
        return value if value is None or texts else json.loads(value)
    return {} if value is None else json.loads(value)


def _turns(text: str, turns: str | None, role: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"role": role, "content": text}] if turns is None else json.loads(turns)
    return found


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _no_pair(data: Preferences) -> str:
    kinds = sorted(data.defects.items(), key=lambda item: -len(item[1]))
    if not kinds:
        return f"{data.origin} holds no rows: nothing to convert"
    kind, rows = kinds[0]
    return (
        f"{data.origin}: none of its {data.rows} rows gives a pair; {len(rows)} have the defect '{kind}', the first of"
        f" them row {rows[0]}. They were read as {data.format!r}: if that is wrong, say which columns hold the request"
        " and the two responses by `columns`"
    )
