"""What runs stages: this process, one at a time, or several worker processes that end with it."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Protocol

from backfire.errors import BackfireError, without_tokens
from backfire.study.policies import close_policy
from backfire.study.stage import Stage

GRACE = 10.0
"""Seconds that a process is given to end by itself."""


class Workers(Protocol):
    """Runs stages that were begun, `slots` at a time."""

    @property
    def slots(self) -> int: ...

    def begin(self, stage: Stage[Any]) -> None:
        """Start the stage, or put it where it will be started."""

    def wait(self) -> tuple[str, str]:
        """Wait for one of those begun to end: its name, and why it failed, or an empty text."""


class ThisProcess:
    """Runs a stage in this process, while `wait` is called."""

    slots = 1

    def begin(self, stage: Stage[Any]) -> None:
        self._stage = stage

    def wait(self) -> tuple[str, str]:
        return self._stage.name, run_one(self._stage)


def run_one(stage: Stage[Any], threads: int | None = None) -> str:
    """Run a stage. Returns why it failed, or an empty text.

    Args:
        threads: how many cores torch and numpy may use; all of them where it is None.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        if threads is not None:
            import torch
            from threadpoolctl import threadpool_limits

            torch.set_num_threads(threads)
            threadpool_limits(threads)
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        if not stage.tests_policy:
            close_policy()
        stage.run()
    except Exception as error:
        reason = " ".join(without_tokens(str(error)).split())
        return reason if reason and isinstance(error, BackfireError) else f"{type(error).__name__}: {reason}"
    return ""


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker process is given once: by this it finds the stages by their names."""

    study: object
    root: Path
    ledger_path: Path
    threads: int


class ProcessPool:
    """Worker processes that run the stages of a study, each at most one at a time. Use as a context manager.

    They end when this process does, however it ends: Linux signals them, and elsewhere they see that their standard input
    is closed. `held` are open files that they keep open as long as they live, such as the run folder's lock.
    """

    def __init__(self, setup: WorkerSetup, slots: int, held: Sequence[int] = ()) -> None:
        self.slots = slots
        self._setup = setup
        self._held = tuple(held)
        self._processes: list[_WorkerProcess] = []
        self._ended: SimpleQueue[tuple[_WorkerProcess, str | None]] = SimpleQueue()

    def begin(self, stage: Stage[Any]) -> None:
        idle = next((process for process in self._processes if not process.stage), None)
        if idle is None:
            idle = _WorkerProcess(self._setup, self._held, self._ended)
            self._processes.append(idle)
        idle.begin(stage.name)

    def wait(self) -> tuple[str, str]:
        while True:
            process, reason = self._ended.get()
            name, process.stage = process.stage, ""
            if reason is None:
                self._processes.remove(process)
                reason = process.exit_reason()
            if name:
                return name, reason

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let them end: by themselves where all is done, by a signal where this process is to stop."""
        try:
            for process in self._processes:
                process.end(at_once=kind is not None)
            until = time.monotonic() + GRACE
            for process in self._processes:
                process.wait(until - time.monotonic())
        finally:
            for process in self._processes:
                process.kill()


class _WorkerProcess:
    """One process of the pool."""

    def __init__(
        self,
        setup: WorkerSetup,
        held: tuple[int, ...],
        ended: SimpleQueue[tuple[_WorkerProcess, str | None]],
    ) -> None:
        self.stage = ""
        paths = [path for path in sys.path if path]
        own_group = {"process_group": 0, "pass_fds": held} if os.name == "posix" else {}
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-P", "-m", "backfire.study.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            **own_group,  # type: ignore[call-overload]
        )
        pickled = pickle.dumps(setup)
        self._write(len(pickled).to_bytes(8, "big") + pickled)
        threading.Thread(target=self._listen, args=(ended,), daemon=True).start()

    def begin(self, stage: str) -> None:
        self.stage = stage
        self._write(f"{json.dumps(stage)}\n".encode())

    def _write(self, data: bytes) -> None:
        # A process that has ended is noticed by `_listen`.
        with suppress(OSError):
            self._input.write(data)
            self._input.flush()

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _listen(self, ended: SimpleQueue[tuple[_WorkerProcess, str | None]]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            ended.put((self, json.loads(line)))
        ended.put((self, None))

    def exit_reason(self) -> str:
        """Why its stage has no result."""
        code = self._process.wait()
        how = f"with code {code}" if code >= 0 else f"by signal {signal.Signals(-code).name}"
        hint = ", which the system sends where memory runs out" if code == -signal.SIGKILL.value else ""
        return f"its process ended {how}{hint}"

    def end(self, *, at_once: bool) -> None:
        with suppress(OSError):
            self._input.close()
        if at_once:
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(seconds, 0.0))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
