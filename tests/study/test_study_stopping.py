"""Signals, and processes that are killed: no worker outlives its study, and nobody works beside one that does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from tiny_study import tiny_settings

from backfire.errors import StudyError
from backfire.store import Ledger
from backfire.study import parse_study, stopping
from backfire.study.cells import RunFolder, grid
from backfire.study.graph import stages_of
from backfire.study.process_pool import ProcessPool, WorkerSetup
from backfire.study.schedule import run_stages
from backfire.study.stopping import alone, interruptible
from loopback import Chat, chat

BACKFIRE = [sys.executable, "-m", "backfire"]
ANSWERED = 4


def within(
    seconds: float, happens: Callable[[], object], process: subprocess.Popen[Any] | None = None
) -> None:
    until = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < until, "it did not happen in time"
        assert process is None or process.poll() is None, "the process ended before"
        time.sleep(0.05)


class Patient:
    """A server that answers the first few requests and keeps all others waiting until it is released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.places = iter(range(10**6))
        self.waiting = 0

    def reply(self, _: str, turns: list[dict[str, str]]) -> str:
        if next(self.places) >= ANSWERED:
            self.waiting += 1
            self.release.wait(120)
        return f"An answer of {len(turns[-1]['content'])} letters."


@contextmanager
def patient() -> Iterator[tuple[Patient, Chat]]:
    kept = Patient()
    with chat(kept.reply) as server:
        try:
            yield kept, server
        finally:
            kept.release.set()


@contextmanager
def begun(
    folder: Path, workers: int, server: Chat, patience: Patient
) -> Iterator[tuple[subprocess.Popen[bytes], list[psutil.Process]]]:
    """A study by the command line, while its responder's server keeps it waiting; and the processes that it started."""
    settings = tiny_settings(folder, recipes=["gpt4o+self"], audit=None, workers=workers)
    settings["targets"][0]["responders"][1]["model"] = server.reference("m")
    (folder / "study.yaml").write_text(yaml.safe_dump(settings))
    command = [*BACKFIRE, "study", "run", str(folder / "study.yaml"), "--out", str(folder / "run")]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
    children: list[psutil.Process] = []
    try:
        within(150, lambda: patience.waiting, process)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == (0 if workers == 1 else workers)
        yield process, children
    finally:
        for one in [process, *children]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()


def stored(folder: Path) -> int:
    with Ledger(folder / "run" / "ledger.db") as ledger:
        return sum(count for source, count in ledger.sources().items() if source.startswith("openai:"))


def gone(children: list[psutil.Process]) -> bool:
    return not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "number"),
    [(1, signal.SIGTERM), (2, signal.SIGTERM), (2, signal.SIGINT)],
    ids=["SIGTERM", "SIGTERM of two", "Ctrl-C of two"],
)
def test_one_signal_ends_a_study_and_its_workers_with_what_arrived_stored(
    miniature_world: Path, tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    with (
        patient() as (patience, server),
        begun(tmp_path, workers, server, patience) as (process, children),
    ):
        process.send_signal(number)
        assert process.wait(30) == 130
        within(5, lambda: gone(children))
        assert stored(tmp_path) == ANSWERED
        assert not list((tmp_path / "run").glob("*/.*.*"))
        said = (tmp_path / "said").read_text()
        assert "interrupted: every finished stage is in" in said
        assert "Traceback" not in said
        with alone(tmp_path / "run"):
            pass


@pytest.mark.slow
def test_workers_die_with_the_process_that_started_them(miniature_world: Path, tmp_path: Path) -> None:
    with patient() as (patience, server), begun(tmp_path, 2, server, patience) as (process, children):
        process.kill()
        process.wait()
        within(20, lambda: gone(children))
        assert stored(tmp_path) == ANSWERED
        with alone(tmp_path / "run"):
            pass


SURVIVOR = """
import subprocess, sys
from pathlib import Path
from backfire.study.stopping import alone
with alone(Path(sys.argv[1])) as held:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], pass_fds=held, stdin=subprocess.PIPE)
    print(child.pid, flush=True)
    sys.stdin.read()
"""


def test_a_worker_that_survives_holds_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "PATIENCE", 0.3)
    command = [sys.executable, "-c", SURVIVOR, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        survivor = psutil.Process(int(other.stdout.readline()))
        survivor.suspend()
        other.kill()
        other.wait()
        try:
            with pytest.raises(StudyError, match="another run works in"), alone(tmp_path):
                pass
        finally:
            survivor.kill()
    monkeypatch.setattr(stopping, "PATIENCE", 10)
    with alone(tmp_path):
        pass


@pytest.mark.slow
def test_a_worker_that_dies_fails_its_stage_alone_and_is_replaced(
    miniature_world: Path, tmp_path: Path
) -> None:
    with patient() as (patience, server):
        settings = tiny_settings(tmp_path, recipes=["gpt4o+self", "self+rm"], audit=None, workers=2)
        settings["targets"][0]["responders"][1]["model"] = server.reference("m")
        study = parse_study(settings)
        run = RunFolder(tmp_path / "run", tmp_path / "run" / "ledger.db")
        stages = stages_of(run, grid(study))
        stages = [s for s in stages if s.verb in ("sample", "score", "pair")]

        def kill_the_one_that_waits() -> None:
            until = time.monotonic() + 120
            while not patience.waiting and time.monotonic() < until:
                time.sleep(0.05)
            for child in psutil.Process().children():
                connected = [
                    c for c in child.net_connections() if c.raddr and str(c.raddr.port) in server.url
                ]
                if connected:
                    child.kill()

        killer = threading.Thread(target=kill_the_one_that_waits)
        killer.start()
        with ProcessPool(WorkerSetup(study, run.root, run.ledger_path, 1), 2) as workers:
            found = run_stages(stages, workers, say=lambda _: None)
        killer.join()
    failed = {name.partition(" ")[0]: reason for name, reason in found.failed.items()}
    assert "its process ended by signal SIGKILL" in failed["sample"]
    assert "did not run" in failed["pair"]
    assert {name.partition(" ")[0] for name in found.standing} == {"sample", "score", "pair"}
    assert not psutil.Process().children(recursive=True)


def terminated() -> None:
    with interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)


def test_signals_that_somebody_handles_stay_theirs() -> None:
    def own(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGTERM, own)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(KeyboardInterrupt):
        terminated()
    assert signal.getsignal(signal.SIGTERM) == before
