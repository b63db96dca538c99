"""Opening whatever a user has: files, folders, hub names, and data sets in memory, as rows of a table."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backfire.auditing.labelled_pair import Defect
from backfire.errors import InputError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


@dataclass
class Rows:
    """The rows of a data set with their numbers, and those that could not be read at all."""

    origin: str
    columns: list[str]
    rows: list[tuple[int, dict[str, Any]]]
    unread: list[Defect] = field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.rows) + len(self.unread)


def open_rows(dataset: Any) -> Rows:
    """Open a path, a hub name, a `datasets.Dataset`, or a `DatasetDict` with a `train` split.

    Files: JSONL, JSON, CSV, TSV (also with .gz) and Parquet. Folders: `save_to_disk`, or one with
    train.parquet. Bytes that are not UTF-8 survive as lone surrogates, so that their row can be named.
    Raises InputError naming what cannot be opened.
    """
    if isinstance(dataset, (str, Path)):
        path = Path(dataset).expanduser()
        if path.is_dir():
            return _folder(path)
        if path.exists():
            return _file(path)
        return _hub(str(dataset))
    if isinstance(dataset, dict):
        return _in_memory(_only_split(dataset, "the data set"), "a data set in memory")
    if hasattr(dataset, "column_names"):
        return _in_memory(dataset, "a data set in memory")
    raise InputError(
        f"cannot audit a {type(dataset).__name__}: give a path, a hub name or a datasets.Dataset"
        " (a list of rows becomes one with datasets.Dataset.from_list)"
    )


def _file(path: Path) -> Rows:
    suffixes = [s.lower() for s in path.suffixes]
    zipped = bool(suffixes) and suffixes[-1] == ".gz"
    suffix = suffixes[-2] if zipped and len(suffixes) > 1 else (suffixes[-1] if suffixes else "")
    if suffix not in SUFFIXES:
        raise InputError(f"cannot tell what {path} is: its name should end in one of {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        return _parquet([path], str(path))
    try:
        data = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}") from error
    text = data.decode("utf-8-sig", "surrogateescape")
    if suffix in (".csv", ".tsv"):
        return _csv(text, str(path), "," if suffix == ".csv" else "\t")
    if suffix == ".json":
        return _json(text, str(path))
    return _json_lines(text, str(path))


def _json(text: str, origin: str) -> Rows:
    try:
        value = json.loads(text)
    except ValueError as error:
        if "\n{" in text.strip():
            return _json_lines(text, origin)
        raise InputError(
            f"{origin} is not JSON ({error}): mend it, or save one row a line as .jsonl"
        ) from error
    if isinstance(value, dict):
        lists = {k: v for k, v in value.items() if isinstance(v, list)}
        if not (len(lists) == 1 and len(value) <= 3) and len({len(v) for v in lists.values()}) == 1:
            names = list(lists)
            value = [dict(zip(names, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        elif len(lists) == 1:
            value = next(iter(lists.values()))
        else:
            value = [value]
    if not isinstance(value, list):
        raise InputError(f"{origin} holds a {type(value).__name__}: a list of rows is needed")
    return _collect(origin, enumerate(value, start=1))


def _json_lines(text: str, origin: str) -> Rows:
    unread: list[Defect] = []
    parsed: list[tuple[int, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            parsed.append((number, json.loads(line)))
        except (ValueError, RecursionError):
            unread.append(Defect(number, "undecodable"))
    if not parsed and unread:
        raise InputError(f"{origin}: none of its {len(unread)} lines is JSON; is it another format?")
    rows = _collect(origin, parsed)
    rows.unread.extend(unread)
    return rows


def _csv(text: str, origin: str, delimiter: str) -> Rows:
    csv.field_size_limit(1 << 30)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"{origin} is not readable as CSV: {error}") from error
    if not lines:
        raise InputError(f"{origin} is empty")
    header = lines[0]
    rows: list[tuple[int, dict[str, Any]]] = []
    unread: list[Defect] = []
    for number, line in enumerate(lines[1:], start=1):
        if not line:
            continue
        if len(line) != len(header):
            unread.append(Defect(number, "undecodable"))
            continue
        rows.append((number, {k: _cell(v) for k, v in zip(header, line, strict=True)}))
    return Rows(origin, header, rows, unread)


def _cell(value: str) -> Any:
    """A CSV cell that holds a conversation as JSON becomes one."""
    if value.startswith("[{") and value.rstrip().endswith("}]"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _parquet(paths: list[Path], origin: str) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.concat_tables([pq.read_table(p) for p in paths], promote_options="default")
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"cannot read {origin} as Parquet: {error}") from error
    try:
        listed = table.to_pylist()
    except UnicodeDecodeError as error:
        raise InputError(f"{origin} holds text that is not UTF-8: {error}") from error
    return Rows(origin, list(table.column_names), list(enumerate(listed, start=1)))


def _folder(path: Path) -> Rows:
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        from datasets import load_from_disk

        loaded = _only_split(load_from_disk(str(path)), str(path))
        return _in_memory(loaded, str(path))
    for pattern in ("train.parquet", "train-*.parquet", "data/train-*.parquet", "*.parquet"):
        if found := sorted(path.glob(pattern)):
            return _parquet(found, str(path))
    single = [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES and p.name != "manifest.json"]
    if len(single) == 1:
        return _file(single[0])
    names = ", ".join(sorted(p.name for p in path.iterdir())[:10]) or "nothing"
    raise InputError(
        f"{path} holds no data set that backfire knows (it holds: {names}):"
        " name the file itself, or a folder with train.parquet or one written by save_to_disk"
    )


def _hub(name: str) -> Rows:
    looks_like_path = (
        name.startswith((".", "/", "~")) or name.count("/") > 1 or name.lower().endswith(SUFFIXES)
    )
    if looks_like_path:
        raise InputError(f"no such file or folder: {name}")
    from datasets import load_dataset

    try:
        loaded = load_dataset(name)
    except Exception as error:
        raise InputError(
            f"{name} is neither a file here nor a data set that the hub gives ({type(error).__name__}: {error})"
        ) from error
    return _in_memory(_only_split(loaded, name), f"{name} (hub)")


def _only_split(loaded: Any, origin: str) -> Any:
    if not isinstance(loaded, dict):
        return loaded
    if "train" in loaded:
        return loaded["train"]
    if len(loaded) == 1:
        return next(iter(loaded.values()))
    raise InputError(f"{origin} has the splits {', '.join(loaded)} and no train: pass one of them")


def _in_memory(dataset: Any, origin: str) -> Rows:
    columns = dataset.column_names
    if not isinstance(columns, list):
        raise InputError(f"{origin} has no plain list of columns: pass one split of it")
    to_rows: Callable[[], Iterable[dict[str, Any]]] = dataset.to_list
    return Rows(origin, list(columns), list(enumerate(to_rows(), start=1)))


def _collect(origin: str, values: Iterable[tuple[int, Any]]) -> Rows:
    columns: dict[str, None] = {}
    rows: list[tuple[int, dict[str, Any]]] = []
    unread: list[Defect] = []
    for number, value in values:
        if isinstance(value, dict):
            columns.update(dict.fromkeys(map(str, value)))
            rows.append((number, value))
        else:
            unread.append(Defect(number, "wrong type"))
    return Rows(origin, list(columns), rows, unread)
