"""Where a training is reported to while it runs: the trackers that transformers' Trainer knows, by their names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backfire.errors import InputError, setting

PACKAGES = {"comet_ml": "comet-ml"}
"""What pip calls a tracker, where that is not its own name."""
PROJECT = "backfire"
BOARD = "TENSORBOARD_LOGGING_DIR"


def check_installed(names: Sequence[str]) -> None:
    """Raise InputError for a tracker that is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise InputError(
                f"{setting('report_to')} {name}: it is not installed; pip install {PACKAGES.get(name, name)}"
            )


def tracked(names: Sequence[str], folder: Path) -> dict[str, Any]:
    """Arguments of a trainer that reports a run, under the name of its output folder."""
    if not names:
        return {"report_to": "none"}
    return {"report_to": list(names), "run_name": folder.resolve().name, "project": PROJECT}


@contextmanager
def reporting(names: Sequence[str], folder: Path) -> Iterator[None]:
    """While this holds, what trackers print goes to stderr, and TensorBoard writes into `runs`, not into a folder that is moved."""
    with ExitStack() as stack:
        if names:
            stack.enter_context(redirect_stdout(sys.stderr))
        if "tensorboard" in names and BOARD not in os.environ:
            os.environ[BOARD] = str(Path("runs") / folder.resolve().name)
            stack.callback(os.environ.pop, BOARD, None)
        yield
