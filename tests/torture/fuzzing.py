"""Unsound inputs for every reader: each is read, or is one of backfire's errors, and none takes for ever or loses rows without a word."""

from __future__ import annotations

import mmap
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backfire.errors import BackfireError
from torture.apart import Ended, apart
from torture.figures import Figures, timed
from torture.mutations import mutated
from torture.readers import Reader, readers

PATIENCE = 10.0
"""Seconds that one input may take on a busy machine; the longest sound one takes a hundredth of that."""
BATCH = 2_000
"""Inputs that one process reads."""


class Slow(BaseException):
    """An input that takes for ever."""


def fuzzing(place: Path, inputs: int, seed: int = 0, only: Sequence[str] = ()) -> Figures:
    """Give every reader its share of so many unsound inputs, and its sound one before them."""
    figures = Figures("fuzzed inputs", "inputs")
    every = [one for one in readers(place) if not only or any(word in one.name for word in only)]
    _preload(place, every)
    share = max(1, inputs // len(every))
    with timed(figures):
        for number, one in enumerate(every):
            figures.fold(_of_reader(one, place / f"fuzz-{number}", share, seed))
    figures.seen["readers"] = len(every)
    return figures


def _preload(place: Path, every: Sequence[Reader]) -> None:
    """Read every sound input once in this process, so that the forked ones load nothing."""
    folder = place / "sound"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in every:
            path = folder / one.file
            path.write_bytes(one.sound)
            try:
                one.read(path)
            except BackfireError as error:
                print(f"{one.name}: the sound input is refused: {error}", file=sys.stderr)


def _of_reader(one: Reader, folder: Path, share: int, seed: int) -> Figures:
    figures = Figures("", "")
    folder.mkdir()
    kinds: Counter[str] = Counter()
    first = 0
    with mmap.mmap(-1, 16) as progress:
        while first < share:
            count = min(BATCH, share - first)
            progress[:8] = first.to_bytes(8, "little")
            ended = apart(
                lambda a=first, n=count: _read_many(one, folder, a, n, seed, progress), PATIENCE * 30 + count
            )
            reached = int.from_bytes(progress[:8], "little")
            if ended.how == "value":
                figures.fold(ended.value)
                first += count
                continue
            _crashed(figures, one, reached, ended)
            figures.times += reached - first + 1
            first = reached + 1
    for kind, text in figures.faults:
        kinds[f"{kind}: {text.splitlines()[0]}"] += 1
    return figures


def _crashed(figures: Figures, one: Reader, number: int, ended: Ended) -> None:
    kind = "hang" if ended.how == "hang" else "traceback"
    figures.fault(kind, f"{one.name} #{number}: {ended.how} {ended.text[-500:]}")


def _read_many(one: Reader, folder: Path, first: int, count: int, seed: int, progress: Any) -> Figures:
    """In a process of its own: the inputs of these numbers, each made from its number."""
    figures = Figures("", "")
    path = folder / one.file
    warnings.simplefilter("ignore")
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)

    def stop(*_: object) -> None:
        raise Slow

    signal.signal(signal.SIGALRM, stop)
    known: set[str] = set()
    for number in range(first, first + count):
        progress[:8] = number.to_bytes(8, "little")
        chance = random.Random(f"{seed} {one.name} {number}")
        path.unlink(missing_ok=True)  # a new file: an earlier one may be mapped into memory still
        path.write_bytes(mutated(one.sound, chance, one.structured))
        start = time.monotonic()
        try:
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            try:
                one.read(path)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            figures.seen["read"] += 1
        except BackfireError as error:
            figures.seen["refused by name"] += 1
            text = str(error)
            if len(text) > 3_000:
                _once(
                    figures,
                    known,
                    "wrong",
                    f"{one.name} #{number}",
                    f"a message of {len(text)} letters: {text[:80]}",
                )
        except Slow:
            _once(figures, known, "hang", f"{one.name} #{number}", f"{time.monotonic() - start:.0f} seconds")
        except AssertionError as error:
            _once(figures, known, "lost", f"{one.name} #{number}", str(error)[:300])
        except BaseException as error:
            where = "".join(traceback.format_exception(error)[-4:])[-700:]
            _once(figures, known, "traceback", f"{one.name} #{number}", f"{type(error).__name__}: {where}")
        figures.times += 1
    return figures


def _once(figures: Figures, known: set[str], kind: str, name: str, text: str) -> None:
    """Each fault once a process, by its place; the others are counted."""
    key = kind + "".join(line for line in text.splitlines() if "line " in line)[:400]
    figures.seen[f"faults, {kind}"] += 1
    if key not in known:
        known.add(key)
        figures.fault(kind, f"{name}: {text}")


def one_input(place: Path, name: str, number: int, seed: int = 0) -> bytes:
    """The input of a number, to look at what a fault was about."""
    one = next(one for one in readers(place) if one.name == name)
    return mutated(one.sound, random.Random(f"{seed} {one.name} {number}"), one.structured)
