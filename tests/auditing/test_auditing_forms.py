"""Whole audits: one content in many forms and orders, what cannot be judged, and the JSON of the answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backfire.answers.audit import AuditReport, parse_audit
from backfire.auditing import audit
from backfire.errors import InputError
from backfire.texts import text_keys
from synthetic_pairs import conversational, rows

CLOTHES = ("dataset", "input", "format", "columns", "rows", "reading")


@pytest.fixture(scope="module")
def content() -> list[dict[str, Any]]:
    return rows(90, 5, cue="word", share=0.6)


@pytest.fixture(scope="module")
def plain(content: list[dict[str, Any]]) -> AuditReport:
    return audit(content)


def naked(report: AuditReport) -> dict[str, Any]:
    """The answer without how its rows were dressed: row numbers and the commands, which name the file, are looked at elsewhere."""
    found = {name: value for name, value in report.as_dict().items() if name not in CLOTHES}
    told = found["conclusion"]
    for effect in told["effects"]:
        effect.pop("fix", None)
        effect.pop("rows")
    told["verdict"] = re.sub("`backfire .*?`", "", told["verdict"])
    told["advice"] = [re.sub("`backfire .*?`", "", step) for step in told["advice"]]
    return found


def transcript(row: dict[str, Any]) -> dict[str, Any]:
    return {s: f"\n\nHuman: {row['prompt']}\n\nAssistant: {row[s]}" for s in ("chosen", "rejected")}


def labelled(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"prompt": row["prompt"], "completion": row[side], "label": side == "chosen"}
        for row in values
        for side in ("chosen", "rejected")
    ]


def implicit(row: dict[str, Any]) -> dict[str, Any]:
    told = conversational(row)
    return {side: told["prompt"] + told[side] for side in ("chosen", "rejected")}


def sharegpt(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "conversations": [{"from": "human", "value": row["prompt"]}],
        "chosen": {"from": "gpt", "value": row["chosen"]},
        "rejected": {"from": "gpt", "value": row["rejected"]},
    }


@pytest.mark.parametrize(
    ("form", "dressed"),
    [
        ("TRL conversational, explicit prompt", conversational),
        ("TRL conversational, implicit prompt", implicit),
        ("Anthropic HH transcripts", transcript),
        ("conversations and single turns", sharegpt),
    ],
)
def test_the_same_content_in_other_clothes_gives_the_same_answer(
    form: str, dressed: Any, content: list[dict[str, Any]], plain: AuditReport
) -> None:
    report = audit([dressed(row) for row in content])
    assert report.format == form
    assert report.rows == 90
    assert naked(report) == naked(plain)


def test_labelled_completions_pair_up_to_the_same_answer(
    content: list[dict[str, Any]], plain: AuditReport
) -> None:
    """A pair is known by the row of its second completion, so that row numbers double."""
    report = audit(labelled(content))
    assert report.format == "completions with labels"
    assert (report.rows, report.pairs) == (180, 90)
    found, expected = naked(report), naked(plain)
    for one, other in zip(found["shortcuts"], expected["shortcuts"], strict=True):
        assert [e.pop("row") for e in one["examples"]] == [2 * e.pop("row") for e in other["examples"]]
    assert rows_taken(found["topics"]) == [2 * row for row in rows_taken(expected["topics"])]
    assert found == expected


def rows_taken(value: Any) -> list[int]:
    """The row numbers anywhere in a part of an answer, in their order; they are taken out of it."""
    if isinstance(value, list):
        return [row for one in value for row in rows_taken(one)]
    if not isinstance(value, dict):
        return []
    taken = [*value.pop("rows", []), *([value.pop("row")] if "row" in value else [])]
    return taken + [row for one in value.values() for row in rows_taken(one)]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
def test_a_file_gives_what_its_rows_give(
    suffix: str, content: list[dict[str, Any]], plain: AuditReport, tmp_path: Path
) -> None:
    file = tmp_path / f"pairs.{suffix}"
    table = pa.Table.from_pylist(content)
    if suffix == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    elif suffix == "parquet":
        pq.write_table(table, file)
    else:
        import pyarrow.csv as csv

        csv.write_csv(table, file)
    report = audit(file)
    assert report.dataset == str(file)
    assert naked(report) == naked(plain)


def close(one: Any, other: Any, where: str = "") -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            close(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            close(a, b, f"{where}.{index}")
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-5), where
    else:
        assert one == other, where


def test_the_order_of_rows_does_not_matter_but_for_their_numbers(
    content: list[dict[str, Any]], plain: AuditReport
) -> None:
    order = np.random.default_rng(0).permutation(90)
    found, expected = naked(audit([content[i] for i in order])), naked(plain)
    for one in found["shortcuts"]:
        for example in one["examples"]:
            example["row"] = int(order[example["row"] - 1]) + 1
    # The first rows of a topic, and the prompt that stands for it, follow the order.
    for answer in (found, expected):
        answer.pop("map")
        assert rows_taken(answer["topics"])
        for topic in answer["topics"]["topics"]:
            for cell in topic["cells"]:
                cell.pop("example", None)
    close(found, expected)


def nulls(value: Any) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(nulls(v) for v in inside)


def test_the_answer_is_json_without_nulls_and_is_read_back(plain: AuditReport) -> None:
    found = plain.as_dict()
    told = json.loads(json.dumps(found, allow_nan=False))
    assert told == found
    assert not nulls(told)
    assert parse_audit(told) == plain.model_copy(update={"seconds": None})
    for absent in ("source_leak", "on_policyness", "seconds"):
        assert absent not in told
    assert "truncated" not in told["confounds"]
    assert "layers" not in told["separability"][0]
    with pytest.raises(InputError, match="separability"):
        parse_audit({**told, "separability": [{"probe": "length"}]})


def test_the_same_rows_give_the_same_json(content: list[dict[str, Any]], plain: AuditReport) -> None:
    assert audit(content).as_dict() == plain.as_dict()
    other = audit(content, seed=1)
    assert other.settings["seed"] == 1
    assert other.as_dict()["separability"] != plain.as_dict()["separability"]


@pytest.mark.parametrize("values", [rows(40, 1), rows(10, 1)], ids=["judged", "unjudged"])
def test_progress_ends_at_the_whole_and_never_goes_back(values: list[dict[str, Any]]) -> None:
    told: list[tuple[int, int]] = []
    audit(values, progress=lambda done, total: told.append((done, total)))
    done = [d for d, _ in told]
    assert done == sorted(done)
    assert all(d <= t for d, t in told)
    assert len({t for _, t in told}) == 1
    assert told[-1][0] == told[-1][1]


def test_at_most_so_many_pairs_are_audited_and_said_to_be(
    content: list[dict[str, Any]], tmp_path: Path
) -> None:
    column = tmp_path / "bits.parquet"
    report = audit(content, max_pairs=40, per_pair=column)
    assert (report.pairs, report.left_out, report.rows) == (40, 50, 90)
    assert {r.pairs for r in report.separability} == {40}
    assert report.settings["max_pairs"] == 40
    keys = text_keys(pa.array([row["prompt"] for row in content]))
    kept = np.sort(np.argsort(keys)[:40]) + 1
    assert pq.read_table(column)["row"].to_pylist() == kept.tolist()
    with pytest.raises(InputError, match="max_pairs = 5: give at least 30"):
        audit(content, max_pairs=5)


def unjudged(report: AuditReport, reason: str) -> None:
    assert report.conclusion.level == "unknown"
    assert report.separability == ()
    assert {one.probe for one in report.not_run} == {"length", "surface", "words", "characters"}
    assert all(reason in one.reason for one in report.not_run)
    assert "No judgement" in report.conclusion.reasons[0]
    assert (report.shortcuts, report.per_pair, report.map, report.reference_points) == ((), None, None, ())
    told = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert not nulls(told)
    parse_audit(told)


def test_too_few_pairs_give_a_reason_and_no_number(tmp_path: Path) -> None:
    column = tmp_path / "bits.csv"
    values = [{**row, "chosen_model": "a", "rejected_model": "b"} for row in rows(29, 7, cue="word")]
    report = audit(values, per_pair=column)
    unjudged(report, "too few pairs: 29 usable, 30 needed")
    assert report.pairs == 29
    assert not column.exists()
    assert report.source_leak is not None
    assert report.source_leak.fixed
    assert report.source_leak.pointwise is None
    assert report.source_leak.reason == report.not_run[0].reason
    assert any("Collect more pairs" in step for step in report.conclusion.advice)


def test_one_prompt_gives_a_reason_and_no_number() -> None:
    report = audit([{**row, "prompt": "Always this"} for row in rows(60, 8)])
    unjudged(report, "too few prompts")
    assert (report.pairs, report.prompts) == (60, 1)


def test_thirty_pairs_are_enough_for_a_number() -> None:
    report = audit(rows(30, 9, cue="length"))
    assert {r.pairs for r in report.separability} == {30}
    assert report.conclusion.level in ("some", "strong")


def test_rows_without_a_usable_one_are_an_error_that_says_why() -> None:
    values = [
        {"prompt": "p", "chosen": "same", "rejected": "same"},
        {"prompt": "q", "chosen": " ", "rejected": "b"},
        {"prompt": "q", "chosen": None, "rejected": "b"},
        {"prompt": "q", "chosen": None, "rejected": "c"},
    ]
    with pytest.raises(
        InputError, match=r"none of the 4 rows.*2 lack a response.*row 3 holds.*Fix: give every row"
    ):
        audit(values)


def test_labelled_completions_of_one_class_are_an_error_too() -> None:
    values = [one for one in labelled(rows(40, 10)) if one["label"]]
    with pytest.raises(InputError, match="40 have no other response to the same prompt"):
        audit(values)


def test_many_rows_left_out_are_the_first_thing_said() -> None:
    good = rows(60, 11)
    report = audit([*good, *({**row, "chosen": ""} for row in rows(31, 12))])
    assert report.conclusion.reasons[0].startswith(
        "31 of 91 rows (34%) give no pair and are left out: 31 have a blank"
    )
    few = audit([*good, *({**row, "chosen": ""} for row in rows(20, 12))])
    assert "left out" not in few.conclusion.reasons[0]


def test_marks_of_templates_in_some_prompts_are_counted_and_looked_through() -> None:
    item = "What are the names of some famous actors that started their careers on Broadway?"
    values = rows(60, 13)
    nemo = "<extra_id_0>System\n\n<extra_id_1>User\n{}\n<extra_id_1>Assistant\n"
    wrappers = ("[INST] {} [/INST]", "\n\nHuman: {}\n\nAssistant:", "{}", nemo)
    for row, wrapper in zip(values, wrappers, strict=False):
        row["prompt"] = wrapper.format(item)
    report = audit(values)
    assert {found.what: found.rows for found in report.confounds.prompt_debris} == {
        "[INST] marks": (1,),
        "NeMo marks": (4,),
        "Human: or Assistant: at the start of a line": (2,),
    }
    (found,) = report.confounds.evaluation_sets
    assert (found.name, found.rows) == ("AlpacaEval", (1, 2, 3, 4))
    assert any("[INST] marks in the prompts of 1 pair" in reason for reason in report.conclusion.reasons)


def test_how_the_data_were_read_is_part_of_the_answer() -> None:
    values = [{**row, "prompt": f"[INST] {row['prompt']} [/INST]"} for row in rows(60, 14)]
    report = audit(values)
    assert "[INST] marks" in report.reading[0]
    assert report.confounds.prompt_debris == ()


def test_defective_rows_are_left_out_and_numbered(content: list[dict[str, Any]], plain: AuditReport) -> None:
    bad = [{"prompt": "p", "chosen": "x", "rejected": "x"}, {"prompt": "p", "chosen": "", "rejected": "x"}]
    report = audit([*content, *bad])
    assert [(d.kind, d.rows) for d in report.defects] == [("identical sides", (91,)), ("blank side", (92,))]
    found = naked(report)
    assert found["conclusion"]["effects"][-1]["name"] == "defects"
    for part in ("conclusion", "defects"):
        found.pop(part)
    assert found == {name: value for name, value in naked(plain).items() if name in found}


def test_numbers_that_make_no_sense_are_refused(content: list[dict[str, Any]], tmp_path: Path) -> None:
    for name, value, fewest in (("controls", 100, 199), ("folds", 1, 2), ("policy_pairs", 3, 30)):
        with pytest.raises(InputError, match=f"{name} = {value}: give at least {fewest}"):
            audit(content, **{name: value})
    with pytest.raises(InputError, match=r"\.parquet, \.jsonl, \.csv"):
        audit(content, per_pair=tmp_path / "bits.txt")


def test_prompts_of_an_evaluation_set_are_found_by_their_hashes(real_data: Path) -> None:
    file = real_data / "prompts" / "advbench.csv"
    import csv

    with file.open(encoding="utf-8", newline="") as lines:
        goals = [row["goal"] for row in csv.DictReader(lines)]
    values = rows(40, 11)
    values[3]["prompt"] = goals[10].upper()
    values[8] = conversational({**values[8], "prompt": "  " + goals[20]})
    values = [row if isinstance(row["prompt"], list) else conversational(row) for row in values]
    values[5]["prompt"] = [
        {"role": "user", "content": "Hello there, how are you?"},
        {"role": "assistant", "content": "Very well."},
        {"role": "user", "content": goals[30]},
    ]
    report = audit(values)
    found = {one.name: one for one in report.confounds.evaluation_sets}
    assert found["AdvBench"].rows == (4, 6, 9)
    assert found["AdvBench"].pairs.hits == 3
    assert any("AdvBench" in reason and "contaminated" in reason for reason in report.conclusion.reasons)
    assert any("AdvBench" in step for step in report.conclusion.advice)
    assert any(name.startswith("HarmBench") for name in report.confounds.evaluation_sets_checked)
    clean = audit(rows(40, 12)).confounds
    assert clean.evaluation_sets == ()
    assert clean.evaluation_sets_checked == report.confounds.evaluation_sets_checked
