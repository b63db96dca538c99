"""`repair`: a folder or a file in, a folder of pairs out that says what happened to each pair and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from backfire.errors import InputError
from backfire.pairs import Built, Pair, find_recipe, read_pairs, write_pairs
from backfire.preferences import open_preferences
from backfire.records import Score
from backfire.repairing import Repaired, repair
from backfire.store import Ledger
from repairing.repair_pairs import pair, response, sources_of

COUNT = 60


def by_hand() -> list[Pair]:
    return [
        pair(
            n,
            kind="benign" if n % 3 == 0 else "harmful",
            decisions=("comply", "comply") if n % 3 == 0 else ("refuse", "comply"),
            stops=("length", "eos") if n == 7 else ("eos", "eos"),
        )
        for n in range(COUNT)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    built = Built(find_recipe("gpt4o+self"), tuple(by_hand()), {"tie": ("x",)}, {}, ("mind this",))
    return write_pairs(tmp_path / "pairs", built)


def half_of(data: Path, out: Path, pairs: int) -> Repaired:
    """The later half of a data set of so many pairs."""
    return repair(data, method="filter", out=out, keep=0.5, influence=np.arange(float(pairs)), audit=False)


def test_a_filtered_folder_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    values = np.arange(float(COUNT))
    found = repair(folder, method="filter", out=tmp_path / "new", keep=0.5, influence=values, audit=False)
    again = read_pairs(tmp_path / "new")
    given = read_pairs(folder)
    assert len(again.pairs) == found.pairs == 30
    assert {p.id for p in again.pairs} <= {p.id for p in given.pairs}
    assert again.recipe == given.recipe
    assert again.left_out["tie"] == ("x",)
    notes = json.loads((tmp_path / "new" / "repair.json").read_text())
    missing = [row for rows in notes["left_out"].values() for row in rows]
    assert len(missing) == 30
    assert {row["pair"] for row in missing} == {p.id for p in given.pairs} - {p.id for p in again.pairs}
    assert all(given.pairs[row["row"] - 1].id == row["pair"] for row in missing)
    table = pq.read_table(tmp_path / "new" / "train.parquet")
    assert set(table["repair"].to_pylist()) == {"filter"}
    assert set(table["repair_change"].to_pylist()) == {"kept"}
    assert all(table["repair_why"].to_pylist())
    assert found.influence is not None
    before, after = found.influence
    assert before.mean == pytest.approx(29.5)
    kept = [n for n, p in enumerate(given.pairs) if p.id in {q.id for q in again.pairs}]
    assert after.mean == pytest.approx(values[kept].mean())
    assert found.before is None


def test_a_file_of_values_joins_by_row(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "values.csv"
    rows = [(n + 1, float(n)) for n in range(COUNT) if n != 59]
    file.write_text("row,safety_influence\n" + "".join(f"{r},{v}\n" for r, v in reversed(rows)))
    found = repair(folder, method="filter", out=tmp_path / "new", above=55.5, influence=file, audit=False)
    assert found.pairs == 3, "rows 57 to 59; row 60 has no value"
    kept = {p.prompt.text for p in read_pairs(found.folder).pairs}
    assert kept == {"request 56", "request 57", "request 58"}
    file.write_text("row,v_information\n1,0.5\n")
    with pytest.raises(InputError, match="no columns row and safety_influence"):
        repair(folder, method="filter", out=tmp_path / "x", above=0, influence=file, audit=False)
    file.write_text("row,safety_influence\n999,0.5\n")
    with pytest.raises(InputError, match="no row in common"):
        repair(folder, method="filter", out=tmp_path / "x", above=0, influence=file, audit=False)
    assert not (tmp_path / "x").exists()


def test_the_audit_stands_before_and_after_and_ease_comes_from_it(folder: Path, tmp_path: Path) -> None:
    found = repair(folder, method="filter", by="ease", out=tmp_path / "new", keep=0.7)
    assert found.before is not None
    assert found.after is not None
    assert (found.before.pairs, found.after.pairs) == (COUNT, found.pairs)
    assert found.pairs == 42


def test_a_preference_file_is_read_with_its_sources(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "prompt": f"q {n}",
            "chosen": f"yes {n}",
            "rejected": f"no {n}",
            "chosen_model": "a",
            "rejected_model": "b",
        }
        for n in range(4)
    ]
    rows[2]["rejected"] = " "
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = tmp_path / "v.jsonl"
    values.write_text("".join(json.dumps({"row": r, "safety_influence": float(r)}) + "\n" for r in (1, 2, 4)))
    found = repair(file, method="filter", out=tmp_path / "new", above=1.5, influence=values, audit=False)
    again = read_pairs(found.folder).pairs
    assert [(p.prompt.text, p.chosen.text, p.chosen.source, p.rejected.source) for p in again] == [
        ("q 1", "yes 1", "a", "b"),
        ("q 3", "yes 3", "a", "b"),
    ]
    notes = json.loads((found.folder / "repair.json").read_text())
    assert notes["rows_without_a_pair"] == {"blank side": 1}
    assert [row["row"] for rows in notes["left_out"].values() for row in rows] == [1]


def test_balance_takes_responses_and_scores_from_a_ledger(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than one response of a source"):
        repair(folder, method="balance", out=tmp_path / "new", audit=False)
    with Ledger(tmp_path / "pool.db") as ledger:
        for n, given in enumerate(by_hand()[:40]):
            more = [response(given.prompt, "self", f"draw {k} of {n}", index=2 + k) for k in (0, 1)]
            ledger.put_prompts([given.prompt])
            ledger.put_responses(more)
            ledger.put_scores(Score(r.id, "rm", float(k)) for k, r in enumerate(more))
    found = repair(folder, method="balance", out=tmp_path / "new", pool=tmp_path / "pool.db", audit=False)
    again = read_pairs(found.folder).pairs
    assert found.changed == {"re-paired": 40, "left out": 20}
    assert set(sources_of(again).values()) == {0}
    assert all((p.chosen_score, p.rejected_score) == (1.0, 0.0) for p in again)


def test_mix_and_auto(folder: Path, tmp_path: Path) -> None:
    own = [pair(n, kind=p.prompt.kind, sources=("self", "self ")) for n, p in enumerate(by_hand())]
    extra = write_pairs(tmp_path / "own", Built(find_recipe("self+rm"), tuple(own), {}, {}, ()))
    found = repair(folder, method="mix", out=tmp_path / "mixed", self_pairs=extra, share=0.2, audit=False)
    assert found.changed == {"added": 12, "kept": 48, "left out": 12}
    values = np.where(np.arange(COUNT) % 4 == 0, -5.0, 1.0)
    settings: dict[str, Any] = {"self_pairs": extra, "influence": values, "audit": False}
    with pytest.raises(InputError, match="influence too"):
        repair(folder, method="auto", out=tmp_path / "auto", **settings)
    settings["self_influence"] = np.full(COUNT, 2.0)
    found = repair(folder, method="auto", out=tmp_path / "auto", target=0.5, **settings)
    assert found.choice is not None
    step = found.choice.prediction
    assert step is not None
    assert step.low > 0.5
    assert found.influence is not None
    assert found.influence[1].mean == pytest.approx(step.mean)
    with pytest.raises(InputError, match=r"no change is predicted to bring the influence above 3: the best"):
        repair(folder, method="auto", out=tmp_path / "none", target=3.0, **settings)
    assert not (tmp_path / "none").exists()


def test_ends_are_matched_after_the_method(folder: Path, tmp_path: Path) -> None:
    values = np.arange(float(COUNT))
    cut = repair(
        folder, method="filter", out=tmp_path / "c", keep=1.0, influence=values, ends="cut", audit=False
    )
    assert cut.changed == {"kept": 59, "response cut": 1, "left out": 0}
    dropped = repair(
        folder, method="filter", out=tmp_path / "d", keep=0.9, influence=values, ends="drop", audit=False
    )
    assert dropped.changed["kept"] + dropped.changed["left out"] == COUNT


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    for method, options, said in (
        ("filter", {"keep": 0.5}, "each pair's influence is needed"),
        ("restyle", {}, "method restyle: name the model to be trained by policy"),
        ("mix", {}, "share is missing"),
        ("polish", {}, "choose filter, switch, balance"),
        ("filter", {"keep": 0.5, "by": "length"}, "by = 'length': choose influence or ease"),
        ("balance", {"pool": "nowhere.db"}, "no ledger nowhere.db"),
    ):
        with pytest.raises(InputError, match=said):
            repair(folder, method=method, out=out, audit=False, **options)  # type: ignore[arg-type]
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="name a new folder"):
        repair(folder, method="filter", out=mine, keep=0.5, influence=np.zeros(COUNT), audit=False)


def test_every_column_of_a_surviving_row_is_in_the_repaired_set(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "question": f"request {n}",
            "chosen": "the same" if n % 10 == 0 else f"Sure, take {n}",
            "rejected": "the same" if n % 10 == 0 else f"I'm sorry, no {n}",
            "annotator": f"a{n}",
            "rating": n / 2,
            "topics": ["x", "y"][: n % 3],
            "recipe": "mine",
            "note": None if n % 2 else {"text": "t"},
        }
        for n in range(1, COUNT + 1)
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept = COUNT - COUNT // 10
    found = half_of(tmp_path / "in.jsonl", tmp_path / "new", kept)
    assert found.without_pair == {"identical sides": COUNT // 10}
    table = pq.read_table(tmp_path / "new" / "train.parquet").to_pylist()
    assert len(table) == kept // 2
    for row in table:
        given = rows[row["row"] - 1]
        assert row["prompt"] == [{"role": "user", "content": given["question"]}]
        assert row["given_recipe"] == "mine"
        assert {name: row[name] for name in ("annotator", "rating", "topics", "note")} == {
            name: given[name] for name in ("annotator", "rating", "topics", "note")
        }
    again = half_of(tmp_path / "new", tmp_path / "more", 27)
    rows_again = pq.read_table(again.folder / "train.parquet").to_pylist()
    assert {row["given_row"] for row in rows_again} <= {row["row"] for row in table}
    assert all(row["annotator"] == f"a{row['given_row']}" for row in rows_again)
    assert read_pairs(again.folder).pairs


def test_both_rows_of_a_pair_of_two_are_in_the_repaired_set(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "prompt": f"request {n}",
            "completion": f"{'yes' if good else 'no'} {n}",
            "label": good,
            "annotator": f"a{n}{good}",
            "topic": f"t{n}",
            "score": n + good,
        }
        for good in (True, False)
        for n in range(1, 21)
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = half_of(tmp_path / "in.jsonl", tmp_path / "new", 20)
    table = pq.read_table(found.folder / "train.parquet").to_pylist()
    assert [row["topic"] for row in table] == [f"t{n}" for n in range(11, 21)]
    for row in table:
        one, two = rows[row["chosen_row"] - 1], rows[row["rejected_row"] - 1]
        assert row["row"] == row["rejected_row"] == row["chosen_row"] + 20
        assert (row["chosen_annotator"], row["rejected_annotator"]) == (one["annotator"], two["annotator"])
        assert (row["given_chosen_score"], row["given_rejected_score"]) == (one["score"], two["score"])


def test_calls_of_tools_in_prompts_and_sides_and_the_tools_column_survive(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]

    def call(arguments: dict[str, Any]) -> dict[str, Any]:
        function = {"name": "find", "arguments": arguments}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"type": "function", "function": function}],
        }

    given: list[dict[str, Any]] = [
        {
            "prompt": [
                {"role": "user", "content": f"Where is {n}?"},
                call({"what": str(n)} if n % 2 else {"where": n}),
                {"role": "tool", "name": "find", "content": f"in {n}"},
            ],
            "chosen": [{"role": "assistant", "content": f"It is in {n}."}],
            "rejected": [call({"again": n})] if n % 3 == 0 else [{"role": "assistant", "content": "No."}],
            "tools": tools,
            "own": n,
        }
        for n in range(1, 41)
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in given))
    found = half_of(path, tmp_path / "new", 40)
    rows = [json.loads(line) for line in (found.folder / "train.jsonl").read_text().splitlines()]
    assert len(rows) == 20
    for row in rows:
        origin = given[row["row"] - 1]
        assert row["own"] == origin["own"]
        assert row["tools"] == tools
        for name in ("prompt", "chosen", "rejected"):
            assert [{k: v for k, v in turn.items() if v} for turn in row[name]] == [
                {k: v for k, v in turn.items() if v} for turn in origin[name]
            ]


def test_plain_text_stays_plain_text(tmp_path: Path) -> None:
    rows = [{"prompt": f"Q{n}: ", "chosen": f"so {n}", "rejected": f"no {n}", "note": n} for n in range(12)]
    asked: dict[str, Any] = {"method": "filter", "keep": 0.5, "influence": np.arange(12.0), "audit": False}
    found = repair(rows, out=tmp_path / "new", plain=True, **asked)
    data = open_preferences(found.folder, plain=True)
    texts = [text for block in data.blocks() for text in block["chosen"].to_pylist()]
    assert texts == [f"so {n}" for n in range(6, 12)]
    assert pq.read_table(found.folder / "train.parquet")["note"].to_pylist() == list(range(6, 12))
    assert [p.chosen.text for p in read_pairs(found.folder).pairs] == texts
    again = repair(found.folder, out=tmp_path / "b", plain=True, **asked | {"influence": np.arange(6.0)})
    assert again.pairs == 3
    asked |= {"influence": np.arange(6.0)}
    repair(found.folder, out=tmp_path / "turns", **asked)
    with pytest.raises(InputError, match="have no raw text"):
        repair(tmp_path / "turns", out=tmp_path / "c", plain=True, **asked)
    with pytest.raises(InputError, match="restyle asks the policy through its chat template"):
        repair(rows, out=tmp_path / "d", plain=True, method="restyle")
