"""How far several people agree, and the pairs that they are split on; ties."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audited_by_hand import audited_by_hand
from backfire import audit
from backfire.auditing.faults.annotators import agreements, annotators_of
from backfire.auditing.faults.registry import conditions
from running import invoke


def rows_with(votes: list[tuple[float, float, float] | None]) -> list[dict[str, Any]]:
    names = ("chosen_votes", "rejected_votes", "tied_votes")
    return [
        {"prompt": f"ask {i} of it", "chosen": f"a {i}", "rejected": f"b {i}"}
        | ({} if each is None else dict(zip(names, each, strict=True)))
        for i, each in enumerate(votes)
    ]


def test_agreement_is_that_of_pairs_of_votes() -> None:
    each = np.array([[3.0, 0, 0], [2, 1, 0], [1, 1, 1], [2, 2, 0]])
    assert agreements(each) == pytest.approx([1, 1 / 3, 0, 1 / 3])


def test_split_pairs_are_counted_with_their_rows() -> None:
    found, split = annotators_of(
        audited_by_hand(rows_with([(3, 0, 0), (2, 1, 0), (4, 1, 0), (2, 0, 1), (1, 0, 0), None])), ("v",)
    )
    assert found is not None
    assert found.agreement is not None
    assert (found.split.hits, found.split.scored, found.split.unscored) == (2, 4, 2)
    assert (found.rows, found.votes) == ((2, 4), 15)
    assert found.agreement.value == pytest.approx((1 + 1 / 3 + 0.6 + 1 / 3) / 4)
    assert found.agreement.low < found.agreement.value < found.agreement.high
    assert split.tolist() == [False, True, False, True, False, False]


def test_without_votes_or_with_one_each_nothing_is_said_of_agreement() -> None:
    assert annotators_of(audited_by_hand(rows_with([None] * 4)), ())[0] is None
    found, split = annotators_of(audited_by_hand(rows_with([(1, 0, 0)] * 4)), ("v",))
    assert found is not None
    assert found.agreement is None
    assert (found.split.scored, found.split.rate, split.any()) == (0, None, np.False_)


def file_of(path: Path, count: int = 60, tied: int = 20) -> Path:
    """Three people's votes on pairs, of which every fourth is two to one; and rows that nobody decided."""
    words = ["river", "bird", "stone", "lamp", "tree", "house"]
    rows = [
        {
            "prompt": f"Name {words[k % 6]} number {k}, please.",
            "response_a": f"It is the {words[(k + 1) % 6]} of {k * k}.",
            "response_b": f"Perhaps {words[(k + 2) % 6]} {k + 7}?",
            "winner": "tie" if k >= count else "A" if k % 2 else "B",
            "annotator_labels": [*["A" if k % 2 else "B"] * 2, ("A" if k % 2 else "B") if k % 4 else "tie"],
        }
        for k in range(count + tied)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_an_audit_says_it_everywhere(tmp_path: Path) -> None:
    data = file_of(tmp_path / "votes.jsonl")
    report = audit(data)
    found = report.confounds.annotators
    assert found is not None
    assert found.columns == ("annotator_labels",)
    assert (found.split.hits, found.split.scored, found.votes) == (15, 60, 180)
    names = {effect.name for effect in report.conclusion.effects}
    assert {"split-votes", "ties"} <= names
    column = tmp_path / "pairs.csv"
    done = invoke(["audit", data, "--per-pair", column, "--fail-on", "split-votes", "--fail-on", "ties"])
    assert done.exit_code == 3, done.output
    assert "of 60 pairs with several votes; two votes on the same pair agree in 83%" in " ".join(
        done.stdout.split()
    )
    assert "20 of 80 rows (25.0%) are ties" in " ".join(done.stdout.split())
    with column.open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    assert first.items() >= {
        ("chosen_votes", "2"),
        ("rejected_votes", "0"),
        ("tied_votes", "1"),
    }


def test_without_votes_the_condition_could_not_be_checked(tmp_path: Path) -> None:
    rows = [{"prompt": f"Name {k}.", "chosen": f"It is {k}.", "rejected": f"No {k * k}."} for k in range(40)]
    path = tmp_path / "plain.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    done = invoke(["audit", path, "--fail-on", "split-votes"])
    assert done.exit_code == 3
    assert "no votes of several people are recorded" in done.output
    assert invoke(["audit", path, "--fail-on", "ties"]).exit_code == 0
    assert {"split-votes", "ties"} <= {condition.name for condition in conditions()}
