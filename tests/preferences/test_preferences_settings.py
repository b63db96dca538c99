"""How a data set is read, as settings: the texts of the command line and of study files, and Python's values."""

from __future__ import annotations

import pytest

from backfire.errors import InputError
from backfire.models.settings import Opening
from backfire.preferences import open_preferences
from backfire.preferences.settings import Reading
from backfire.settings import COMMAND_LINE

ROWS = [{"question": "How?", "best": "So.", "worst": "No.", "writer a": "x", "writer b": "y"}]


def test_columns_are_given_as_a_text_or_by_role() -> None:
    text = Reading(columns="prompt=question, chosen=best,rejected=worst")
    assert text == Reading(columns={"prompt": "question", "chosen": "best", "rejected": "worst"})
    assert text.columns == {"prompt": "question", "chosen": "best", "rejected": "worst"}


def test_source_columns_are_two() -> None:
    assert Reading(source_columns="a, b").source_columns == ("a", "b")
    assert Reading(source_columns=["a", "b"]).source_columns == ("a", "b")
    with pytest.raises(
        InputError, match="source_columns = 'a': name two columns, such as chosen_by,rejected"
    ):
        Reading(source_columns="a")
    with pytest.raises(InputError, match="--source-columns a,b,c: name two columns"):
        Reading.parse({"source_columns": "a,b,c"}, COMMAND_LINE)


def test_what_is_wrong_names_the_value_and_the_choices() -> None:
    with pytest.raises(InputError, match="--columns question: give each as ROLE=NAME"):
        Reading.parse({"columns": "question"}, COMMAND_LINE)
    with pytest.raises(InputError, match="--ranked all: choose best-worst or best-rest"):
        Reading.parse({"ranked": "all"}, COMMAND_LINE)


def test_what_is_not_given_reads_as_before() -> None:
    assert Reading(ranked=None) == Reading()
    read = open_preferences(ROWS, **Reading(columns="prompt=question,chosen=best,rejected=worst").options())
    assert [block["chosen"].to_pylist() for block in read.blocks()] == [["So."]]


def test_opening_says_what_was_given() -> None:
    assert Opening().given == ()
    assert Opening(dtype="float32", device="cpu").given == ("dtype", "device")
    with pytest.raises(InputError, match="dtype = 'int8': choose auto, float32, bfloat16 or float16"):
        Opening(dtype="int8")
