"""Writing rows to one file, by its ending: JSON lines, a JSON array or Parquet, in blocks, whole or not at all."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from backfire.errors import InputError
from backfire.store.artifacts import whole_file

Row = dict[str, Any]
ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")


def ending_of(path: Path) -> str:
    """Which of ENDINGS a file's name has.

    Raises:
        InputError: none of them.
    """
    name = path.name.lower()
    matching = next((ending for ending in ENDINGS if name.endswith(ending)), None)
    if matching is None:
        raise InputError(f"{path}: the name of the file to write has to end in {', '.join(ENDINGS)}")
    return matching


class NotHeldError(InputError):
    """Conversations that Parquet would not give back as they are."""


def write_rows(
    path: Path,
    blocks: Callable[[], Iterable[Sequence[Row]]],
    turns: Sequence[str],
    fields: Mapping[str, pa.DataType] | None = None,
) -> None:
    """Write the rows that `blocks` gives; it is called anew for each pass, since Parquet needs its types before its rows.

    `turns` are the columns that hold conversations, which must read back as they are; `fields` the types in Parquet of
    columns whose type is known, in their order, before all others.

    Raises:
        NotHeldError: Parquet cannot hold these conversations as they are.
    """
    ending = ending_of(path)
    with whole_file(path) as aside:
        if ending == ".parquet":
            _write_parquet(aside, blocks, frozenset(turns), dict(fields or {}), path)
            return
        write = _write_lines if ending.startswith(".jsonl") else _write_array
        if ending.endswith(".gz"):
            with gzip.open(aside, "wt", encoding="utf-8", newline="\n") as packed:
                write(packed, blocks())
        else:
            with aside.open("w", encoding="utf-8", newline="\n") as file:
                write(file, blocks())


def _write_lines(file: TextIO, blocks: Iterable[Sequence[Row]]) -> None:
    for rows in blocks:
        file.writelines(json_of(row) + "\n" for row in rows)


def _write_array(file: TextIO, blocks: Iterable[Sequence[Row]]) -> None:
    before = "["
    for rows in blocks:
        for row in rows:
            file.write(f"{before}\n{json_of(row)}")
            before = ","
    file.write("\n]\n" if before == "," else "[]\n")


def json_of(value: Any) -> str:
    """One line of strict JSON: dates as ISO text, bytes as base64, numbers that JSON lacks as null."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        value = plain(value)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return text


def plain(value: Any) -> Any:
    """The same value in JSON's types."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def _write_parquet(
    aside: Path,
    blocks: Callable[[], Iterable[Sequence[Row]]],
    turns: frozenset[str],
    fields: dict[str, pa.DataType],
    path: Path,
) -> None:
    import pyarrow.parquet as parquet

    schema = _schema_of(blocks(), turns, fields, path)
    with parquet.ParquetWriter(aside, schema) as writer:
        for rows in blocks():
            columns = [_column([row.get(field.name) for row in rows], field) for field in schema]
            table = pa.Table.from_arrays(columns, schema=schema)
            for name in turns:
                _check_turns(table.column(name), [row[name] for row in rows], path)
            writer.write_table(table)


def _schema_of(
    blocks: Iterable[Sequence[Row]], turns: frozenset[str], fields: dict[str, pa.DataType], path: Path
) -> pa.Schema:
    """A type for every column that holds all its values; text of JSON for a column of the user's that has none."""
    types = dict(fields)
    for rows in blocks:
        for name in dict.fromkeys(name for row in rows for name in row):
            if name in fields and name not in turns:
                continue
            column_type = _type_of([row.get(name) for row in rows])
            before = types.get(name, pa.null())
            types[name] = pa.string() if column_type is None else _both(before, column_type) or pa.string()
            if name in turns and types[name] == pa.string():
                raise _not_held(path)
    texts = {name: pa.string() if type_ == pa.null() else type_ for name, type_ in types.items()}
    return pa.schema(list(texts.items()))


def _type_of(values: list[Any]) -> pa.DataType | None:
    try:
        inferred = pa.array(values).type
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return None
    return None if _has_empty_object(inferred) else inferred


def _has_empty_object(type_: pa.DataType) -> bool:
    """Parquet knows no objects without a key."""
    if pa.types.is_struct(type_):
        return not type_.num_fields or any(_has_empty_object(field.type) for field in type_)
    return pa.types.is_list(type_) and _has_empty_object(type_.value_type)


def _both(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    schemas = [pa.schema([("x", type_)]) for type_ in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def _column(values: list[Any], field: pa.Field) -> pa.Array:
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        texts = [v if v is None or isinstance(v, str) else json_of(v) for v in values]
        return pa.array([_whole(text) for text in texts], pa.string())


def _whole(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")


def _check_turns(column: pa.ChunkedArray, turns: list[Any], path: Path) -> None:
    if {field.name for field in column.type.value_type} == {"role", "content"}:
        return
    for given, held in zip(turns, column.to_pylist(), strict=True):
        back = [{k: v for k, v in turn.items() if v is not None} for turn in held]
        if back != given or json_of(back) != json_of(given):  # a template may write keys in their order
            raise _not_held(path)


def _not_held(path: Path) -> NotHeldError:
    return NotHeldError(
        f"{path}: Parquet gives all tool calls of a column the same arguments, with nulls where one has none, and a"
        " chat template would render these; name a .jsonl file, which keeps every call as it is"
    )


def not_the_data_set(path: Path, dataset: Any) -> Path:
    """The path of what is written; InputError where it is the data set that is read, or a folder that holds it."""
    if isinstance(dataset, (str, Path)) and path.exists():
        source = Path(dataset).expanduser()
        if source.exists() and path.samefile(source):
            raise InputError(f"{path} is the data set itself: name another file to write")
        if path.resolve() in source.resolve().parents:
            raise InputError(f"{path} holds the data set {source}: name another folder to write")
    return path
