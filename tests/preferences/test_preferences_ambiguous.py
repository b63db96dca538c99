"""What can mean one response as well as the other is refused with the values and the fix, and never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from backfire.errors import InputError
from backfire.preferences import open_preferences

Row = dict[str, Any]


def rows(names: tuple[str, str], **more: Any) -> list[Row]:
    return [
        {"prompt": f"Name river {k}.", names[0]: f"Rhine {k}.", names[1]: f"Stone {k}."}
        | {key: value[k] if isinstance(value, list) else value for key, value in more.items()}
        for k in range(6)
    ]


def chosen(data: list[Row]) -> list[str]:
    return [text for block in open_preferences(data).blocks() for text in block.column("chosen").to_pylist()]


AB, ONE_TWO, ZERO_ONE = (
    ("response_a", "response_b"),
    ("response_1", "response_2"),
    ("response_0", "response_1"),
)


@pytest.mark.parametrize(
    ("names", "labels", "which"),
    [
        (ONE_TWO, 1, "Rhine"),  # the name of the response ends so
        (ZERO_ONE, 1, "Stone"),
        (AB, [0, 1, 1, 1, 1, 1], "Stone"),
        (AB, [2, 1, 1, 1, 1, 1], "Rhine"),
    ],
)
def test_a_label_is_read_where_names_or_values_say_what_it_counts(
    names: tuple[str, str], labels: Any, which: str
) -> None:
    assert chosen(rows(names, label=labels))[1].startswith(which)


@pytest.mark.parametrize(
    ("names", "more", "told"),
    [
        (
            AB,
            {"label": 1},
            "`label` holds 1, which does not say which of `response_a` and `response_b` is preferred",
        ),
        (AB, {"preference": 1.93}, "`preference` holds 1.93, which does not say which of"),
        (
            ONE_TWO,
            {"preference": "response_2 is much better"},
            "holds 'response_2 is much better', which does not say",
        ),
        (
            AB,
            {"annotator_1": "B", "annotator_2": "A", "annotator_3": "B"},
            "votes stand in `annotator_1`, `annotator_2`, `annotator_3`, and no column says which response is preferred",
        ),
    ],
)
def test_what_does_not_say_which_is_refused_with_its_values(
    names: tuple[str, str], more: Row, told: str
) -> None:
    with pytest.raises(InputError) as refused:
        open_preferences(rows(names, **more))
    assert told in str(refused.value)
    assert "chosen=" not in str(refused.value), "no mapping is proposed that may be the wrong way round"


def test_objects_as_sides_are_named_with_the_fix() -> None:
    side = {"text": "Rhine", "model": "a"}
    with pytest.raises(
        InputError, match="`chosen` holds objects with the keys text, model: put the text of the response"
    ):
        open_preferences(
            [{"prompt": f"Name {k}", "chosen": side, "rejected": {**side, "text": "Stone"}} for k in range(5)]
        )


def test_nan_is_a_missing_side() -> None:
    data: list[Row] = [
        {"prompt": f"Name {k}.", "chosen": f"Rhine {k}.", "rejected": f"Stone {k}."} for k in range(9)
    ]
    data[4]["rejected"] = float("nan")
    opened = open_preferences(data)
    assert sum(len(block) for block in opened.blocks()) == 8
    assert {kind: list(rows) for kind, rows in opened.defects.items()} == {"missing side": [5]}
