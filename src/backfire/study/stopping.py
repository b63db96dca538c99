"""Holding a run folder, and being stopped: one process group at a time, and no signal that leaves half a run behind."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backfire.errors import StudyError, setting

SCRATCH = ".schedule"
PATIENCE = 5.0
"""Seconds that a folder may still be held by the processes of a run that was killed just now."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM, and the end of the terminal, interrupt as Ctrl-C does; a signal that somebody else handles stays theirs."""

    def interrupt(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def alone(folder: Path) -> Iterator[tuple[int, ...]]:
    """Hold a run folder for one run, and remove half-written artifacts (`.policy.1234`) of runs that were killed.

    Gives the open files that hold it: a process that inherits them holds it, too. The system frees the folder when the last
    of these processes has ended, however they end. Where there are no file locks, nothing is done.
    """
    try:
        import fcntl
    except ImportError:
        yield ()
        return
    path = folder / SCRATCH / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held: tuple[int, ...] = (lock.fileno(),)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise StudyError(
                        f"another run works in {folder}: wait for it, end it, or choose another {setting('out')}"
                    ) from error
                time.sleep(0.1)
            except OSError:
                held = ()
                break
        for aside in [*folder.glob("*/.*.*"), *folder.glob("cells/*/.*.*"), *folder.glob("data/*/.*.*")]:
            if aside.is_dir() and aside.suffix[1:].isdecimal():
                shutil.rmtree(aside, ignore_errors=True)
        yield held
