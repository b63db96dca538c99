"""Reading pairs: every TRL form, and errors that name the row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.training import DPOSettings, LoRASettings, SFTSettings, read_training_log
from backfire.training.examples import read_conversations, read_pairs, unusual_prompts

USER = {"role": "user", "content": "Where?"}
GOOD = {"role": "assistant", "content": "Here."}
BAD = {"role": "assistant", "content": "No."}


def test_forms_that_trl_takes_pass_unchanged() -> None:
    conversational = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}
    implicit = {"chosen": [USER, GOOD], "rejected": [USER, BAD]}
    plain = {"prompt": "Where?", "chosen": "Here.", "rejected": "No."}
    for row in (conversational, implicit, plain):
        assert read_pairs([row | {"pair_id": "x", "score": 1.5}]) == [row]


def test_a_plain_prompt_beside_conversational_sides_is_understood() -> None:
    both = {"prompt": "Where?", "chosen": [USER, GOOD], "rejected": [USER, BAD]}
    assert read_pairs([both]) == [{"chosen": [USER, GOOD], "rejected": [USER, BAD]}]
    sides = {"prompt": "Where?", "chosen": [GOOD], "rejected": [BAD]}
    assert read_pairs([sides]) == [{"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}]


def test_tools_of_a_later_row_are_kept() -> None:
    row = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}
    assert read_pairs([row, row | {"tools": "[]"}]) == [row | {"tools": None}, row | {"tools": "[]"}]


def test_conversations_of_two_forms_are_refused() -> None:
    rows: list[dict[str, Any]] = [{"messages": [USER, GOOD]}, {"prompt": "Where?", "completion": "Here."}]
    with pytest.raises(InputError, match=r"row 1 has .* in plain text"):
        read_conversations(rows)


def test_prompts_that_are_not_by_turns_are_checked() -> None:
    system = {"role": "system", "content": "Hm."}
    asked = [[USER], [USER, GOOD, USER], [system, USER], [USER, USER], [USER, GOOD]]
    rows = [{"prompt": turns, "chosen": [GOOD], "rejected": [BAD]} for turns in asked]
    assert [p.as_messages() for p in unusual_prompts(rows)] == asked[2:]


def test_files_are_read_by_their_suffix(tmp_path: Path) -> None:
    rows = [{"prompt": "é", "chosen": "a", "rejected": "b"}, {"prompt": "q", "chosen": "c", "rejected": "d"}]
    lines = tmp_path / "pairs.jsonl"
    lines.write_text("\n".join(json.dumps(r) for r in rows) + "\n\n", encoding="utf-8")
    whole = tmp_path / "pairs.json"
    whole.write_text(json.dumps(rows), encoding="utf-8")
    assert read_pairs(lines) == read_pairs(str(whole)) == rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no rows"),
        ([{"prompt": "a", "chosen": "b"}], r"no column rejected \(columns: prompt, chosen\)"),
        ([{"prompt": "a", "chosen": "b", "rejected": None, "pair_id": "p7"}], r"row 0 \(pair p7\): .*text"),
        ([{"prompt": "a", "chosen": "b", "rejected": [BAD]}], "row 0: prompt, chosen is plain text"),
        (
            [
                {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
                {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
            ],
            "row 1 has chosen, prompt, rejected in turns, and the data, row 0 chosen, rejected in turns: give all",
        ),
        (
            [
                {"prompt": "a", "chosen": "b", "rejected": "c"},
                {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD], "pair_id": "p9"},
            ],
            r"row 1 \(pair p9\) has .* in turns, and the data, row 0 .* in plain text",
        ),
        ([{"prompt": [USER], "chosen": [], "rejected": [BAD]}], r"row 0: chosen is \[\]"),
        (
            [{"prompt": [USER], "chosen": [{"text": "x"}], "rejected": [BAD]}],
            "row 0: chosen is .*role and a content",
        ),
    ],
)
def test_rows_that_cannot_be_trained_on_are_named(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_pairs(rows)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no train\.parquet"):
        read_pairs(tmp_path)
    for name, text in (("a.csv", "x"), ("a.jsonl", "{"), ("a.parquet", "no"), ("a.json", '{"a": 1}')):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=name):
            read_pairs(tmp_path / name)
    with pytest.raises(InputError, match=r"training\.json"):
        read_training_log(tmp_path)


def test_a_dictionary_of_splits_is_refused_by_name() -> None:
    from datasets import Dataset, DatasetDict

    table = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}])
    with pytest.raises(InputError, match="splits train"):
        read_pairs(DatasetDict(train=table))
    assert len(read_pairs(table)) == 1


def test_settings_name_the_bad_value() -> None:
    with pytest.raises(InputError, match=r"beta = -1"):
        DPOSettings.of(beta=-1)
    with pytest.raises(InputError, match=r"betta = 0\.1"):
        DPOSettings.of(betta=0.1)
    with pytest.raises(
        InputError, match=r"settings: label_smoothing 0\.2 does nothing with loss_type sigmoid: use"
    ):
        DPOSettings.of(label_smoothing=0.2)
    assert DPOSettings.of(label_smoothing=0.2, loss_type="robust").label_smoothing == 0.2
    settings = DPOSettings.of(beta=0.2, adapter={"r": 4})
    assert settings.adapter == LoRASettings(r=4)
    assert (DPOSettings().lr, SFTSettings().lr) == (1e-6, 2e-5)
