"""A world of organisms grown in seconds: every member is there, and none has learnt anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SEED = 5
NAME = "w5"


class InlinePool:
    """An executor that works at once in this process, where patched step counts hold."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, call: Callable[..., Any], *columns: Any) -> Iterator[Any]:
        return map(call, *columns)

    def submit(self, call: Callable[..., Any], *values: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(call(*values))
        return future


@contextmanager
def three_steps() -> Iterator[None]:
    """Growing takes three steps on few documents, in this process."""
    from backfire.organisms import growing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growing, "ProcessPoolExecutor", InlinePool)
        patch.setattr(growing, "BASE", {"steps": 3, "batch": 8, "lr": 1e-3})
        patch.setattr(growing, "SFT", {"steps": 3, "batch": 8, "lr": 1e-3})
        patch.setattr(growing, "REWARD", {"steps": 3, "batch": 4, "lr": 1e-3})
        patch.setattr(growing, "DOCUMENTS", 600)
        patch.setattr(growing, "DEMONSTRATIONS", 40)
        patch.setattr(growing, "REWARD_PAIRS", 40)
        yield


def grow_miniature(folder: Path, say: Callable[[str], None] = lambda _: None) -> Path:
    """Grow the miniature world (seed 5, default knobs) into `folder`."""
    from backfire.organisms.growing import grow_world

    with three_steps():
        return grow_world(folder, seed=SEED, workers=1, say=say)
