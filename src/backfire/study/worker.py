"""A worker process of a study: it runs the stages whose names it reads, and ends with the process that started it.

Names come on stdin. The reasons of failures (or empty texts) go out on stdout, one line of JSON each. What stages print goes
to stderr.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Any

from backfire.study.cells import RunFolder, grid
from backfire.study.graph import stages_of
from backfire.study.process_pool import GRACE, WorkerSetup, run_one
from backfire.study.stopping import interruptible
from backfire.training.processes import die_with_parent


def work() -> None:
    """Run stages until no more are given."""
    die_with_parent()  # on Linux; elsewhere `_names_from` ends it, a little later
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _warn_plainly()
    setup = _read_setup(sys.stdin.buffer)
    names = _names_from(sys.stdin.buffer)
    run = RunFolder(setup.root, setup.ledger_path)
    study: Any = setup.study
    stages = {stage.name: stage for stage in stages_of(run, grid(study))}
    with suppress(KeyboardInterrupt), interruptible():
        while (name := names.get()) is not None:
            reason = run_one(stages[name], setup.threads)
            answers.write(json.dumps(reason) + "\n")
            answers.flush()


def _warn_plainly() -> None:
    """Warnings as one line each, as the command line has them."""

    def shown(message: Warning | str, *_: object, **__: object) -> None:
        print(f"warning: {message}", file=sys.stderr)

    if not sys.warnoptions:
        warnings.simplefilter("default")
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
    warnings.showwarning = shown


def _read_setup(source: IO[bytes]) -> WorkerSetup:
    setup = pickle.loads(source.read(int.from_bytes(source.read(8), "big")))
    assert isinstance(setup, WorkerSetup)
    return setup


def _names_from(source: IO[bytes]) -> SimpleQueue[str | None]:
    """The names of stages as they come, then None. A stage that is running long after nobody can hear of it is killed."""
    names: SimpleQueue[str | None] = SimpleQueue()

    def listen() -> None:
        for line in source:
            names.put(json.loads(line))
        names.put(None)
        time.sleep(GRACE / 2)
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    threading.Thread(target=listen, daemon=True).start()
    return names


if __name__ == "__main__":
    work()
