"""Progress of long work, with the time left: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backfire.cli.terminal import is_first, tell

EVERY = 10.0
"""Seconds between lines where there is no terminal."""

Advance = Callable[[int, int], None]
"""Called with what is done and all there is."""


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show how far `what` is, on stderr."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal or not is_first():
        yield Lines(what).advance
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Lines:
    """Plain lines: the first after EVERY seconds, then one in so many, and the last if there was one before."""

    def __init__(
        self, what: str, *, clock: Callable[[], float] = time.monotonic, every: float = EVERY
    ) -> None:
        self.what, self.clock, self.every = what, clock, every
        self.first: tuple[float, int] | None = None
        self.last = clock()
        self.spoke = False

    def advance(self, done: int, total: int) -> None:
        from backfire.models.work import time_text

        now = self.clock()
        if self.first is None:
            self.first = (now, done)
        ended = done >= total
        if now - self.last < self.every and not (ended and self.spoke):
            return
        started, before = self.first
        left = ""
        if not ended and done > before:
            left = f", about {time_text((now - started) / (done - before) * (total - done))} left"
        tell(f"{self.what}: {done} of {total}{left}")
        self.last, self.spoke = now, not ended
