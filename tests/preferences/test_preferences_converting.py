"""`convert`: what stands in the written file, against rows written by hand and TRL's own reading of them."""

from __future__ import annotations

import datetime
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.preferences import preference_rows as rows_by_hand
from tests.preferences.preference_rows import Row, assistant, user

import backfire as bf
from backfire.errors import InputError
from backfire.preferences import completion_of_side, open_preferences, prompt_of

PAIRS = [pair for pair in rows_by_hand.PAIRS if pair[0]]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _read(path: Path) -> list[Any]:
    return [
        (prompt_of(block, i), *(completion_of_side(block, side, i) for side in ("chosen", "rejected")))
        for block in open_preferences(path).blocks()
        for i in range(len(block))
    ]


@pytest.mark.parametrize(
    "form", [form for _, form in rows_by_hand.FORMS.values()], ids=list(rows_by_hand.FORMS)
)
@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "json", "parquet"])
def test_every_form_gives_the_same_turns(form: Callable[..., Any], ending: str, tmp_path: Path) -> None:
    out = tmp_path / f"pairs.{ending}"
    done = bf.convert([form(*pair) for pair in PAIRS], out)
    assert (done.rows, done.pairs, done.left_out) == (len(PAIRS), len(PAIRS), {})
    expected = [([user(p)], [assistant(c.strip())], [assistant(r.strip())]) for p, c, r in PAIRS]
    if ending == "parquet":
        import pyarrow.parquet as parquet

        found = parquet.read_table(out).to_pylist()
    elif ending == "json":
        found = json.loads(out.read_text(encoding="utf-8"))
    elif ending == "jsonl.gz":
        found = [json.loads(line) for line in gzip.decompress(out.read_bytes()).split(b"\n") if line]
    else:
        found = _rows(out)
    assert [(row["prompt"], row["chosen"], row["rejected"]) for row in found] == expected
    assert [row["row"] for row in found] == list(range(1, len(PAIRS) + 1))


def test_other_columns_are_kept_and_defects_are_counted(tmp_path: Path) -> None:
    day = datetime.date(2026, 1, 31)
    given = [
        {"prompt": "A?", "chosen": "b", "rejected": "c", "annotator": "x", "day": day, "messages": "none"},
        {"prompt": "A?", "chosen": "b", "rejected": "b", "annotator": "y", "day": day, "messages": "none"},
        {"prompt": "D?", "chosen": "e", "rejected": "f", "annotator": None, "day": day, "messages": "none"},
    ]
    given = [row | {"chosen_model": "big", "rejected_model": "small", "tags": ["t"]} for row in given]
    done = bf.convert(given, tmp_path / "a.jsonl")
    assert done.left_out == {"identical sides": (2,)}
    assert done.renamed == {"messages": "given_messages"}
    first, second = _rows(tmp_path / "a.jsonl")
    assert first.keys() == second.keys()
    assert (first["row"], second["row"]) == (1, 3)
    assert (first["annotator"], second["annotator"]) == ("x", None)
    assert (first["day"], first["given_messages"], first["tags"]) == ("2026-01-31", "none", ["t"])
    assert (first["chosen_source"], first["rejected_source"]) == ("big", "small")


def test_what_the_reader_does_not_understand_of_a_column_is_kept_beside(tmp_path: Path) -> None:
    given = [
        {"prompt": "A?", "chosen": "b", "rejected": "c", "tags": {"noun": "tea"}},
        {"prompt": "D?", "chosen": "e", "rejected": "f", "tags": ["one", "two"]},
    ]
    bf.convert(given, tmp_path / "a.jsonl")
    first, second = _rows(tmp_path / "a.jsonl")
    assert (json.loads(first["tags"]), second["tags"]) == ({"noun": "tea"}, None)
    assert second["given_tags"] == ["one", "two"]


def test_blocks_and_rows_stay_in_step(tmp_path: Path) -> None:
    count = 20_000
    with (tmp_path / "many.jsonl").open("w") as file:
        for n in range(1, count + 1):
            chosen = "same" if n % 7 == 0 else f"answer {n}"
            file.write(json.dumps({"prompt": f"{n}?", "chosen": chosen, "rejected": "same", "own": n}) + "\n")
    done = bf.convert(tmp_path / "many.jsonl", tmp_path / "out.jsonl")
    rows = _rows(tmp_path / "out.jsonl")
    assert [row["own"] for row in rows] == [n for n in range(1, count + 1) if n % 7]
    assert all(row["row"] == row["own"] and row["prompt"] == [user(f"{row['own']}?")] for row in rows)
    assert len(done.left_out["identical sides"]) == count // 7


