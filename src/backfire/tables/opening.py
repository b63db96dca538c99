"""From whatever a user names to a source of rows: files, folders, hub names, and data sets in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.tables.chunk import Source
from backfire.tables.delimited import Delimited
from backfire.tables.in_memory import ListOfRows, StreamOfDatasets, TableOfDatasets
from backfire.tables.json_lines import JsonLines
from backfire.tables.json_values import open_json
from backfire.tables.parquet import Parquet

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_SHARD = re.compile(r"-\d+-of-\d+(?=\.parquet$)")
MEMORY = "a data set in memory"


def open_source(dataset: Any, config: str | None, split: str | None, revision: str | None) -> Source:
    """A source for a path, a hub name, a list of rows, or an object of `datasets`.

    Raises:
        InputError: it is not there or not readable, or `config`, `split` or `revision` do not fit it.
    """
    if isinstance(dataset, (str, Path)):
        path = Path(dataset).expanduser()
        if path.is_dir():
            return _folder(path, config, split, revision)
        if path.exists():
            _refuse(f"{path} is a file", config=config, split=split, revision=revision)
            return _file(path)
        return _hub(str(dataset), config, split, revision)
    _refuse("a data set in memory is open already", config=config, revision=revision)
    if isinstance(dataset, Mapping):
        return _of_datasets(_split_of(dataset, split, MEMORY), MEMORY)
    _refuse("a data set in memory has no splits", split=split)
    if isinstance(dataset, (list, tuple)):
        return ListOfRows(dataset, "a list in memory")
    if hasattr(dataset, "column_names"):
        return _of_datasets(dataset, MEMORY)
    raise InputError(
        f"cannot open a {type(dataset).__name__}: give a path, a hub name, a datasets.Dataset or a list of rows"
    )


def _refuse(why: str, **options: str | None) -> None:
    if given := [f"{name} {value!r}" for name, value in options.items() if value is not None]:
        raise InputError(f"{why}: leave out {' and '.join(given)}")


def _file(path: Path) -> Source:
    suffixes = [s.lower() for s in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    suffix = (suffixes[:-1] if zipped else suffixes)[-1:]
    if not suffix or suffix[0] not in SUFFIXES or (zipped and suffix[0] == ".parquet"):
        raise InputError(
            f"cannot tell what {path} is: its name should end in one of {', '.join(SUFFIXES)}"
            " (the text ones also with .gz)"
        )
    if suffix[0] == ".parquet":
        return Parquet([path], str(path))
    if suffix[0] in (".csv", ".tsv"):
        return Delimited(path, "," if suffix[0] == ".csv" else "\t")
    return open_json(path) if suffix[0] == ".json" else JsonLines(path)


def _folder(path: Path, config: str | None, split: str | None, revision: str | None) -> Source:
    if config is not None or revision is not None:
        return _loaded(str(path), str(path), config, split, revision)
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        from datasets import load_from_disk

        return _of_datasets(_split_of(load_from_disk(str(path)), split, str(path)), str(path))
    wanted = split or "train"
    for place in (path, path / "data"):
        for pattern in (f"{wanted}.parquet", f"{wanted}-*.parquet"):
            if found := sorted(place.glob(pattern)):
                return Parquet(found, _named(str(path), split))
    files = [p for p in sorted(path.iterdir()) if _is_data(p)]
    own = [p for p in files if p.name.split(".")[0] == wanted]
    if len(own) == 1:
        return _file(own[0])
    if split is None and len(files) == 1:
        return _file(files[0])
    if split is None and files and len({_SHARD.sub("", p.name) for p in files}) == 1:
        return Parquet(files, str(path))
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
    name = path.name.lower().removesuffix(".gz")
    return (
        path.is_file()
        and name.endswith(SUFFIXES)
        and name not in ("manifest.json", "pairs.json", "dataset_info.json")
    )


def _hub(name: str, config: str | None, split: str | None, revision: str | None) -> Source:
    path_like = name.startswith((".", "/", "~")) or name.count("/") > 1
    if path_like or name.lower().removesuffix(".gz").endswith(SUFFIXES):
        raise InputError(f"no such file or folder: {name}")
    return _loaded(name, f"{name} (hub)", config, split, revision)


def _loaded(name: str, origin: str, config: str | None, split: str | None, revision: str | None) -> Source:
    """What `datasets.load_dataset` gives."""
    from datasets import load_dataset

    try:
        loaded = load_dataset(name, config, split=split, revision=revision)
    except Exception as error:
        raise InputError(
            f"{name} is neither a file here nor a data set that the hub gives as it was asked for"
            f" ({type(error).__name__}: {error}); check the name, the network and"
            f" config {config!r}, split {split!r}, revision {revision!r}"
        ) from error
    if split is None:
        loaded = _split_of(loaded, None, origin)
    return _of_datasets(loaded, _named(origin, split))


def _named(origin: str, split: str | None) -> str:
    return origin if split is None else f"{origin}, split {split}"


def _split_of(loaded: Any, split: str | None, origin: str) -> Any:
    if not isinstance(loaded, Mapping):
        if split is not None:
            raise InputError(f"{origin} has no splits: leave out split {split!r}")
        return loaded
    if split is not None:
        if split not in loaded:
            raise InputError(f"{origin} has no split {split!r}: it has {', '.join(map(str, loaded))}")
        return loaded[split]
    if "train" in loaded:
        return loaded["train"]
    if len(loaded) == 1:
        return next(iter(loaded.values()))
    raise InputError(f"{origin} has the splits {', '.join(map(str, loaded))} and no train: name one as split")


def _of_datasets(dataset: Any, origin: str) -> Source:
    if not hasattr(dataset, "column_names"):
        raise InputError(
            f"{origin} is a {type(dataset).__name__}, not a data set: give a datasets.Dataset or a list of rows"
        )
    if hasattr(dataset, "num_rows"):
        return TableOfDatasets(dataset, origin)
    return StreamOfDatasets(dataset, origin)
