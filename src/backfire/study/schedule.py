"""Running stages in order, several at a time, by doit. Digests decide what is done; doit only schedules."""

from __future__ import annotations

import io
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backfire.study.policies import close_policy
from backfire.study.stage import Stage

Say = Callable[[str], None]
GROUP = "study:"


def run_stages(
    stages: Sequence[Stage], scratch: Path, *, workers: int = 1, say: Say = print
) -> dict[str, str]:
    """Run every stage that is not done, each after those it needs; returns what failed: stage -> reason.

    A failed stage stops only those that need it. With several workers each takes its share of the cores. `scratch`
    holds doit's own bookkeeping.
    """
    from doit.cmd_base import ModuleTaskLoader
    from doit.doit_cmd import DoitMain

    scratch.mkdir(parents=True, exist_ok=True)
    course = _Course(len(stages), workers, say)
    names = {s.name for s in stages}

    def task_study() -> Any:
        for stage in stages:
            yield {
                "name": stage.name,
                "actions": [(_act, [stage, workers])],
                "uptodate": [stage.done],
                "task_dep": [GROUP + need for need in stage.needs if need in names],
                "verbosity": 0,
            }

    settings = {
        "dep_file": str(scratch / "doit.db"),
        "reporter": _reporter(course),
        "outfile": io.StringIO(),
        "continue": True,
        "num_process": workers if workers > 1 else 0,
        "check_file_uptodate": "timestamp",
    }
    space = {"task_study": task_study, "DOIT_CONFIG": settings}
    DoitMain(ModuleTaskLoader(space)).run(["run"])
    return course.failed


def _act(stage: Stage, workers: int) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if workers > 1:
        import torch
        from threadpoolctl import threadpool_limits

        threads = max(1, (os.cpu_count() or 1) // workers)
        torch.set_num_threads(threads)
        threadpool_limits(threads)
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if not stage.tests_policy:
        close_policy()
    stage.run()


@dataclass
class _Course:
    """How far the run is, and how long stages of each kind take."""

    total: int
    workers: int
    say: Say
    ended: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    waiting: Counter[str] = field(default_factory=Counter)

    def end(self, task: str, outcome: str = "") -> None:
        name = task.removeprefix(GROUP)
        self.ended += 1
        self.waiting[_kind(name)] -= 1
        if outcome:
            self.say(f"[{self.ended}/{self.total}] {name}: {outcome}{self.left()}")

    def left(self) -> str:
        """The time left, judged by the mean of each kind of stage, and of all for kinds that none has ended of."""
        every = [s for values in self.seconds.values() for s in values]
        if not every or self.ended >= self.total:
            return ""
        seconds = 0.0
        for kind, count in self.waiting.items():
            known = self.seconds.get(kind) or every
            seconds += count * sum(known) / len(known) / self.workers
        return f", about {seconds / 60:.0f} min left" if seconds >= 90 else f", about {seconds:.0f} s left"


def _reporter(course: _Course) -> Any:
    """A doit reporter that tells `course`; doit wants a class, and makes one of it in the main process alone."""
    from doit.exceptions import UnmetDependency
    from doit.reporter import ConsoleReporter

    class Reporter(ConsoleReporter):  # type: ignore[misc]
        desc = "backfire"

        def initialize(self, tasks: Any, selected_tasks: Any) -> None:
            course.waiting.update(_kind(n.removeprefix(GROUP)) for n in tasks if n.startswith(GROUP))

        def execute_task(self, task: Any) -> None:
            course.started[task.name] = time.monotonic()

        def add_success(self, task: Any) -> None:
            if task.name in course.started and task.name.startswith(GROUP):
                seconds = time.monotonic() - course.started[task.name]
                course.seconds[_kind(task.name.removeprefix(GROUP))].append(seconds)
                course.end(task.name, f"{seconds:.0f} s")

        def add_failure(self, task: Any, fail: Any) -> None:
            if task.name.startswith(GROUP):
                lines = [line for line in fail.get_msg().strip().splitlines() if line.strip()]
                reason = lines[-1].strip() if lines else "failed"
                if isinstance(fail, UnmetDependency):
                    reason = f"did not run, for it needs {reason.replace(GROUP, '')}"
                course.failed[task.name.removeprefix(GROUP)] = reason
                course.end(task.name, f"FAILED: {reason}")

        def skip_uptodate(self, task: Any) -> None:
            if task.name.startswith(GROUP):
                course.end(task.name)

        def runtime_error(self, msg: str) -> None:
            course.failed["schedule"] = msg

        def complete_run(self) -> None:
            """Everything was said as it ended."""

    return Reporter


def _kind(name: str) -> str:
    return name.partition(" ")[0]
