"""A training in several processes of this machine, which this module starts, as `torchrun` does, and which end with this one.

The call is pickled into a folder, in which the processes leave how far they are, their warnings and their errors. The trained model
and its log lie where the call says.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import backfire.errors
from backfire.errors import BackfireError, DivergedError, InputError, setting, without_tokens
from backfire.training.settings import TrainingSettings

if TYPE_CHECKING:
    from backfire.training.log import TrainingLog
    from backfire.training.run import Progress

PR_SET_PDEATHSIG = 1
GRACE = 10.0
"""Seconds that processes are given to end by themselves."""
LOOK = 0.2
"""Seconds between two looks at how far they are."""
SHOWN = 600
"""Characters of the end of what they printed, where they failed without an error of their own."""
CALL, PROGRESS, WARNINGS, PRINTED = "call.pickle", "progress", "warnings.jsonl", "printed"


def die_with_parent() -> None:
    """Let Linux end this process when the one that started it ends; elsewhere nothing is done."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL.value, 0, 0, 0)


def in_processes(
    function: str,
    inputs: tuple[Any, ...],
    settings: TrainingSettings,
    progress: Progress | None,
    **more: Any,
) -> TrainingLog:
    """What `backfire.training.<function>` gives that is called in as many processes as the settings say.

    Raises what it raises there, and InputError where a process ends otherwise.
    """
    from backfire.training.log import read_training_log

    count = settings.processes
    assert count is not None
    if "RANK" in os.environ:
        raise InputError(
            f"{setting('processes')} {count} starts processes, and torchrun or accelerate has started this one: leave "
            f"{setting('processes')} out"
        )
    alone = settings.model_copy(update={"processes": None})
    with TemporaryDirectory(prefix="backfire-") as scratch:
        folder = Path(scratch)
        (folder / CALL).write_bytes(pickle.dumps((function, inputs, alone, more)))
        _run(folder, count, progress)
    return read_training_log(inputs[2])


def _run(folder: Path, count: int, progress: Progress | None) -> None:
    paths = [path for path in sys.path if path]
    own_group: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
    with (folder / PRINTED).open("wb") as printed:
        launcher = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, "launch", str(count), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            **own_group,
        )
        try:
            seen = ""
            while launcher.poll() is None:
                time.sleep(LOOK)
                seen = _pass_on(folder, seen, progress)
            _pass_on(folder, seen, progress)
        finally:
            if launcher.poll() is None:
                launcher.terminate()
                with suppress(subprocess.TimeoutExpired):
                    launcher.wait(GRACE)
                launcher.kill()
                launcher.wait()
    for line in _lines(folder / WARNINGS):
        warnings.warn(json.loads(line), stacklevel=4)
    if launcher.returncode:
        raise _error(folder, count)


def _pass_on(folder: Path, seen: str, progress: Progress | None) -> str:
    """Pass on how far the processes are, if that is news."""
    text = "".join(_lines(folder / PROGRESS))
    if progress is not None and text not in ("", seen):
        done, total = text.split()
        progress(int(done), int(total))
    return text or seen


def _lines(path: Path) -> list[str]:
    with suppress(OSError):
        return path.read_text(encoding="utf-8").splitlines()
    return []


def _error(folder: Path, count: int) -> BackfireError:
    for path in sorted(folder.glob("error-*.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        kind = getattr(backfire.errors, about["kind"])
        if kind is DivergedError:
            return DivergedError(about["message"], step=about["step"], value=about["value"])
        error: BackfireError = kind(about["message"])
        return error
    printed = (folder / PRINTED).read_text(encoding="utf-8", errors="replace")
    end = " ".join(without_tokens(printed)[-SHOWN:].split())
    return InputError(
        f"one of {count} processes of the training ended without a result, as one does that runs out of memory; the last that "
        f"they printed: {end}"
    )


def _launch(count: str, folder: str) -> None:
    """Start the processes, and wait for them."""
    from torch.distributed.run import main

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = f"torchrun --nproc_per_node {count} --master_addr 127.0.0.1 --master_port {port}".split()
    main([*words[1:], "-m", __spec__.name, "work", folder])


def _work(folder: Path) -> None:
    """Make the call in one of the processes."""
    rank = int(os.environ["RANK"])
    function, inputs, settings, more = pickle.loads((folder / CALL).read_bytes())
    if rank == 0:
        _leave_warnings(folder)

    def advance(done: int, total: int) -> None:
        aside = folder / f"{PROGRESS}.new"
        aside.write_text(f"{done} {total}", encoding="utf-8")
        aside.replace(folder / PROGRESS)

    import backfire.training

    try:
        getattr(backfire.training, function)(
            *inputs, settings, progress=advance if rank == 0 else None, **more
        )
    except BackfireError as error:
        kinds = [kind.__name__ for kind in type(error).__mro__ if hasattr(backfire.errors, kind.__name__)]
        about: dict[str, Any] = {"kind": kinds[0], "message": error.marked}
        about |= {name: getattr(error, name, None) for name in ("step", "value")}
        (folder / f"error-{rank}.json").write_text(json.dumps(about), encoding="utf-8")
        raise


def _leave_warnings(folder: Path) -> None:
    def shown(message: Warning | str, *_: object, **__: object) -> None:
        with (folder / WARNINGS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(str(message)) + "\n")

    warnings.simplefilter("ignore")
    warnings.filterwarnings("default", category=UserWarning, module="backfire")
    warnings.showwarning = shown


if __name__ == "__main__":
    die_with_parent()
    if sys.argv[1] == "launch":
        _launch(*sys.argv[2:])
    else:
        _work(Path(sys.argv[2]))
