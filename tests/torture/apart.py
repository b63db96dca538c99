"""A call in a process of its own, which may crash, hang or eat memory without harm to the others."""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.errors import BackfireError

MEMORY = 8 * 2**30
"""Bytes that such a process may grow by."""


@dataclass(frozen=True)
class Ended:
    """How a call ended: `value` and its value, `error` (one of backfire's) with its message, `traceback`, `hang`, or `crash`."""

    how: str
    value: Any = None
    text: str = ""
    seconds: float = 0.0


def apart(call: Callable[[], Any], seconds: float, memory: int | None = MEMORY) -> Ended:
    """Run `call` in a forked process, which is killed after so many seconds."""
    start = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(call, writing, memory)
    os.close(writing)
    content = bytearray()
    until = start + seconds
    try:
        while True:
            left = until - time.monotonic()
            if left <= 0 or not select.select([reading], [], [], left)[0]:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return Ended(
                    "hang", seconds=time.monotonic() - start, text=f"no end in {seconds:.0f} seconds"
                )
            part = os.read(reading, 1 << 20)
            if not part:
                break
            content += part
    finally:
        os.close(reading)
    _, status = os.waitpid(child, 0)
    took = time.monotonic() - start
    if not content:
        code = os.waitstatus_to_exitcode(status)
        return Ended("crash", text=f"the process ended with {code}", seconds=took)
    how, value, text = pickle.loads(bytes(content))
    return Ended(how, value, text, took)


def _answer(call: Callable[[], Any], writing: int, memory: int | None) -> None:
    """In the child: call, write what came of it, and end without the parent's clean-up."""
    import resource

    try:
        if memory is not None:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            most = pages * resource.getpagesize() + memory
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
        try:
            answer = ("value", call(), "")
        except BackfireError as error:
            answer = ("error", type(error).__name__, str(error))
        except BaseException:
            answer = ("traceback", None, traceback.format_exc())
        with os.fdopen(writing, "wb") as file:
            file.write(pickle.dumps(answer))
    finally:
        os._exit(0)
