"""Running stages in order, several at a time. Digests decide what is done; nothing of a schedule is kept."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backfire.errors import StudyError
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
) -> Outcome:
    """Run every stage that is not done, each after those it needs.

    A failed stage stops only those that need it. One that stands partly is run again; should that fail, it stands as it did.

    Args:
        workers: what runs them.
        beginning: called before the first stage runs, and not at all where all are done.

    Raises:
        StudyError: no stage makes an input that lies in the run folder, or stages wait for one another.
    """
    needs = dependencies(stages)
    progress = _Progress(len(stages), workers.slots, say, waiting=Counter(stage.verb for stage in stages))
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
    waiting: Counter[str]
    ended: int = 0
    started: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def begin(self, stage: Stage[Any]) -> None:
        self.started[stage.name] = time.monotonic()

    def took(self, stage: Stage[Any]) -> str:
        seconds = time.monotonic() - self.started[stage.name]
        self.seconds[stage.verb].append(seconds)
        return f"{seconds:.0f} s"

    def end(self, stage: Stage[Any], outcome: str = "") -> None:
        self.ended += 1
        self.waiting[stage.verb] -= 1
        if outcome:
            self.say(f"[{self.ended}/{self.total}] {stage.name}: {outcome}{self.left()}")

    def left(self) -> str:
        """The time left, judged by the mean of each kind of stage, and of all for kinds that none has ended of."""
        every = [s for values in self.seconds.values() for s in values]
        if not every or self.ended >= self.total:
            return ""
        seconds = 0.0
        for verb, count in self.waiting.items():
            known = self.seconds.get(verb) or every
            seconds += count * sum(known) / len(known) / self.workers
        return f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"
