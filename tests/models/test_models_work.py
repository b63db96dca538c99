"""How long work takes, by arithmetic."""

from __future__ import annotations

import pytest

from backfire.models.memory import ceiling
from backfire.models.work import OF_LONGEST, WRITTEN, Expected, answered, machine_speed, time_text


def test_reading_and_writing_are_added_up() -> None:
    assert answered([10, 30], 100) == pytest.approx(40 + 2 * WRITTEN * OF_LONGEST * 100)
    assert answered([], 100) == 0


def test_time_and_memory_follow_the_weights() -> None:
    speed = machine_speed("cpu")
    assert speed > 0
    one, ten = (Expected.of_weights(n, 1000.0, "cpu") for n in (10**8, 10**9))
    assert one.seconds == pytest.approx(10**11 / speed)
    assert ten.seconds == pytest.approx(10 * one.seconds)
    assert (one.bytes, ten.bytes) == (ceiling(10**8), ceiling(10**9))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (10**6, "277.8 h")],
)
def test_times_are_as_exact_as_an_estimate_is(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_a_few_seconds_are_not_announced() -> None:
    said: list[str] = []
    Expected(19.0, 3 * 10**9).announce("asking", said.append)
    assert said == []
    Expected(200.0, 3 * 10**9).announce("asking 3 prompts", said.append)
    Expected(200.0, 3 * 10**9).announce("asking 3 prompts", None)
    assert said == ["asking 3 prompts will take about 3 min and up to 3.0 GB of memory"]
