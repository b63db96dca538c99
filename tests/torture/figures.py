"""What a part of the torture did and saw, and all parts as one table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

KINDS = ("lost", "traceback", "different", "hang", "left over", "wrong")
"""What can go wrong: something lost without a word, a traceback (or an error without a class), a result that differs from the
undisturbed one, no end in time, a file or process left over, and anything else that is not as promised."""


@dataclass
class Figures:
    """One part: what was done, how many times, and each fault with its kind."""

    part: str
    unit: str
    """What is counted, such as `kills`."""
    times: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    """What came of it, by a word for each."""
    faults: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    skipped: str = ""
    """Why the part did not run."""

    def fault(self, kind: str, text: str) -> None:
        assert kind in KINDS, kind
        self.faults.append((kind, text))

    def fold(self, other: Figures) -> None:
        """Add what another process did of the same part."""
        self.times += other.times
        self.seen += other.seen
        self.faults += other.faults


@contextmanager
def timed(figures: Figures) -> Iterator[Figures]:
    start = time.monotonic()
    try:
        yield figures
    finally:
        figures.seconds += time.monotonic() - start


def table(parts: Sequence[Figures]) -> str:
    """All parts as Markdown: a line each, and each fault below."""
    lines = [
        f"| part | done | what came of it | {' | '.join(KINDS)} | seconds |",
        "|-|-|-|" + "-|" * len(KINDS) + "-|",
    ]
    for one in parts:
        counts = Counter(kind for kind, _ in one.faults)
        came = "; ".join(f"{word} {count:,}" for word, count in sorted(one.seen.items()))
        cells = [one.part, f"{one.times:,} {one.unit}", (one.skipped and f"not run: {one.skipped}") or came]
        lines.append(f"| {' | '.join([*cells, *(str(counts[k]) for k in KINDS), f'{one.seconds:.0f}'])} |")
    lines += [f"\n{one.part}, {kind}: {text}" for one in parts for kind, text in one.faults[:20]]
    return "\n".join(lines)
