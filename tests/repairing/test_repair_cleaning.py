"""`clean`: pairs with a fault go, each with its reason; what stays is as it was, and the audit has nothing left to say."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backfire.auditing import audit
from backfire.auditing.faults.registry import usually_cleaned
from backfire.errors import InputError
from backfire.pairs import read_pairs
from backfire.preferences import convert, open_preferences
from backfire.repairing import Clean, repair
from synthetic_pairs import conversational, sentence

SOUND = 80


def sound(seed: int = 1) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "prompt": f"Request {n}: {sentence(rng, 9)}",
            "chosen": f"Well {n}. {sentence(rng, 30)}",
            "rejected": f"So {n}. {sentence(rng, 30)}",
            "note": n / 7,
        }
        for n in range(SOUND)
    ]


def faulty() -> tuple[list[dict[str, Any]], dict[str, list[int]]]:
    """Sound rows, and after them rows with a fault each: their row numbers by what they should be taken out for."""
    rows = sound()
    expected: dict[str, list[int]] = {}

    def plant(name: str, *planted: dict[str, Any]) -> None:
        for row in planted:
            rows.append(row)
            expected.setdefault(name, []).append(len(rows))

    for n in range(5):
        plant("duplicates", rows[n] | {"note": -1.0})
    for n in range(5, 9):
        near = rows[n] | {"prompt": rows[n]["prompt"] + " Please", "rejected": rows[n]["rejected"] + " Yes."}
        plant("near-duplicates", near)
    for n in range(9, 12):
        turned = {"chosen": rows[n]["rejected"], "rejected": rows[n]["chosen"]}
        plant("contradictions", rows[n] | turned)
        expected["contradictions"].append(n + 1)
    fresh = iter(sound(seed=2))
    for mark in ("<|im_end|>", "<|eot_id|>", "[INST]"):
        row = next(fresh)
        plant("debris", row | {"chosen": f"{row['chosen']} {mark}"})
    for _ in range(8):
        row = next(fresh)
        plant("truncation", row | {"chosen": f"{row['chosen']} It is one of the"})
    for _ in range(3):
        row = next(fresh)
        plant("echo", row | {"rejected": f"{row['prompt']}\n\n{row['rejected']}"})
    for _ in range(3):
        plant("blank side", next(fresh) | {"rejected": "  "})
    return rows, {name: sorted(found) for name, found in expected.items()}


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def by_name(left_out: Any) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for why, rows in left_out.items():
        found.setdefault(why.partition(":")[0], []).extend(rows)
    return {name: sorted(rows) for name, rows in found.items()}


def test_each_fault_goes_with_its_reason_and_its_rows(tmp_path: Path) -> None:
    rows, expected = faulty()
    done = repair(written(tmp_path / "a.jsonl", rows), Clean(), out=tmp_path / "clean", audit=False)
    blank = expected.pop("blank side")
    assert by_name(done.left_out) == expected
    assert done.without_pair == {"blank side": len(blank)}
    assert done.pairs == SOUND - 3
    notes = json.loads((done.folder / "repair.json").read_text())
    assert notes["row_numbers_without_a_pair"] == {"blank side": blank}
    others = {line["row"]: line.get("other_row") for lines in notes["left_out"].values() for line in lines}
    assert {row: others[row] for row in expected["duplicates"]} == dict(
        zip(expected["duplicates"], range(1, 6), strict=True)
    )
    assert others[10] == expected["contradictions"][-3], "the one contradicts the other"
    assert notes["settings"]["faults"]


def test_the_audit_gives_none_of_the_advice_afterwards(tmp_path: Path) -> None:
    rows, _ = faulty()
    before = audit(written(tmp_path / "a.jsonl", rows))
    done = repair(tmp_path / "a.jsonl", Clean(), out=tmp_path / "clean.jsonl", audit=False)
    after = audit(done.folder)
    assert (done.input, done.output) == (before.input, after.input)
    assert {effect.name for effect in before.conclusion.effects} >= {*usually_cleaned(), "defects"}
    assert any("--method clean" in step for step in before.conclusion.advice)
    assert not [step for step in after.conclusion.advice if "--method clean" in step]
    assert not {effect.name for effect in after.conclusion.effects} & {*usually_cleaned(), "defects"}
    hits = {one.what: one.pairs.hits for one in after.confounds.repeats}
    assert hits["exact duplicates"] == hits["near duplicates"] == hits["contradictions"] == 0
    assert not after.defects
    again = repair(done.folder, Clean(), out=tmp_path / "again.jsonl", audit=False)
    assert again.changed == {"kept": done.pairs, "left out": 0}, "there is nothing more to clean"


def test_only_and_skip_choose_the_faults(tmp_path: Path) -> None:
    rows, expected = faulty()
    file = written(tmp_path / "a.jsonl", rows)
    only = repair(file, Clean(only=("duplicates",)), out=tmp_path / "only", audit=False)
    assert by_name(only.left_out) == {"duplicates": expected["duplicates"]}
    rest = repair(file, method="clean", skip=("duplicates", "debris"), out=tmp_path / "rest", audit=False)
    assert set(by_name(rest.left_out)) == {*usually_cleaned()} - {"duplicates", "debris"}
    with pytest.raises(InputError, match="leave no fault to take out"):
        Clean(only=("echo",), skip=("echo",))
    with pytest.raises(InputError, match="only"):
        Clean(only=("typos",))  # type: ignore[arg-type]


def test_of_a_cluster_whose_first_pair_has_another_fault_the_next_one_stays(tmp_path: Path) -> None:
    rows = sound()
    first = rows[0] | {"chosen": rows[0]["chosen"] + " <|im_end|>"}
    again = rows[0] | {"prompt": rows[0]["prompt"] + " Please"}
    done = repair([first, *rows[1:], rows[0], again], Clean(), out=tmp_path / "new", audit=False)
    assert by_name(done.left_out) == {"debris": [1], "near-duplicates": [SOUND + 2]}


def test_lines_that_stay_are_the_same_bytes(tmp_path: Path) -> None:
    rows, _ = faulty()
    lines = [json.dumps(row, ensure_ascii=n % 2 == 0, indent=None).encode() for n, row in enumerate(rows)]
    lines[3] = lines[3].replace(b'", "', b'" ,  "') + b" \r"
    given = b"\n" + b"\n".join(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(given))
    done = repair(tmp_path / "a.jsonl.gz", Clean(), out=tmp_path / "b.jsonl", audit=False)
    gone = {row for rows in done.left_out.values() for row in rows}
    blank = {n + 2 for n, row in enumerate(rows) if not row["rejected"].strip()}
    kept = [
        line for number, line in enumerate(given.split(b"\n"), start=1) if number not in gone | blank and line
    ]
    assert (tmp_path / "b.jsonl").read_bytes() == b"\n".join(kept) + b"\n"
    assert done.pairs == len(kept)
    assert json.loads((tmp_path / "b.jsonl.repair.json").read_text())["pairs"] == len(kept)


def test_a_parquet_file_keeps_its_schema_and_its_values(tmp_path: Path) -> None:
    rows, _ = faulty()
    schema = pa.schema(
        [
            ("prompt", pa.string()),
            ("chosen", pa.large_string()),
            ("rejected", pa.string()),
            ("note", pa.float32()),
        ],
        metadata={"huggingface": "x"},
    )
    table = pa.Table.from_pylist(rows, schema)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=17)
    done = repair(tmp_path / "a.parquet", Clean(), out=tmp_path / "b.parquet", audit=False)
    gone = {row for some in done.left_out.values() for row in some}
    gone |= {n + 1 for n, row in enumerate(rows) if not row["rejected"].strip()}
    new = pq.read_table(tmp_path / "b.parquet")
    assert new.schema.equals(schema, check_metadata=True)
    assert new.equals(table.take([n for n in range(len(rows)) if n + 1 not in gone]))


def test_a_folder_holds_the_same_texts_in_the_same_order(tmp_path: Path) -> None:
    rows, _ = faulty()
    done = repair(rows, Clean(), out=tmp_path / "new", audit=False)
    gone = {row for some in done.left_out.values() for row in some}
    kept = [row for n, row in enumerate(rows, start=1) if n not in gone and row["rejected"].strip()]
    assert done.output == audit(done.folder).input
    texts = [(p.prompt.text, p.chosen.text, p.rejected.text) for p in read_pairs(done.folder).pairs]
    assert texts == [(row["prompt"], row["chosen"], row["rejected"]) for row in kept]
    assert pq.read_table(done.folder / "train.parquet")["note"].to_pylist() == [row["note"] for row in kept]
    again = repair(done.folder, Clean(only=("duplicates",)), out=tmp_path / "again", audit=False)
    assert again.changed == {"kept": len(kept), "left out": 0}


def test_a_file_is_not_written_where_rows_cannot_stay_as_they_are(tmp_path: Path) -> None:
    kto = [{"prompt": f"q {n // 2}", "completion": f"text {n}", "label": n % 2 == 0} for n in range(20)]
    with pytest.raises(InputError, match="name a folder for the pairs"):
        repair(kto, Clean(), out=tmp_path / "b.jsonl", audit=False)
    with pytest.raises(InputError, match="mix changes rows: name a folder"):
        repair(sound(), method="mix", self_pairs=sound(2), share=0.5, out=tmp_path / "b.jsonl", audit=False)
    file = written(tmp_path / "a.jsonl", sound())
    before = file.read_bytes()
    with pytest.raises(InputError, match="is the data set itself"):
        repair(file, Clean(), out=file, audit=False)
    assert file.read_bytes() == before


def test_white_space_at_the_ends_is_taken_off_and_the_pair_stays(tmp_path: Path) -> None:
    rows = sound()
    for row in rows:
        row["chosen"] = f" {row['chosen']}\n"
    rows.append(rows[3] | {"chosen": rows[3]["chosen"].strip()})
    done = repair(written(tmp_path / "a.jsonl", rows), Clean(), out=tmp_path / "clean", audit=False)
    assert done.changed["response trimmed"] == SOUND
    assert by_name(done.left_out) == {"duplicates": [SOUND + 1]}
    chosen = [pair.chosen.text for pair in read_pairs(tmp_path / "clean").pairs]
    assert chosen == [row["chosen"].strip() for row in rows[:SOUND]]
    again = audit(tmp_path / "clean")
    assert not [one for one in again.confounds.debris if one.what.startswith("white space")]


def test_white_space_stays_where_debris_is_to_be_left_in(tmp_path: Path) -> None:
    rows = [row | {"chosen": f" {row['chosen']}"} for row in sound()]
    done = repair(
        written(tmp_path / "a.jsonl", rows), Clean(skip=("debris",)), out=tmp_path / "clean", audit=False
    )
    assert done.changed == {"kept": SOUND, "left out": 0}


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
@pytest.mark.parametrize("conversational", [False, True])
def test_a_file_is_trimmed_too_and_its_other_rows_are_the_same(
    tmp_path: Path, ending: str, conversational: bool
) -> None:
    rows: list[dict[str, Any]] = [row | {"note": {"a": n}} for n, row in enumerate(sound())]
    rows[4]["chosen"] += "  "
    rows[5] = rows[5] | {"chosen": " " + rows[5]["chosen"], "rejected": rows[5]["rejected"] + "\n"}
    wanted = [row | {side: row[side].strip() for side in ("chosen", "rejected")} for row in rows]
    if conversational:
        rows, wanted = (
            [
                row | {side: [{"role": "assistant", "content": row[side]}] for side in ("chosen", "rejected")}
                for row in some
            ]
            for some in (rows, wanted)
        )
    given = tmp_path / f"a{ending}"
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), given)
    else:
        given.write_text("".join(json.dumps(row, indent=None) + "\n" for row in rows))
    done = repair(given, Clean(), out=tmp_path / f"b{ending}", audit=False)
    assert done.changed == {"kept": SOUND - 2, "response trimmed": 2, "left out": 0}
    if ending == ".parquet":
        assert pq.read_table(done.folder).to_pylist() == wanted
        return
    lines, before = done.folder.read_bytes().splitlines(), given.read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == wanted
    assert [n for n in range(SOUND) if lines[n] != before[n]] == [4, 5]


def nothing_known() -> list[dict[str, Any]]:
    return sound()


def much_known() -> list[dict[str, Any]]:
    return [
        conversational(row)
        | {
            "chosen_source": "a" if n % 2 else "unknown",
            "rejected_source": "b",
            "chosen_stop_reason": "stop" if n % 3 else "eos",
            "rejected_stop_reason": "eos",
            "kind": "harmful" if n % 2 else "benign",
            "tags": {"topic": "x"} if n % 2 else {},
        }
        for n, row in enumerate(sound())
    ]


@pytest.mark.parametrize("given", [nothing_known, much_known])
def test_a_repaired_folder_and_a_file_of_its_pairs_have_one_digest(
    given: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    """A folder holds `unknown` for a writer and `given` for an end of which nobody told it: that is nothing known of a pair."""
    rows = given()
    file = written(tmp_path / "prefs.jsonl", [*rows, rows[4]])
    folder = repair(file, Clean(), out=tmp_path / "clean", audit=False)
    cleaned = repair(file, Clean(), out=tmp_path / "clean.jsonl", audit=False)
    again = convert(tmp_path / "clean", tmp_path / "converted.parquet")
    assert folder.pairs == SOUND
    read = {open_preferences(path).read_digest() for path in (folder.folder, cleaned.folder, again.path)}
    assert read == {folder.output.digest} == {cleaned.output.digest} == {again.digest}
