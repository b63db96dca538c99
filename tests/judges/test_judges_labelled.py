"""Reading what people labelled: columns found or named, labels as they are, and clear errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfire.errors import InputError
from backfire.judges import read_labelled, read_responses


def table(folder: Path, *lines: str) -> Path:
    file = folder / "labelled.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_usual_columns_are_found(tmp_path: Path) -> None:
    cases = read_labelled(table(tmp_path, "question,answer,label", "q,a,1", "q,b,0"))
    assert [(c.prompt.text, c.response.text, c.label, c.row) for c in cases] == [
        ("q", "a", True, 1),
        ("q", "b", False, 2),
    ]
    assert {c.prompt.kind for c in cases} == {"harmful"}


def test_columns_and_values_can_be_named(tmp_path: Path) -> None:
    file = table(tmp_path, "p,r,said", "q,a,full refusal", "q,b,partial", "q,c,compliance")
    cases = read_labelled(
        file, prompt="p", response="r", label="said", positive=("full refusal", "partial"), kind=None
    )
    assert [c.label for c in cases] == [True, True, False]
    assert cases[0].prompt.kind is None


def test_semicolons_capitals_and_kinds_by_row(tmp_path: Path) -> None:
    file = table(tmp_path, "Prompt; Response ;LABEL;kind", "q;a;1;Benign", "r;b;0;")
    assert [(c.response.text, c.prompt.kind) for c in read_labelled(file)] == [
        ("a", "benign"),
        ("b", "harmful"),
    ]


def test_two_equal_answers_to_a_prompt_are_two_cases(tmp_path: Path) -> None:
    cases = read_labelled(table(tmp_path, "prompt,response,label", "q,a,1", "q,a,0"))
    assert cases[0].response.id != cases[1].response.id


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("prompt,response,label", "q,a,2", "q,b,0"), "row 1: the label '2'"),
        (("prompt,response,label", "q,a,1", "q,b,"), "row 2: column 'label' is empty"),
        (("prompt,response,label", "q,a,1", "q,b,true"), "all 2 labels"),
        (("prompt,response", "q,a"), "label_column"),
        (("text,response,label", "q,a,1"), "prompt_column"),
        (("prompt,response,label",), "holds no rows"),
        (
            ("prompt,response,label", "q,a,1", "q,b,nan"),
            "row 2: column 'label' holds 'nan', which is no label",
        ),
        (("prompt,question,response,label", "q,q,a,1"), "several columns .*prompt_column"),
    ],
)
def test_what_cannot_be_read_is_said(lines: tuple[str, ...], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        read_labelled(table(tmp_path, *lines))


@pytest.mark.parametrize("missing", ["", "nan", "NaN", "None", "null", "N/A"])
def test_a_missing_label_is_no_negative_one(missing: str, tmp_path: Path) -> None:
    file = table(tmp_path, "prompt,response,label", "q,a,unsafe", "q,b,safe", f"q,c,{missing}")
    with pytest.raises(InputError, match="row 3: column 'label'"):
        read_labelled(file, positive=("unsafe",))


def test_missing_labels_of_other_formats(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text(
        '[{"prompt": "q", "response": "a", "label": 1}, {"prompt": "q", "response": "b", "label": NaN}]'
    )
    with pytest.raises(InputError, match="row 2: column 'label' holds 'nan'"):
        read_labelled(file, positive=("1",))


def test_a_value_may_be_called_none_where_it_is_named(tmp_path: Path) -> None:
    cases = read_labelled(
        table(tmp_path, "prompt,response,label", "q,a,none", "q,b,some"), positive=("none",)
    )
    assert [case.label for case in cases] == [True, False]


def test_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    values = ("1.0", "1", '"1"', "2.5", "0")
    rows = [f'{{"prompt": "q", "response": "a", "label": {value}}}' for value in values]
    file.write_text("\n".join(rows) + "\n")
    assert [case.label for case in read_labelled(file, positive=("1",))] == [True, True, True, False, False]


def test_a_cell_may_be_longer_than_the_csv_librarys_bound(tmp_path: Path) -> None:
    cases, _ = read_responses(table(tmp_path, "prompt,response", "q," + "a" * 200_000))
    assert len(cases[0][1].text) == 200_000


def test_a_named_column_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'x'"):
        read_labelled(table(tmp_path, "prompt,response,label", "q,a,1"), label="x")


def test_a_response_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "q", "response": null}\n')
    with pytest.raises(InputError, match="row 1: column 'response' holds None"):
        read_responses(file)


def test_responses_come_with_their_rows(tmp_path: Path) -> None:
    cases, rows = read_responses(table(tmp_path, "prompt,response,id", "q,a,7"), kind=None)
    assert cases[0][1].text == "a"
    assert rows == [{"prompt": "q", "response": "a", "id": "7"}]