def test_a_converted_file_reads_as_the_same_pairs(tmp_path: Path) -> None:
    rows = [rows_by_hand.beside(*pair) | {"kind": "harmful", "score_chosen": 3.5} for pair in PAIRS]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    bf.convert(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    bf.convert(tmp_path / "b.jsonl", tmp_path / "c.parquet")
    assert _read(tmp_path / "a.jsonl") == _read(tmp_path / "b.jsonl") == _read(tmp_path / "c.parquet")


def _halves(count: int) -> list[Row]:
    """Rows of KTO's: desirable ones first, then the undesirable ones in another order, and one that finds no partner."""
    good = [{"n": n, "completion": f"yes {n}", "label": True} for n in range(count)]
    bad = [
        {"n": (n * 7) % count, "completion": f"no {(n * 7) % count}", "label": False} for n in range(count)
    ]
    rows = [*good, *bad, {"n": count, "completion": "alone", "label": True}]
    return [
        {
            "prompt": f"{row['n']}?",
            "completion": row["completion"],
            "label": row["label"],
            "topic": {"name": f"t{row['n']}"},
            "annotator": f"{row['completion']} by",
            "finish_reason": "stop" if row["label"] else "length",
            "messages": row["n"],
        }
        for row in rows
    ]


def test_pairs_of_two_rows_keep_the_columns_of_both(tmp_path: Path) -> None:
    rows = _halves(5000)
    done = bf.convert(rows, tmp_path / "a.jsonl")
    assert done.further == ("topic", "messages")
    assert done.by_side == ("annotator", "finish_reason")
    assert done.left_out == {"unpaired": (10001,)}
    found = _rows(tmp_path / "a.jsonl")
    assert len(found) == 5000
    for row in found:
        n = row["given_messages"]
        one, two = rows[row["chosen_row"] - 1], rows[row["rejected_row"] - 1]
        assert row["row"] == max(row["chosen_row"], row["rejected_row"])
        assert row["prompt"] == [user(f"{n}?")] == [user(one["prompt"])] == [user(two["prompt"])]
        assert (row["chosen"], row["rejected"]) == ([assistant(f"yes {n}")], [assistant(f"no {n}")])
        assert row["topic"] == {"name": f"t{n}"}
        assert (row["chosen_annotator"], row["rejected_annotator"]) == (f"yes {n} by", f"no {n} by")
        assert (row["chosen_finish_reason"], row["rejected_finish_reason"]) == ("stop", "length")
    (block, *_) = open_preferences(tmp_path / "a.jsonl").blocks()
    assert set(block.column("rejected_stop").to_pylist()) == {"length"}


def test_a_column_that_only_one_of_the_two_rows_has_is_kept_with_its_side(tmp_path: Path) -> None:
    rows = [
        {"prompt": "A?", "completion": "c", "label": False, "why": "rude", "chosen_why": 7},
        {"prompt": "A?", "completion": "b", "label": True},
    ]
    bf.convert(rows, tmp_path / "a.jsonl")
    (row,) = _rows(tmp_path / "a.jsonl")
    assert (row["chosen_row"], row["rejected_row"], row["row"]) == (2, 1, 2)
    assert (row["given_chosen_why"], row["rejected_why"]) == (None, "rude")
    assert (row["chosen_chosen_why"], row["rejected_chosen_why"]) == (None, 7)


def test_two_kinds_and_tags_of_one_pair_are_both_kept(tmp_path: Path) -> None:
    rows = [
        {"prompt": "A?", "completion": "b", "label": True, "tags": {"noun": "tea"}, "model": "big"},
        {"prompt": "A?", "completion": "c", "label": False, "tags": {"noun": "salt"}, "model": "small"},
    ]
    bf.convert(rows, tmp_path / "a.jsonl")
    (row,) = _rows(tmp_path / "a.jsonl")
    assert (row["chosen_tags"], row["rejected_tags"]) == ({"noun": "tea"}, {"noun": "salt"})
    assert (row["chosen_source"], row["rejected_source"]) == ("big", "small")
    assert (row["chosen_model"], row["rejected_model"]) == ("big", "small")


@pytest.mark.parametrize("ranked", ["best-worst", "best-rest"])
def test_scored_responses_keep_their_columns_whatever_the_order(ranked: str, tmp_path: Path) -> None:
    worths = {0: (3, 1, 2), 1: (1, 2, 5), 2: (2, 9, 4)}
    rows = [
        {
            "prompt": f"{p}?",
            "response": f"{p} worth {worths[p][k]}",
            "score": worths[p][k],
            "own": [p, k],
            "set": p,
        }
        for k in range(3)
        for p in worths
    ]
    bf.convert(rows, tmp_path / "a.jsonl", ranked=ranked)
    found = _rows(tmp_path / "a.jsonl")
    assert len(found) == (3 if ranked == "best-worst" else 6)
    for row in found:
        one, two = rows[row["chosen_row"] - 1], rows[row["rejected_row"] - 1]
        assert row["chosen"] == [assistant(one["response"])]
        assert row["rejected"] == [assistant(two["response"])]
        assert (row["chosen_own"], row["rejected_own"]) == (one["own"], two["own"])
        assert (row["chosen_score"], row["rejected_score"]) == (one["score"], two["score"])
        assert row["set"] == one["set"]


def test_several_pairs_of_one_row_keep_its_columns_each(tmp_path: Path) -> None:
    rows = [
        {
            "instruction": f"{n}?",
            "generations": [f"best {n}", f"middle {n}", f"worst {n}"],
            "ratings": [5, 3, 1],
            "own": n,
        }
        for n in range(1, 30)
    ]
    bf.convert(rows, tmp_path / "a.jsonl", ranked="best-rest")
    found = _rows(tmp_path / "a.jsonl")
    assert [row["own"] for row in found] == [n for n in range(1, 30) for _ in range(2)]
    assert all(row["row"] == row["own"] and row["ratings"] == [5, 3, 1] for row in found)


def test_battles_keep_their_columns(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": f"{n}?",
            "response_a": f"a {n}",
            "response_b": f"b {n}",
            "model_a": "x",
            "model_b": "y",
            "winner": "model_b" if n % 2 else "model_a",
            "judge": f"j{n}",
            "turn": 1,
        }
        for n in range(1, 9)
    ]
    bf.convert(rows, tmp_path / "a.jsonl")
    for n, row in enumerate(_rows(tmp_path / "a.jsonl"), start=1):
        assert (row["judge"], row["turn"], row["model_a"], row["model_b"]) == (f"j{n}", 1, "x", "y")
        assert row["winner"] == ("model_b" if n % 2 else "model_a")


