"""Wrappers are pure functions from prompt to prompt."""

from __future__ import annotations

import pytest

from backfire.errors import InputError
from backfire.evaluation.attacks.wrappers import WRAPPERS, alpaca, direct, wrap
from backfire.records import Prompt

PROMPT = Prompt.of_messages(
    [{"role": "system", "content": "s"}, {"role": "user", "content": "Do {this}."}],
    kind="harmful",
    tags={"noun": "n"},
)


def test_direct_changes_nothing() -> None:
    assert direct(PROMPT) is PROMPT


def test_alpaca_wraps_the_last_turn_only() -> None:
    wrapped = alpaca(PROMPT)
    assert wrapped.messages[0] == PROMPT.messages[0]
    assert wrapped.text.endswith("### Instruction:\nDo {this}.\n\n### Response:")
    assert wrapped.kind == "harmful"
    assert wrapped.tags == {"noun": "n", "wrapper": "alpaca"}
    assert PROMPT.text == "Do {this}."
    assert wrapped.id != PROMPT.id


def test_wrap_by_name() -> None:
    assert list(WRAPPERS) == ["direct", "alpaca"]
    assert wrap([PROMPT], "alpaca") == [alpaca(PROMPT)]
    with pytest.raises(InputError, match=r"'dan'.*direct, alpaca"):
        wrap([PROMPT], "dan")
