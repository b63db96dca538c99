"""Who runs stages: this process, one at a time, or several processes that end with it."""

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
from typing import IO, Protocol

from backfire.errors import BackfireError, without_tokens
from backfire.study.policies import close_policy
from backfire.study.stage import Stage

GRACE = 10.0
"""Seconds that a process is given to end by itself."""


class Hands(Protocol):
    """Runs stages that were begun, `room` at a time."""

    @property
    def room(self) -> int: ...

    def begin(self, stage: Stage) -> None:
        """Take the stage on."""

    def wait(self) -> tuple[str, str]:
        """Wait for one of those begun to end: its name, and why it failed, or nothing."""


class Here:
    """This process."""

    room = 1

    def begin(self, stage: Stage) -> None:
        self._stage = stage

    def wait(self) -> tuple[str, str]:
        return self._stage.name, run_one(self._stage)


def run_one(stage: Stage, threads: int | None = None) -> str:
    """Run a stage, and say why it failed, or nothing.

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
        said = " ".join(without_tokens(str(error)).split())
        return said if said and isinstance(error, BackfireError) else f"{type(error).__name__}: {said}"
    return ""


@dataclass(frozen=True)
class Orders:
    """What a process of a crew is told once: how it finds the stages by their names."""

    study: object
    root: Path
    ledger_path: Path
    threads: int


class Crew:
    """Processes that run the stages of a study, each at most one at a time. Use as a context manager.

    They end when this process does, however it ends: Linux tells them, and elsewhere they see that nobody can give them
    orders any more. `held` are open files that they keep open as long as they live, such as the run folder's lock.
    """

    def __init__(self, orders: Orders, room: int, held: Sequence[int] = ()) -> None:
        self.room = room
        self._orders = orders
        self._held = tuple(held)
        self._members: list[_Member] = []
        self._ended: SimpleQueue[tuple[_Member, str | None]] = SimpleQueue()

    def begin(self, stage: Stage) -> None:
        member = next((m for m in self._members if not m.stage), None)
        if member is None:
            member = _Member(self._orders, self._held, self._ended)
            self._members.append(member)
        member.take(stage.name)

    def wait(self) -> tuple[str, str]:
        while True:
            member, reason = self._ended.get()
            name, member.stage = member.stage, ""
            if reason is None:
                self._members.remove(member)
                reason = member.obituary()
            if name:
                return name, reason

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let them end: by themselves where all is done, by a signal where this process is to stop."""
        try:
            for member in self._members:
                member.dismiss(at_once=kind is not None)
            until = time.monotonic() + GRACE
            for member in self._members:
                member.gone(until - time.monotonic())
        finally:
            for member in self._members:
                member.kill()


class _Member:
    """One process of a crew."""

    def __init__(
        self,
        orders: Orders,
        held: tuple[int, ...],
        ended: SimpleQueue[tuple[_Member, str | None]],
    ) -> None:
        self.stage = ""
        paths = [path for path in sys.path if path]
        apart = {"process_group": 0, "pass_fds": held} if os.name == "posix" else {}
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-P", "-m", "backfire.study.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            **apart,  # type: ignore[call-overload]
        )
        told = pickle.dumps(orders)
        self._write(len(told).to_bytes(8, "big") + told)
        threading.Thread(target=self._listen, args=(ended,), daemon=True).start()

    def take(self, stage: str) -> None:
        self.stage = stage
        self._write(f"{json.dumps(stage)}\n".encode())

    def _write(self, data: bytes) -> None:
        # A process that has gone is noticed by the one who listens.
        with suppress(OSError):
            self._input.write(data)
            self._input.flush()

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _listen(self, ended: SimpleQueue[tuple[_Member, str | None]]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            ended.put((self, json.loads(line)))
        ended.put((self, None))

    def obituary(self) -> str:
        """Why its stage has no result."""
        code = self._process.wait()
        how = f"with code {code}" if code >= 0 else f"by signal {signal.Signals(-code).name}"
        hint = ", which the system sends where memory runs out" if code == -signal.SIGKILL.value else ""
        return f"its process ended {how}{hint}"

    def dismiss(self, *, at_once: bool) -> None:
        with suppress(OSError):
            self._input.close()
        if at_once:
            self._process.terminate()

    def gone(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(seconds, 0.0))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
