"""The steps of an audit: timed, and told to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

Progress = Callable[[int, int], None]
"""Called with what is done and all that there is, as far as is known; the second number may grow."""


@dataclass
class Steps:
    """Names and times the steps, and tells whoever watches."""

    progress: Progress | None
    seconds: dict[str, float] = field(default_factory=dict)
    done: int = 0
    total: int = 0
    announce: Callable[[str], None] | None = None
    """Called with a sentence about what comes next."""

    @contextmanager
    def step(self, name: str, weight: int = 1) -> Iterator[Progress]:
        """One step of so much `weight`; what it gives is called with the part that is done and the whole."""
        start = perf_counter()
        before = self.done
        self.total = max(self.total, before + weight)

        def part(done: int, whole: int) -> None:
            if self.progress is not None:
                self.progress(before + weight * done // max(1, whole), self.total)

        yield part
        self.done = before + weight
        self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start
        part(1, 1)

    def finish(self) -> None:
        """All is done, though steps were left out."""
        if self.progress is not None and self.done < self.total:
            self.progress(self.total, self.total)
