"""A study with two workers is killed at random moments, and then run to its end: the results are those of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from torture.figures import Figures, timed

LONGEST = 300.0
"""Seconds that a run may take to its end."""
ORPHANED = 30.0
"""Seconds within which the workers of a killed study end."""
INTERRUPTED = 130
WAYS = {
    "SIGKILL of the study": 4,
    "SIGKILL of the study and its workers": 2,
    "SIGTERM of the study": 3,
    "SIGINT of the study": 2,
    "SIGKILL of a worker": 2,
}
"""How it is killed, and how often one against the other."""


def killing(place: Path, kills: int, seed: int = 0) -> Figures:
    """Kill runs of one small study so many times; each run that survives to its end is compared, and so is the last."""
    from same_runs import compare
    from tiny_study import tiny_settings

    chance = random.Random(seed)
    figures = Figures("kills", "kills")
    path = place / "study.yaml"
    path.write_text(yaml.safe_dump({**tiny_settings(place), "workers": 2}))
    undisturbed = place / "undisturbed"
    start = time.monotonic()
    assert _finished(path, undisturbed, figures), figures.faults
    whole = time.monotonic() - start
    number, folder = 0, place / "run-0"
    with timed(figures):
        while figures.times < kills:
            if not _killed(path, folder, chance, chance.uniform(0.05, 1.0) * whole, figures):
                _same(compare, undisturbed, folder, figures)
                number += 1
                folder = place / f"run-{number}"
        if _finished(path, folder, figures):
            _same(compare, undisturbed, folder, figures)
    return figures


def _begun(path: Path, folder: Path, output: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "backfire", "study", "run", str(path), "--out", str(folder)]
    return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


def _finished(path: Path, folder: Path, figures: Figures) -> bool:
    """Run a study to its end; whether it ended well."""
    with (path.parent / "output").open("wb") as output:
        process = _begun(path, folder, output)
        try:
            code = process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            figures.fault("hang", f"a run did not end in {LONGEST:.0f} seconds")
            return False
    text = (path.parent / "output").read_text(errors="replace")
    if "Traceback" in text:
        figures.fault("traceback", text[-600:])
    if code:
        figures.fault("wrong", f"a run that nobody killed exited {code}: {text[-600:]}")
    return code == 0


def _killed(path: Path, folder: Path, chance: random.Random, after: float, figures: Figures) -> bool:
    """Begin a run, and kill it after so many seconds; False where it had ended before."""
    way = chance.choices(list(WAYS), list(WAYS.values()))[0]
    with (path.parent / "output").open("wb") as output:
        process = _begun(path, folder, output)
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(after)
            if code:
                figures.fault("wrong", f"it exited {code} before it was killed: {_text(path)[-600:]}")
            return False
        workers = psutil.Process(process.pid).children(recursive=True)
        _kill(way, process, workers, chance)
        figures.times += 1
        figures.seen[way] += 1
        try:
            code = process.wait(LONGEST if way == "SIGKILL of a worker" else ORPHANED)
        except subprocess.TimeoutExpired:
            code = None
        until = time.monotonic() + ORPHANED
        while _alive(workers) and time.monotonic() < until:
            time.sleep(0.05)
    if code is None:
        figures.fault("hang", f"{way}: it did not end")
    if alive := _alive(workers):
        figures.fault("left over", f"{way}: {len(alive)} workers outlived their study")
    for one in [*alive, *([process] if code is None else [])]:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    if code is None:
        process.wait()
    if "Traceback" in _text(path):
        figures.fault("traceback", f"{way}: {_text(path)[-600:]}")
    asked = way in ("SIGTERM of the study", "SIGINT of the study")
    if asked and code not in (INTERRUPTED, 0, None):
        figures.fault("wrong", f"{way}: it exited {code}: {_text(path)[-300:]}")
    return True


def _kill(
    way: str, process: subprocess.Popen[bytes], workers: list[psutil.Process], chance: random.Random
) -> None:
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        if way == "SIGKILL of the study":
            process.kill()
        elif way == "SIGKILL of the study and its workers":
            os.killpg(process.pid, signal.SIGKILL)
        elif way == "SIGTERM of the study":
            process.terminate()
        elif way == "SIGINT of the study":
            process.send_signal(signal.SIGINT)
        elif workers:
            chance.choice(workers).kill()
        else:
            process.kill()


def _text(path: Path) -> str:
    return (path.parent / "output").read_text(errors="replace")


def _alive(workers: list[psutil.Process]) -> list[psutil.Process]:
    alive = []
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
                alive.append(worker)
    return alive


def _same(compare: Any, undisturbed: Path, folder: Path, figures: Figures) -> None:
    figures.seen["runs compared"] += 1
    try:
        compare(folder, undisturbed)
    except AssertionError as error:
        figures.fault("different", f"{folder.name}: {str(error)[:600]}")
    for path in folder.rglob(".*.[0-9]*"):
        figures.fault("left over", str(path.relative_to(folder)))
    for path in folder.rglob("*.part"):
        figures.fault("left over", str(path.relative_to(folder)))
    if (folder / ".schedule" / "unfinished").exists():
        figures.fault("left over", "the mark of a run that has not ended")
