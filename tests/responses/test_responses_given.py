"""Given responses: formats, columns, and what is left out."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from backfire.errors import InputError
from backfire.records import Prompt
from backfire.responses import store_given

ROWS = [
    {"instruction": "How?", "output": "So.", "generator": "gpt4"},
    {"instruction": "How?", "output": "Thus, and with a\nsecond line.", "generator": "gpt4"},
    {"instruction": "Why?", "output": "Because, “so”.", "generator": "people"},
]


def write(path, rows):
    match path.suffix:
        case ".jsonl":
            path.write_text("".join(json.dumps(r) + "\n" for r in rows) + "\n", encoding="utf-8")
        case ".json":
            path.write_text(json.dumps(rows), encoding="utf-8")
        case ".parquet":
            parquet.write_table(pa.Table.from_pylist(rows), path)
        case _:
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, rows[0], delimiter="\t" if path.suffix == ".tsv" else ",")
                writer.writeheader()
                writer.writerows(rows)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.parquet"])
def test_every_format_gives_the_same_responses(name, tmp_path, ledger):
    given = store_given(ledger, write(tmp_path / name, ROWS))
    assert [(r.source, r.text, r.index) for r in given.responses] == [
        ("gpt4", ROWS[0]["output"], 0),
        ("gpt4", ROWS[1]["output"], 1),
        ("people", ROWS[2]["output"], 0),
    ]
    assert given.columns == {"prompt": "instruction", "response": "output", "source": "generator"}
    assert given.sources == ledger.sources() == {"gpt4": 2, "people": 1}
    assert given.responses == store_given(ledger, ROWS).responses
    assert ledger.responses_of("people", [Prompt.of("Why?").id]) == [given.responses[2]]
    assert given.responses[0].stop_reason == "given"


def test_blank_and_repeated_rows_are_counted(ledger):
    rows = [
        *ROWS,
        ROWS[0],
        ROWS[0] | {"output": " \n"},
        ROWS[0] | {"output": None},
        ROWS[0] | {"instruction": ""},
        ROWS[0] | {"output": "half a \ud83d"},
        ROWS[0] | {"instruction": "\ude00?"},
    ]
    given = store_given(ledger, rows)
    assert given.left_out == {"duplicate": 1, "blank response": 2, "blank prompt": 1, "undecodable": 2}
    assert len(given.responses) == 3


def test_turns_kinds_and_alpaca_inputs(ledger):
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "How?"},
    ]
    given = store_given(
        ledger,
        [{"prompt": turns, "response": [{"role": "assistant", "content": "So."}], "kind": "harmful"}],
        "people",
    )
    assert given.responses[0].text == "So."
    prompt = ledger.prompts()[given.responses[0].prompt_id]
    assert (prompt.as_messages(), prompt.kind) == (turns, "harmful")
    rows = [{"instruction": "Translate.", "input": "Guten Tag", "output": "Good day"},
            {"instruction": "Sing.", "input": "", "output": "La"}]  # fmt: skip
    given = store_given(ledger, rows, "me")
    texts = [ledger.prompts()[r.prompt_id].text for r in given.responses]
    assert texts == ["Translate.\n\nGuten Tag", "Sing."]


def test_a_kind_may_stand_in_any_of_a_prompts_rows(ledger):
    store_given(ledger, [ROWS[0] | {"kind": None}, ROWS[1] | {"kind": "harmful"}, ROWS[2] | {"kind": ""}])
    assert {p.text: p.kind for p in ledger.prompts().values()} == {"How?": "harmful", "Why?": None}


def test_columns_may_be_named(ledger):
    rows = [{"q": "How?", "a": "So.", "by": "x"}]
    given = store_given(ledger, rows, prompt_column="q", response_column="a", source_column="by")
    assert (given.responses[0].source, given.responses[0].text) == ("x", "So.")
    assert store_given(ledger, rows, "people", prompt_column="q", response_column="a").sources == {
        "people": 1
    }


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [{"q": "How?", "output": "So."}],
            {},
            "no column for the prompt.*prompt_column.*columns are q, output",
        ),
        ([{"prompt": "How?", "output": "So."}], {}, "no column for the source.*by source"),
        (
            [{"prompt": "a", "instruction": "b", "output": "c"}],
            {},
            "several columns of what was given could be the prompt",
        ),
        (
            ROWS,
            {"response_column": "text"},
            r"no column 'text' \(response_column\); its columns are instruction",
        ),
        ([ROWS[0] | {"output": 3}], {}, "the response of row 1 is not text but 3"),
        ([ROWS[0], ROWS[1] | {"generator": " "}], {}, "row 2 has a blank 'generator'"),
        ([ROWS[0] | {"kind": "bad"}, ROWS[1] | {"kind": "Benign"}], {}, "row 1 .*'kind' holds 'bad'"),
        ([{"prompt": ["x"], "response": "y", "source": "z"}], {}, "row 1 is not a list of turns"),
        (
            [
                {
                    "prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
                    "response": "a",
                }
            ],
            {"source": "me"},
            "the prompt of row 1 ends with the assistant's turn",
        ),
        (
            [ROWS[0] | {"kind": ""}, ROWS[0] | {"kind": "harmful"}, ROWS[1] | {"kind": "benign"}],
            {},
            "row 3 calls a prompt benign that another row calls harmful: 'How\\?'",
        ),
        ([], {}, "no rows"),
    ],
)
def test_what_cannot_be_read_says_why(rows, options, message, ledger):
    with pytest.raises(InputError, match=message):
        store_given(ledger, rows, **options)
    assert ledger.sources() == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"prompt": 1}\n{', "a.jsonl cannot be read: line 2"),
        ("a.json", "3", "holds a int: a list of rows"),
        ("a.parquet", "x", "a.parquet as Parquet"),
        ("a.xlsx", "x", r"ends in '\.xlsx'"),
        ("none.csv", None, "there is no file"),
        ("wide.csv", "prompt,response\nhow, or when?,so,x\n", "row 1 has more cells than the header"),
    ],
)
def test_files_that_do_not_read(name, text, message, tmp_path, ledger):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        store_given(ledger, tmp_path / name, "x")


def test_every_file_of_alpaca_eval_gives_one_responder(real_data, ledger):
    given = [store_given(ledger, path) for path in sorted((real_data / "alpaca-eval").glob("*.json"))]
    assert len(ledger.sources()) == len(given) >= 5
    assert all(
        g.columns == {"prompt": "instruction", "response": "output", "source": "generator"} for g in given
    )
    for g in given:
        assert len(g.responses) + sum(g.left_out.values()) == 805
        assert len(g.responses) >= 800
    assert len(ledger.prompts()) >= 800
