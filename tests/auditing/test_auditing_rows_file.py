"""Every row of every finding in one file, whatever its ending."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from backfire.auditing import audit
from backfire.errors import InputError
from synthetic_pairs import rows


def planted() -> list[dict[str, Any]]:
    given = rows(40, seed=5)
    given += [given[0]] * 1200  # more rows than an answer lists
    given += [given[1] | {"chosen": given[1]["rejected"], "rejected": given[1]["chosen"]}]
    given += [given[2] | {"chosen": given[2]["chosen"] + " <|im_end|>"}, given[3] | {"rejected": " "}]
    return given


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return [
            {
                name: None if value == "" else int(value) if name.endswith("row") else value
                for name, value in row.items()
            }
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".csv"])
def test_all_rows_stand_in_the_file(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"rows{ending}"
    report = audit(planted(), rows=file)
    lines = read(file)
    assert all(list(line) == ["finding", "row", "side", "other_row", "detail"] for line in lines)
    of = {
        name: [line for line in lines if line["finding"] == name]
        for name in {line["finding"] for line in lines}
    }
    assert [(line["row"], line["other_row"]) for line in of["duplicates"]] == [
        (n, 1) for n in range(41, 1241)
    ]
    duplicates = next(one for one in report.confounds.repeats if one.what == "exact duplicates")
    assert len(duplicates.rows) == 1000, "the answer lists fewer"
    assert [(line["row"], line["other_row"]) for line in of["contradictions"]] == [(2, 1241), (1241, 2)]
    assert [line for line in of["debris"] if line["row"] == 1242] == [
        {"finding": "debris", "row": 1242, "side": "chosen", "other_row": None, "detail": "ChatML marks"}
    ]
    assert of["defects"] == [
        {"finding": "defects", "row": 1243, "side": None, "other_row": None, "detail": "blank side"}
    ]


def test_a_file_of_no_known_ending_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has to end in"):
        audit(tmp_path / "nothing.jsonl", rows=tmp_path / "rows.txt")


def test_the_answer_says_what_was_read() -> None:
    report = audit(planted())
    assert report.input is not None
    assert report.input.rows == 1243
    assert len(report.input.digest) == 64
    again = audit(planted()[::-1]).input
    assert again is not None
    assert again.digest != report.input.digest


@pytest.mark.parametrize("keyword", ["rows", "per_pair"])
def test_no_output_is_written_over_the_data_set(tmp_path: Path, keyword: str) -> None:
    path = tmp_path / "prefs.jsonl"
    path.write_text(json.dumps({"prompt": "Why?", "chosen": "So.", "rejected": "No."}) + "\n")
    before = path.read_bytes()
    with pytest.raises(InputError, match="is the data set itself: name another file to write"):
        audit(path, **{keyword: path})
    assert path.read_bytes() == before


def kto(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two rows of each pair; all desirable responses stand before all others, so that the rows of a pair lie far apart."""
    return [
        {"prompt": pair["prompt"], "completion": pair[side], "label": side == "chosen"}
        for side in ("chosen", "rejected")
        for pair in pairs
    ]


def test_both_rows_of_a_pair_that_is_made_of_two_are_named(tmp_path: Path) -> None:
    given = rows(40, seed=5)
    given[6] |= {"chosen": given[6]["chosen"] + " <|im_end|>"}
    given[7] |= {"rejected": given[7]["rejected"] + " <|im_end|>"}
    given.append(given[3])
    data = kto(given)
    file = tmp_path / "rows.jsonl"
    report = audit(data, rows=file)
    lines = {
        name: [line for line in read(file) if line["finding"] == name] for name in ("debris", "duplicates")
    }
    assert [(line["row"], line["side"]) for line in lines["debris"]] == [
        (7, "chosen"),
        (8, "rejected"),
        (48, "chosen"),
        (49, "rejected"),
    ]
    assert [(line["row"], line["other_row"]) for line in lines["duplicates"]] == [(41, 45), (82, 45)]
    (debris,) = (effect for effect in report.conclusion.effects if effect.name == "debris")
    assert debris.rows == (7, 8, 48, 49)
    assert debris.pairs is not None
    assert debris.pairs.hits == 2, "pairs are counted, not rows"
    faulty = {line["row"] for found in lines.values() for line in found}
    left = audit([row for number, row in enumerate(data, 1) if number not in faulty])
    assert left.pairs == 38
    assert left.left_out == 0
    assert not {"debris", "duplicates"} & {effect.name for effect in left.conclusion.effects}
