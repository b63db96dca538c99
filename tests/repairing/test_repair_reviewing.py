"""A reader's decisions are applied to the pairs that they are about, and to no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.answers.decisions import KEY, read_decisions
from backfire.errors import InputError
from backfire.pairs import read_pairs
from backfire.repairing import Review, repair
from backfire.repairing.given import read_given
from backfire.repairing.reviewing import key_of
from synthetic_pairs import conversational, rows

MARKS = {2: "drop", 4: "swap", 5: "keep"}


def written(folder: Path, marks: dict[int, str], values: Any, **changed: Any) -> Path:
    given = read_given(values)
    keys = dict(zip(given.rows, map(key_of, given.pairs), strict=True))
    file = {
        KEY: 1,
        "dataset": "prefs.jsonl",
        "digest": "5e" * 32,
        "decisions": [{"row": row, "pair": keys[row], "mark": mark} for row, mark in marks.items()],
    }
    path = folder / "decisions.json"
    path.write_text(json.dumps(file | changed), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", ["plain", "conversational"])
def test_the_marks_are_done_and_recorded(tmp_path: Path, form: str) -> None:
    values = rows(8, 0) if form == "plain" else [conversational(row) for row in rows(8, 0)]
    file = written(tmp_path, MARKS, values)
    repaired = repair(values, Review(decisions=file), out=tmp_path / "out", audit=False)
    assert repaired.changed == {"kept": 6, "labels switched": 1, "left out": 1}
    assert repaired.left_out == {"a reader marked it drop": (2,)}
    plain = rows(8, 0)
    sides = [(pair.chosen.text, pair.rejected.text) for pair in read_pairs(tmp_path / "out").pairs]
    wanted = [(row["chosen"], row["rejected"]) for row in plain]
    wanted[3] = wanted[3][::-1]
    assert sides == wanted[:1] + wanted[2:]
    notes = json.loads((tmp_path / "out" / "repair.json").read_text(encoding="utf-8"))
    assert [one["mark"] for one in notes["settings"]["marks"]] == list(MARKS.values())


def test_a_folder_of_pairs_can_be_reviewed_again(tmp_path: Path) -> None:
    values = rows(8, 0)
    first = repair(
        values, Review(decisions=written(tmp_path, MARKS, values)), out=tmp_path / "one", audit=False
    )
    file = written(tmp_path, {1: "drop"}, first.folder)
    assert repair(first.folder, Review(decisions=file), out=tmp_path / "two", audit=False).pairs == 6


def test_decisions_about_other_pairs_are_an_error(tmp_path: Path) -> None:
    file = written(tmp_path, MARKS, rows(8, 0))
    with pytest.raises(
        InputError, match=r"decisions.json decides about pairs that .* does not have \(row 2, 4, 5\)"
    ):
        repair(rows(8, 1), Review(decisions=file), out=tmp_path / "out", audit=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({KEY: 2}, "decisions of version 2, and this version of backfire reads 1"),
        (
            {"decisions": [{"row": 3, "pair": "a", "mark": "maybe"}]},
            "row 3 has the mark 'maybe': choose keep, drop, swap",
        ),
        ({"decisions": []}, "holds no decision: mark at least one pair"),
        ({"decisions": [{"row": 0, "pair": "a", "mark": "keep"}]}, "decisions.0.row"),
        ({"decisions": 3}, "decisions"),
        (
            {"decisions": [{"row": 3, "pair": "a", "mark": mark} for mark in ("keep", "drop")]},
            "row 3 is marked keep and drop: leave one of the two",
        ),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_decisions(written(tmp_path, MARKS, rows(8, 0), **changed))


@pytest.mark.parametrize("text", ["no JSON", "[1]", '{"marks": {}}'])
def test_a_file_of_another_kind_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"other.json"):
        read_decisions(path)
    with pytest.raises(InputError, match="cannot read"):
        read_decisions(tmp_path / "absent.json")