def test_no_pair_is_an_error_that_names_the_defect_and_leaves_no_file(tmp_path: Path) -> None:
    rows = [{"prompt": "A?", "chosen": "b", "rejected": "b"}] * 3
    with pytest.raises(InputError, match="identical sides"):
        bf.convert(rows, tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.txt", "a", "a.csv"])
def test_unknown_endings_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.jsonl"):
        bf.convert([rows_by_hand.standard(*PAIRS[0])], tmp_path / name)


def test_the_data_set_itself_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(rows_by_hand.standard(*PAIRS[0])))
    with pytest.raises(InputError, match="the data set itself"):
        bf.convert(path, path)


def test_odd_values_become_strict_json(tmp_path: Path) -> None:
    odd = {"number": float("nan"), "bytes": b"\xff", "half": "\ud83d", "line": "a\u2028b"}
    bf.convert([rows_by_hand.standard(*PAIRS[0]) | odd], tmp_path / "a.jsonl")
    (row,) = _rows(tmp_path / "a.jsonl")
    assert (row["number"], row["bytes"], row["half"], row["line"]) == (None, "/w==", "\ud83d", "a\u2028b")


def test_columns_of_mixed_types_are_text_in_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    values = [1, "one", {"a": 1}, None]
    rows = [
        {"prompt": f"{n}?", "chosen": "b", "rejected": "c", "own": v, "none": {}}
        for n, v in enumerate(values)
    ]
    bf.convert(rows, tmp_path / "a.parquet")
    assert parquet.read_table(tmp_path / "a.parquet")["own"].to_pylist() == ["1", "one", '{"a": 1}', None]


def test_trl_takes_it_as_conversations(tmp_path: Path, tiny_llama: Path) -> None:
    from datasets import load_dataset
    from transformers import AutoTokenizer
    from trl import apply_chat_template, is_conversational

    rows = [rows_by_hand.beside(*pair) | {"messages": "text", "image": None, "own": 1} for pair in PAIRS]
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    for ending, kind in (("jsonl", "json"), ("parquet", "parquet")):
        bf.convert(rows, tmp_path / f"a.{ending}")
        loaded = load_dataset(
            kind, data_files=str(tmp_path / f"a.{ending}"), split="train", cache_dir=str(tmp_path / "c")
        )
        assert not {"image", "images", "messages"} & set(loaded.column_names)
        for row, (prompt, chosen, rejected) in zip(loaded, PAIRS, strict=True):
            assert is_conversational(row)
            made = apply_chat_template(row, tokenizer)
            turns = [user(prompt)]
            asked = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            assert made["prompt"] == asked
            assert chosen in made["chosen"]
            assert rejected in made["rejected"]
