"""Running stages in order, several at a time. Digests decide what is done; nothing of a schedule is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backfire.errors import StudyError
from backfire.models.memory import GIGABYTE
from backfire.models.work import time_text
from backfire.study.expected import TimeLeft, disk_needed
from backfire.study.process_pool import Workers
from backfire.study.stage import Stage, State, dependencies

Say = Callable[[str], None]
BLOCKED = "did not run, for it needs "


@dataclass(frozen=True)
class Outcome:
    """What came of a schedule."""

    standing: frozenset[str]
    """The stages whose artifacts stand now, made from what stands before them now."""
    failed: dict[str, str]
    """Every other stage, with its reason."""
    lost: dict[str, dict[str, int]]
    """Stages that stand without what some requests should have given: reason -> count."""

    def cause(self, stage: str) -> str:
        """Why a stage does not stand: its own reason, or that of the stage that it waited for."""
        reason = self.failed.get(stage, "has not run")
        while reason.startswith(BLOCKED):
            stage = reason.removeprefix(BLOCKED)
            reason = self.failed.get(stage, "has not run")
            if not reason.startswith(BLOCKED):
                return f"{stage}: {reason}"
        return reason


def run_stages(
    stages: Sequence[Stage[Any]],
    workers: Workers,
    *,
    say: Say = print,
    beginning: Callable[[], None] | None = None,
    expected: Callable[[], TimeLeft] | None = None,
) -> Outcome:
    """Run every stage that is not done, each after those it needs.

    A failed stage stops only those that need it. One that stands partly is run again; should that fail, it stands as it did.

    Args:
        workers: what runs them.
        beginning: called before the first stage runs, and not at all where all are done.
        expected: called at the same time, for the time that is left; where it is not given, nothing is said of time.

    Raises:
        StudyError: no stage makes an input that lies in the run folder, or stages wait for one another.
    """
    needs = dependencies(stages)
    progress = _Progress(len(stages), workers.slots, say, {stage.name: stage for stage in stages}, expected)
    waiting = list(stages)
    running: dict[str, tuple[Stage[Any], State]] = {}
    settled: dict[str, bool] = {}
    failed: dict[str, str] = {}
    lost: dict[str, dict[str, int]] = {}

    def end(stage: Stage[Any], outcome: str = "", *, reason: str = "") -> None:
        settled[stage.name] = not reason
        if reason:
            failed[stage.name] = reason
        progress.end(stage, outcome)

    while waiting or running:
        moved = False
        for stage in tuple(waiting):
            failed_needs = [need for need in needs[stage.name] if settled.get(need) is False]
            if failed_needs:
                reason = f"{BLOCKED}{failed_needs[0]}"
                end(stage, f"FAILED: {reason}", reason=reason)
            elif all(settled.get(need) for need in needs[stage.name]) and len(running) < workers.slots:
                state = stage.state()
                if state is State.DONE:
                    end(stage)
                else:
                    if beginning is not None:
                        beginning()
                        beginning = None
                    if not progress.announced:
                        progress.announce()
                    running[stage.name] = stage, state
                    progress.begin(stage)
                    workers.begin(stage)
            else:
                continue
            waiting.remove(stage)
            moved = True
        if running and (not moved or len(running) >= workers.slots):
            name, reason = workers.wait()
            stage, before = running.pop(name)
            if reason and before is State.PARTLY:
                lost[name] = stage.lost()
                end(stage, f"asked again in vain: {reason}")
            elif reason:
                end(stage, f"FAILED: {reason}", reason=reason)
            else:
                missing = stage.lost()
                if missing:
                    lost[name] = missing
                end(stage, progress.took(stage) + (f", {sum(missing.values())} lost" if missing else ""))
        elif not moved and not running:
            raise StudyError(f"stages wait for one another: {', '.join(s.name for s in waiting)}")
    return Outcome(frozenset(name for name, well in settled.items() if well), failed, lost)


@dataclass
class _Progress:
    """How far the run is, and how long stages of each kind take."""

    total: int
    workers: int
    say: Say
    waiting: dict[str, Stage[Any]]
    expected: Callable[[], TimeLeft] | None
    time: TimeLeft | None = None
    announced: bool = False
    ended: int = 0
    started: dict[str, float] = field(default_factory=dict)

    def announce(self) -> None:
        """Before the first stage that runs: how many there are, and how long they will take."""
        self.announced = True
        if self.expected is None:
            return
        self.time = self.expected()
        self.waiting = {name: stage for name, stage in self.waiting.items() if not stage.done()}
        disk = disk_needed(list(self.waiting.values()))
        policies = f", {disk / GIGABYTE:.1f} GB of trained policies" if disk >= GIGABYTE / 10 else ""
        self.say(f"{len(self.waiting)} of {self.total} stages are to be done{self.left()}{policies}")

    def begin(self, stage: Stage[Any]) -> None:
        self.started[stage.name] = time.monotonic()

    def took(self, stage: Stage[Any]) -> str:
        seconds = time.monotonic() - self.started[stage.name]
        if self.time is not None:
            self.time.ended(stage, seconds)
        return f"{seconds:.0f} s"

    def end(self, stage: Stage[Any], outcome: str = "") -> None:
        self.ended += 1
        self.waiting.pop(stage.name, None)
        if outcome:
            self.say(f"[{self.ended}/{self.total}] {stage.name}: {outcome}{self.left()}")

    def left(self) -> str:
        """The time left, as far as anything is known of it."""
        seconds = 0.0 if self.time is None else self.time.of(list(self.waiting.values())) / self.workers
        if not seconds or not self.waiting:
            return ""
        return f", about {time_text(seconds)} left"
