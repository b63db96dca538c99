"""`convert`: preference data of any form, written as conversational `prompt`, `chosen` and `rejected`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from backfire.errors import InputError
from backfire.preferences.beside import (
    ARGUMENTS,
    IN_BLOCK,
    PROVENANCE,
    ROWS_OF_SIDES,
    Beside,
    columns_beside,
)
from backfire.preferences.explaining import no_pairs
from backfire.preferences.preferences import Preferences, open_preferences
from backfire.preferences.read_options import ReadOptions
from backfire.preferences.schema import SIDES, DefectKind, Format
from backfire.preferences.settings import ConvertSettings
from backfire.store import Row, ending_of, not_the_data_set, write_rows

TURNS = ("prompt", *SIDES)
OF_TRAINERS = frozenset(
    {"prompt", "chosen", "rejected", "completion", "completions", "messages", "image", "images"}
    | {"tools", "chat_template_kwargs", "row", *ROWS_OF_SIDES}
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
    digest: str
    """SHA-256 of its pairs (`content`): that of the written file, too."""
    pairs: int
    left_out: Mapping[DefectKind, tuple[int, ...]]
    """Numbers of the rows that gave no pair, by what is wrong with them."""
    further: tuple[str, ...]
    """Further columns of the data set, as they are."""
    renamed: Mapping[str, str]
    """Those of them whose names trainers would take for something else, and what they are called now."""
    by_side: tuple[str, ...]
    """Further columns of data whose pairs are made of two rows, in which some pair's rows differ: each is kept twice, as
    `chosen_NAME` and `rejected_NAME`."""
    notes: tuple[str, ...] = ()
    """What is to be said of the reading: what was chosen where there was a choice, and what was not read."""
    plain: bool = False
    """Whether prompt and sides are text, and not lists of turns."""


def convert(
    dataset: Any,
    out: str | Path,
    settings: ConvertSettings | None = None,
    **keywords: Unpack[ReadOptions],
) -> Converted:
    """Write preference data of any form that the audit reads as conversational `prompt`, `chosen` and `rejected`.

    Each is a list of turns as chat templates and TRL take them; the sides hold the assistant's turns only (`plain`: each is
    text, which TRL trains on without a template). Beside them
    stand `row` (from 1), `tools` and `chat_template_kwargs` where rows have them, what is known of kind, sources, stop
    reasons, decodings and tags, and every other column of the data set. Where a pair is made of two rows (KTO), `chosen_row`
    and `rejected_row` say which, and a column in which these differ is written for each side.

    Args:
        out: A .jsonl, .json (both also with .gz) or .parquet file; it is there whole or not at all.
        dataset: Preference data as `open_preferences` takes them.
        settings, keywords: A `ConvertSettings`, or fields of its reading: config, split, revision, columns,
            source_columns, plain and so on.

    Raises:
        InputError: the data set cannot be read, no row of it gives a pair, or `out` cannot be written.
    """
    path = Path(out)
    ending = ending_of(path)
    not_the_data_set(path, dataset)
    data = open_preferences(dataset, **ConvertSettings.of(settings, **keywords).reading.options())
    beside = columns_beside(data, OF_TRAINERS)
    if not beside.pairs:
        raise InputError(no_pairs(data))
    write_rows(path, lambda: _written(data, beside, ending == ".parquet"), () if data.plain else TURNS)
    return Converted(
        path,
        data.format,
        data.rows,
        data.read_digest(),
        beside.pairs,
        {kind: tuple(rows) for kind, rows in data.defects.items()},
        tuple(beside.given),
        {name: new for name, new in beside.given.items() if new != name},
        tuple(beside.by_side),
        data.notes(),
        data.plain,
    )


def _written(data: Preferences, beside: Beside, texts: bool) -> Iterator[list[Row]]:
    """The rows of the file; `texts`: tools are text of JSON, which TRL takes too."""
    names = [name for name in (*ARGUMENTS, *PROVENANCE) if name in beside.understood]
    for block, rows in data.with_rows():
        made: list[Row] = []
        for index, pair in enumerate(block.to_pylist()):
            if data.plain:
                row: Row = {name: pair[name] for name in TURNS}
            else:
                row = {"prompt": _turns(pair["prompt"], pair["messages"], "user")}
                row |= {side: _turns(pair[side], pair[f"{side}_messages"], "assistant") for side in SIDES}
            for name in names:
                value = pair[IN_BLOCK.get(name, name)]
                row[name] = _argument(name, value, texts) if name in ARGUMENTS else value
            row["row"] = pair["row"]
            made.append(row | beside.of(rows[index]))
        yield made


def _argument(name: str, value: str | None, texts: bool) -> Any:
    if name == "tools":
        return value if value is None or texts else json.loads(value)
    return {} if value is None else json.loads(value)


def _turns(text: str, turns: str | None, role: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"role": role, "content": text}] if turns is None else json.loads(turns)
    return messages
