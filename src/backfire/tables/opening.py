"""From whatever a user names to a source of rows: files, folders, hub names, and data sets in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.tables.arrow_files import ArrowFile, check_arrow
from backfire.tables.chunk import Source
from backfire.tables.delimited import Delimited
from backfire.tables.encoding import check_encoding
from backfire.tables.hub import PREFIX, load, parts_of
from backfire.tables.in_memory import ListOfRows, StreamOfDatasets, TableOfDatasets
from backfire.tables.json_lines import JsonLines
from backfire.tables.json_values import open_json
from backfire.tables.lines_of_text import LinesOfText
from backfire.tables.parquet import Parquet
from backfire.tables.recognising import ending_of, recognise
from backfire.tables.several import Several
from backfire.tables.splits import chosen_split, refuse_options
from backfire.tables.text_files import PACKED

_SHARD = re.compile(r"-\d+-of-\d+(?=\.)")
MEMORY = "a data set in memory"


def open_source(
    dataset: Any,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    encoding: str | None = None,
) -> Source:
    """A source for a path, a hub name (OWNER/NAME, or `hub:OWNER/NAME@REVISION:CONFIG/SPLIT`), a list of rows, or an
    object of `datasets`. `encoding` is that of text files which are not UTF-8.

    Raises:
        InputError: it is not there or not readable, or an option does not fit it.
    """
    encoding = check_encoding(encoding)
    if isinstance(dataset, (str, Path)):
        name = str(dataset)
        path = Path(dataset).expanduser()
        if path.is_dir():
            return _folder(path, config, split, revision, encoding)
        if path.exists():
            refuse_options(f"{path} is a file", config=config, revision=revision)
            return _file(path, split, encoding)
        refuse_options("only text files have an encoding", encoding=encoding)
        return _hub(name, config, split, revision)
    refuse_options(
        "a data set in memory is open already", config=config, revision=revision, encoding=encoding
    )
    if isinstance(dataset, Mapping):
        return _of_datasets(chosen_split(dataset, split, MEMORY), MEMORY)
    refuse_options("a data set in memory has no splits", split=split)
    if isinstance(dataset, (list, tuple)):
        return ListOfRows(dataset, "a list in memory")
    if hasattr(dataset, "column_names"):
        return _of_datasets(dataset, MEMORY)
    raise InputError(
        f"cannot open a {type(dataset).__name__}: give a path, a hub name, a datasets.Dataset or a list of rows"
    )


def _file(path: Path, split: str | None, encoding: str | None) -> Source:
    if not path.is_file():
        raise InputError(f"{path} is neither a file nor a folder: give one of these")
    recognised = recognise(path, encoding)
    origin = f"{path} ({recognised.note})" if recognised.note else str(path)
    if recognised.container == "JSON":
        return open_json(path, origin, encoding, split)
    refuse_options(f"{path} is a file of one split", split=split)
    if recognised.container == "JSON lines":
        return JsonLines(path, origin, encoding)
    if recognised.layout is not None:
        return Delimited(path, recognised.layout, origin, encoding)
    if recognised.container == "text":
        return LinesOfText(path, origin, encoding)
    refuse_options(f"{path} is {recognised.container}, which has no encoding", encoding=encoding)
    return Parquet([path], origin) if recognised.container == "Parquet" else ArrowFile(path, origin)


def _folder(
    path: Path, config: str | None, split: str | None, revision: str | None, encoding: str | None
) -> Source:
    if config is not None or revision is not None:
        return _loaded(str(path), str(path), config, split, revision)
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        from datasets import load_from_disk

        for file in sorted(path.rglob("*.arrow")):
            check_arrow(file)
        return _of_datasets(_split_of(load_from_disk(str(path)), split, str(path)), str(path))
    wanted = split or "train"
    for place in (path, path / "data"):
        for pattern in (f"{wanted}.parquet", f"{wanted}-*.parquet"):
            if inside := sorted(place.glob(pattern)):
                return Parquet(inside, _named(str(path), split))
    files = [p for p in sorted(path.iterdir()) if _is_data(p)]
    own = [p for p in files if p.name.split(".")[0] == wanted]
    if len(own) == 1:
        return _file(own[0], None, encoding)
    if len(files) == 1 and (split is None or ending_of(files[0]) == ".json"):
        return _file(files[0], split, encoding)
    for place in (path, path / "data"):
        if shards := _shards(place, wanted if split is not None or place != path else None):
            return Several([_file(shard, None, encoding) for shard in shards], _named(str(path), split))
    if (path / "README.md").is_file() or (path / "data").is_dir():
        return _loaded(str(path), str(path), None, split, None)
    there = sorted(
        {
            p.name.split(".")[0].split("-")[0]
            for place in (path, path / "data")
            for p in place.glob("*.*")
            if _is_data(p)
        }
    )
    if split is not None and there:
        raise InputError(f"{path} has no split {split!r}: it has {', '.join(there)}")
    names = ", ".join(sorted(p.name for p in path.iterdir())[:10]) or "nothing"
    raise InputError(
        f"{path} holds no data set that backfire knows (it holds: {names}):"
        " name the file itself, or a folder with train.parquet or one written by save_to_disk"
    )


def _is_data(path: Path) -> bool:
    return (
        path.is_file()
        and ending_of(path) not in ("", ".txt")
        and path.name.lower() not in ("manifest.json", "pairs.json", "dataset_info.json")
    )


def _shards(place: Path, wanted: str | None) -> list[Path]:
    """The files NAME-00000-of-00002.jsonl and so on, if all data files in a folder are those of one name."""
    files = [p for p in sorted(place.glob("*.*")) if _is_data(p)]
    if wanted is not None:
        files = [p for p in files if _SHARD.sub("", p.name).split(".")[0] == wanted]
    names = {_SHARD.sub("", p.name) for p in files}
    return files if len(names) == 1 and all(_SHARD.search(p.name) for p in files) else []


def _hub(name: str, config: str | None, split: str | None, revision: str | None) -> Source:
    if name.startswith(PREFIX):
        refuse_options(f"{name} says these itself", config=config, split=split, revision=revision)
        parts = parts_of(name)
        return _loaded(
            str(parts["name"]), f"{parts['name']} (hub)", parts["config"], parts["split"], parts["revision"]
        )
    path_like = name.startswith((".", "/", "~")) or name.count("/") > 1 or not name.strip()
    if path_like or ending_of(name) or Path(name).suffix in PACKED:
        raise InputError(f"there is no file {name}, nor a folder")
    return _loaded(name, f"{name} (hub)", config, split, revision)


def _loaded(name: str, origin: str, config: str | None, split: str | None, revision: str | None) -> Source:
    """What `datasets.load_dataset` gives."""
    loaded = load(name, config, split, revision)
    if split is None:
        loaded = _split_of(loaded, None, origin)
    return _of_datasets(loaded, _named(origin, split))


def _named(origin: str, split: str | None) -> str:
    return origin if split is None else f"{origin}, split {split}"


def _split_of(loaded: Any, split: str | None, origin: str) -> Any:
    if isinstance(loaded, Mapping):
        return chosen_split(loaded, split, origin)
    refuse_options(f"{origin} has no splits", split=split)
    return loaded


def _of_datasets(dataset: Any, origin: str) -> Source:
    if not hasattr(dataset, "column_names"):
        raise InputError(
            f"{origin} is a {type(dataset).__name__}, not a data set: give a datasets.Dataset or a list of rows"
        )
    if hasattr(dataset, "num_rows"):
        return TableOfDatasets(dataset, origin)
    return StreamOfDatasets(dataset, origin)
