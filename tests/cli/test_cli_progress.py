"""Plain progress lines: seldom, with the time left."""

from __future__ import annotations

import pytest

from backfire.cli.progress import Lines


def test_lines_come_seldom_and_tell_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = Lines("drawing", clock=lambda: now, every=10)
    for done in range(0, 101, 5):
        lines.advance(done, 100)
        now += 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "drawing: 25 of 100, about 30 s left",
        "drawing: 50 of 100, about 20 s left",
        "drawing: 75 of 100, about 10 s left",
        "drawing: 100 of 100",
    ]


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("drawing", clock=lambda: 0.0)
    lines.advance(0, 3)
    lines.advance(3, 3)
    assert capsys.readouterr().err == ""


def test_what_was_done_before_does_not_count_as_speed(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = Lines("drawing", clock=lambda: now)
    lines.advance(900, 1000)
    now = 60.0
    lines.advance(910, 1000)
    assert capsys.readouterr().err == "drawing: 910 of 1000, about 9 min left\n"
