"""Files, folders, hub names and data sets in memory give the same pairs; what is not there is named."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from preference_rows import PAIRS, conversational, jsonl, read, standard, texts, user

from backfire.errors import InputError
from backfire.preferences import open_preferences, prompt_of

ROWS = [standard(*pair) for pair in PAIRS]
CHATS = [conversational(*pair) for pair in PAIRS]


def delimited(path: Path, delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(ROWS[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)
    return path


def zipped(path: Path) -> Path:
    there = path.with_name(path.name + ".gz")
    there.write_bytes(gzip.compress(path.read_bytes()))
    return there


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "json", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("is_zipped", [False, True])
def test_files_agree(tmp_path: Path, ending: str, is_zipped: bool) -> None:
    path = tmp_path / f"a.b.{ending}"
    if ending in ("jsonl", "ndjson"):
        jsonl(path, ROWS)
    elif ending == "json":
        path.write_text(json.dumps(ROWS, indent=1), encoding="utf-8")
    elif ending == "parquet":
        parquet.write_table(pa.Table.from_pylist(ROWS), path)
        if is_zipped:
            with pytest.raises(InputError, match=r"only text is read packed"):
                open_preferences(zipped(path))
            return
    else:
        delimited(path, "," if ending == "csv" else "\t")
    assert texts(zipped(path) if is_zipped else path) == PAIRS


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        {name: [row[name] for row in ROWS] for name in ROWS[0]},
        {"version": 2, "data": ROWS},
    ],
)
def test_json_values(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text("\ufeff" + json.dumps(value), encoding="utf-8")
    assert texts(path) == PAIRS


def test_json_lines_under_the_name_json_and_with_a_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(json.dumps, ROWS)).encode())
    assert texts(path) == PAIRS
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(map(json.dumps, CHATS)).encode())
    assert texts(path) == PAIRS


def test_folders_agree(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    dataset = Dataset.from_list(CHATS)
    dataset.save_to_disk(tmp_path / "disk")
    both = DatasetDict({"train": Dataset.from_list(ROWS), "test": Dataset.from_list(ROWS[:2])})
    both.save_to_disk(tmp_path / "splits")
    for name in ("pairs", "shards", "data", "single", "lines"):
        (tmp_path / name).mkdir()
    dataset.to_parquet(tmp_path / "pairs" / "train.parquet")
    (tmp_path / "pairs" / "pairs.json").write_text("{}", encoding="utf-8")
    (tmp_path / "data" / "data").mkdir()
    for folder in (tmp_path / "shards", tmp_path / "data" / "data"):
        parquet.write_table(pa.Table.from_pylist(ROWS[:3]), folder / "train-00000-of-00002.parquet")
        parquet.write_table(pa.Table.from_pylist(ROWS[3:]), folder / "train-00001-of-00002.parquet")
        parquet.write_table(pa.Table.from_pylist(ROWS[:2]), folder / "test-00000-of-00001.parquet")
    jsonl(tmp_path / "single" / "anything.jsonl", ROWS)
    zipped(jsonl(tmp_path / "lines" / "train.jsonl", ROWS)).unlink()
    jsonl(tmp_path / "lines" / "test.jsonl", ROWS[:2])
    for name in ("disk", "splits", "pairs", "shards", "data", "single", "lines"):
        assert texts(tmp_path / name) == PAIRS, name
    for name in ("splits", "shards", "data", "lines"):
        assert texts(tmp_path / name, split="test") == PAIRS[:2], name
    for name in ("splits", "shards", "lines"):
        with pytest.raises(InputError, match=r"no split 'dev'.*te"):
            open_preferences(tmp_path / name, split="dev")


def test_data_sets_in_memory_agree() -> None:
    from datasets import Dataset, DatasetDict

    dataset = Dataset.from_list(ROWS)
    assert (
        texts(dataset)
        == texts(DatasetDict({"train": dataset}))
        == texts(DatasetDict({"only": dataset}))
        == PAIRS
    )
    assert texts(Dataset.from_list(CHATS)) == texts(CHATS) == texts(tuple(ROWS)) == PAIRS
    assert texts(dataset.to_iterable_dataset()) == PAIRS
    assert texts(dataset.select([3, 0]).with_format("torch")) == [PAIRS[3], PAIRS[0]]
    splits = DatasetDict({"a": dataset, "b": dataset.select([1])})
    assert texts(splits, split="b") == [PAIRS[1]]
    with pytest.raises(InputError, match="has the splits a, b and no train"):
        open_preferences(splits)
    with pytest.raises(InputError, match="no split 'c': it has a, b"):
        open_preferences(splits, split="c")


def test_blocks_can_be_read_again(tmp_path: Path) -> None:
    preferences = open_preferences(jsonl(tmp_path / "a.jsonl", [*ROWS, {**ROWS[0], "chosen": ""}]))
    assert preferences.rows == 0
    assert read(preferences) == read(preferences)
    assert (preferences.rows, preferences.defects) == (5, {"blank side": [5]})


def test_pairs_of_backfire_bring_their_tags(tmp_path: Path) -> None:
    tags = json.dumps({"noun": "lamp", "wrapper": "none"}, sort_keys=True)
    rows = [
        {**row, "kind": "harmful", "chosen_source": "w", "rejected_source": "x", "chosen_stop_reason": "eos"}
        | {"rejected_stop_reason": "length", "tags": tags}
        for row in CHATS
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    (tmp_path / "pairs.json").write_text("{}", encoding="utf-8")
    (block,) = open_preferences(tmp_path).blocks()
    prompt = prompt_of(block, 0)
    assert (prompt.as_messages(), prompt.kind) == ([user(PAIRS[0][0])], "harmful")
    assert prompt.tags == {"noun": "lamp", "wrapper": "none"}


def test_conversations_survive_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", "chosen", "rejected"])
        writer.writerows([[json.dumps(value) for value in row.values()] for row in CHATS])
    assert texts(path) == PAIRS


def test_hub_arguments_reach_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked = []

    def load_dataset(*args: Any, **options: Any) -> Any:
        asked.append((args, options))
        dataset = datasets.Dataset.from_list(ROWS)
        return dataset if options["split"] else datasets.DatasetDict({"train": dataset})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    preferences = open_preferences("someone/pairs", config="harmless", split="test", revision="v2")
    assert preferences.origin == "someone/pairs (hub), split test"
    assert len(read(preferences)) == 4
    assert texts("someone/pairs") == PAIRS
    assert asked == [
        (("someone/pairs", "harmless"), {"split": "test", "revision": "v2"}),
        (("someone/pairs", None), {"split": None, "revision": None}),
    ]


def test_a_folder_with_configurations_is_loaded_as_from_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "two"
    (folder / "b").mkdir(parents=True)
    jsonl(folder / "b" / "train.jsonl", ROWS)
    jsonl(folder / "b" / "test.jsonl", ROWS[1:])
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: a\n  data_files:\n  - {split: train, path: b/train.jsonl}\n"
        "- config_name: b\n  data_files:\n  - {split: train, path: b/train.jsonl}\n"
        "  - {split: test, path: b/test.jsonl}\n---\n",
        encoding="utf-8",
    )
    assert texts(folder, config="b") == PAIRS
    assert texts(folder, config="b", split="test") == PAIRS[1:]
    with pytest.raises(InputError, match="no_such"):
        open_preferences(folder, config="b", split="no_such")
    with pytest.raises(InputError, match="Config name is missing"):
        open_preferences(folder)


def test_a_hub_that_does_not_answer_is_said_plainly() -> None:
    with pytest.raises(InputError, match="nobody/nothing is neither a file here nor a data set that the hub"):
        open_preferences("nobody/nothing")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b"not json\n", "none of its 1 lines"),
        ("a.jsonl", b"", "is empty"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b"3", "holds a int"),
        ("a.txt", b"x", "no form"),
        ("a.gz", b"x", ".jsonl"),
        ("a.parquet", b"x", "as Parquet"),
        ("a.csv", b"", "is empty"),
        ("a.jsonl.gz", b"x", "none of its 1 lines"),
        ("a.csv.gz", gzip.compress(b"prompt,chosen,rejected\n" * 900)[:-9], "cannot read"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.") as error:
        open_preferences(path)
    assert says in str(error.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        open_preferences(tmp_path / "missing.jsonl")
    with pytest.raises(InputError, match="holds no data set"):
        open_preferences(tmp_path)
    with pytest.raises(InputError, match="cannot open a int"):
        open_preferences(3)


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(InputError, match="is a file of one split: leave out split 'train'"):
        open_preferences(path, split="train")
    with pytest.raises(InputError, match="has no splits: leave out split 'train'"):
        open_preferences(ROWS, split="train")
    with pytest.raises(InputError, match="leave out config 'x' and revision 'y'"):
        open_preferences(ROWS, config="x", revision="y")


def test_shards_of_one_name_are_one_data_set(tmp_path: Path) -> None:
    for number, rows in enumerate((ROWS[:1], ROWS[1:])):
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / f"pairs-0000{number}-of-00002.parquet")
    assert texts(tmp_path) == PAIRS


def test_columns_that_a_file_lacks_are_empty_there(tmp_path: Path) -> None:
    kinds = [{**row, "kind": "benign"} for row in ROWS[:2]]
    parquet.write_table(pa.Table.from_pylist(kinds), tmp_path / "train-0.parquet")
    parquet.write_table(pa.Table.from_pylist(ROWS[2:]), tmp_path / "train-1.parquet")
    assert [row["kind"] for row in read(open_preferences(tmp_path))] == ["benign", "benign", None, None]


def test_mixed_values_in_a_data_set_are_single_defects() -> None:
    from datasets import Dataset, Features, Json, Value

    text = Value("string")
    features = Features({"prompt": text, "chosen": Json(), "rejected": text})
    dataset = Dataset.from_list([*ROWS, {**ROWS[0], "chosen": True}], features=features)
    preferences = open_preferences(dataset)
    assert [row["chosen"] for row in read(preferences)] == [pair[1] for pair in PAIRS]
    assert preferences.defects == {"wrong type": [5]}
