"""Column names are matched in one way everywhere, and one rule says what a column `kind` means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfire.errors import InputError
from backfire.tables.columns import PROMPT_COLUMNS, by_name, find, kind_column, named, normal, prompt_column


@pytest.mark.parametrize("written", ["prompt", " Prompt ", "PROMPT", "\tprompt"])
def test_blanks_and_capitals_do_not_matter(written: str) -> None:
    assert prompt_column(["id", written], None, "a.csv") == written
    assert by_name([written])["prompt"] == written


def test_inner_blanks_and_hyphens_count_as_underscores() -> None:
    assert find(["Chosen Response", "chosen-model"], ["chosen_model", "chosen_response"]) == [
        "chosen-model",
        "Chosen Response",
    ]


@given(st.text())
def test_a_normal_name_is_its_own(name: str) -> None:
    assert normal(normal(name)) == normal(name)


def test_the_exact_spelling_wins() -> None:
    assert by_name(["Prompt", "prompt", "PROMPT"])["prompt"] == "prompt"
    assert by_name(["Prompt", "PROMPT"])["prompt"] == "Prompt"
    assert named(["Prompt", "prompt"], "Prompt", "a.csv") == "Prompt"


@pytest.mark.parametrize("name", PROMPT_COLUMNS)
def test_rarer_names_count_only_where_no_usual_one_is_there(name: str) -> None:
    assert prompt_column(["Behavior", "messages", name, "input"], None, "a.csv") == name
    assert prompt_column(["messages", "Behavior"], None, "a.csv") == "Behavior"


def test_errors_name_columns_and_the_option() -> None:
    with pytest.raises(InputError, match=r"a\.csv has no column for the prompt: .*prompt_column.* ' text'"):
        prompt_column([" text"], None, "a.csv")
    with pytest.raises(InputError, match=r"several columns.*\(prompt, Goal\).*prompt_column"):
        prompt_column(["Goal", "prompt"], None, "a.csv")
    with pytest.raises(InputError, match=r"no column 'q' \(prompt_column\); its columns are Goal"):
        prompt_column(["Goal"], "q", "a.csv")


def rows(values: list[Any], column: str = "kind") -> list[tuple[int, dict[str, Any]]]:
    return [(number, {column: value}) for number, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("column", "values", "kinds"),
    [
        ("kind", ["harmful", "BENIGN ", "", None], ["harmful", "benign", None, None]),
        ("Kind", ["unsafe", "Safe", " "], ["harmful", "benign", None]),
        ("is_harmful", [True, False, None], ["harmful", "benign", None]),
        ("is_harmful", [1, 0, "1", "0.0", float("nan")], ["harmful", "benign", "harmful", "benign", None]),
        ("Unsafe", ["TRUE", "false"], ["harmful", "benign"]),
        ("kind", [None, ""], [None, None]),
    ],
)
def test_known_words_say_the_kind(column: str, values: list[Any], kinds: list[str | None]) -> None:
    found = kind_column([column], rows(values, column), "a.csv")
    assert [found.kind(row, number) for number, row in rows(values, column)] == kinds
    assert found.ignored is None


def test_a_column_of_that_name_that_speaks_of_something_else_is_ignored_and_named() -> None:
    found = kind_column(["kind"], rows(["chat", "code", None]), "a.csv")
    assert (found.column, found.ignored) == (None, "kind")
    assert kind_column(["kind"], rows([1, 0]), "a.csv").ignored == "kind"


def test_several_columns_that_could_say_it_say_nothing() -> None:
    assert kind_column(["unsafe", "harmful"], rows([True], "unsafe"), "a.csv").column is None
    assert kind_column(["unsafe", "harmful", "kind"], rows([True]), "a.csv").column is not None


def test_a_mixture_and_a_column_asked_for_name_row_and_value() -> None:
    with pytest.raises(InputError, match=r"row 3 of a\.csv: column 'kind' holds 'chat'.*leave it blank"):
        kind_column(["kind"], rows(["harmful", "", "chat"]), "a.csv")
    with pytest.raises(InputError, match=r"row 1 of a\.csv: column 'topic' holds 'chat'"):
        kind_column(["topic"], rows(["chat"], "topic"), "a.csv", given="topic")
    with pytest.raises(InputError, match="no column 'topic'"):
        kind_column(["kind"], rows([]), "a.csv", given="topic")
    late = kind_column(["kind"], rows(["harmful"]), "a.csv")
    with pytest.raises(InputError, match=r"row 2000 .*7"):
        late.kind({"kind": 7}, 2000)
