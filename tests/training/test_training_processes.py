"""Trainings that start processes of their own: what goes wrong there is raised here, and they end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_training_sharding import SMOOTH, rows, write

from backfire.errors import DivergedError, InputError
from backfire.training import DPOSettings, RLOOSettings, train_dpo, train_rloo
from two_processes import environment

SHARED = DPOSettings(**SMOOTH, batch_size=4, processes=2, sharding="fsdp2")
LONG = """
import sys
from backfire.training import DPOSettings, train_dpo

model, data, out, begun = sys.argv[1:]
settings = DPOSettings(lr=1e-4, epochs=1000, batch_size=4, processes=2, sharding="fsdp2")
train_dpo(model, data, out, settings, progress=lambda done, total: open(begun, "w").write(str(done)))
"""


def test_processes_are_not_started_by_processes(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(
        InputError, match="processes 2 starts processes, and torchrun or accelerate has started"
    ):
        train_dpo(tiny_llama, rows(), tmp_path / "out", SHARED)


def test_an_open_reward_model_is_not_handed_on(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="opens the reward model in each process: give its folder"):
        train_rloo(
            tiny_llama,
            [],
            tmp_path / "out",
            RLOOSettings(processes=2),
            reward_model=object(),  # type: ignore[arg-type]
        )


@pytest.mark.slow
def test_errors_are_raised_here(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="identical sides"):
        train_dpo(
            tiny_llama, [{**row, "chosen": row["rejected"]} for row in rows()], tmp_path / "out", SHARED
        )
    with pytest.raises(DivergedError, match="lower lr") as raised:
        train_dpo(tiny_llama, rows(), tmp_path / "out", SHARED.of(SHARED, lr=1e30))
    assert raised.value.step
    assert not (tmp_path / "out").exists()


def with_words(word: str) -> list[int]:
    """The processes on whose command line a word stands."""
    running = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace")
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if word in words and state != "Z":
            running.append(int(entry.name))
    return running


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_they_end_with_the_process_that_started_them(tiny_llama: Path, tmp_path: Path) -> None:
    script, begun, scratch = tmp_path / "long.py", tmp_path / "begun", tmp_path / "scratch"
    script.write_text(LONG)
    scratch.mkdir()
    data = write(tmp_path / "pairs.jsonl", rows())
    words = [sys.executable, str(script), str(tiny_llama), str(data), str(tmp_path / "out"), str(begun)]
    parent = subprocess.Popen(words, env=environment() | {"TMPDIR": str(scratch)})
    until = time.monotonic() + 200
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.5)
    assert begun.exists()
    there = with_words(str(scratch))
    assert len(there) >= 3, "the launcher and two processes"
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 60
    while with_words(str(scratch)) and time.monotonic() < until:
        time.sleep(0.5)
    assert with_words(str(scratch)) == []
