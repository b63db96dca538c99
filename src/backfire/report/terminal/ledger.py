"""What a ledger holds after sampling, importing and scoring."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from backfire.records import Response
from backfire.report.terminal.parts import Failed, Part, Warned, counted, table

if TYPE_CHECKING:
    from backfire.responses import Failure, Given, Sampled
    from backfire.store import Merged

MOST_REASONS = 5
"""Reasons of failures that are named with an example; the others are counted."""
STOPS = {"length": "length (truncated)"}


def sampled_parts(sampled: Sampled, model: str, source: str | None, ledger: Path) -> Iterator[Part]:
    """model: its name. source: the name that was asked for, where it is another."""
    responses = sampled.responses
    yield f"{model}: {len(responses)} responses to {len({r.prompt_id for r in responses})} prompts"
    reasons = Counter(r.stop_reason for r in responses).most_common()
    yield f"stop reasons: {counted({STOPS.get(reason, reason): count for reason, count in reasons})}"
    for name, count in sorted(Counter(r.source for r in responses).items()):
        yield f"in {ledger}: {count} of source {name!r}"
        if name != (source or model):
            yield Warned(f"{count} were stored before as {name!r}, and keep that name")
    if sampled.failures:
        yield unanswered(sampled.failures)


def unanswered(failures: Sequence[Failure]) -> Failed:
    """The requests without a response: a line a reason, the commonest first, with an example."""
    by_reason: defaultdict[str, list[Failure]] = defaultdict(list)
    for failure in failures:
        by_reason[failure.reason].append(failure)
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    lines = []
    for reason, failed in ordered[:MOST_REASONS]:
        text = " ".join(failed[0].request.prompt.text.split())
        lines.append(f"{len(failed)}: {reason}; such as {text[:60]!r}")
    if len(ordered) > MOST_REASONS:
        rest = sum(len(failed) for _, failed in ordered[MOST_REASONS:])
        lines.append(f"{rest}: {len(ordered) - MOST_REASONS} other reasons")
    what = f"{len(failures)} without a response, which the same command would ask for again:"
    return Failed(what, lines)


def given_parts(given: Given, file: Path, ledger: Path) -> Iterator[Part]:
    """What of a file was stored, and what was left out of it."""
    columns = ", ".join(f"{role} from {name}" for role, name in given.columns.items())
    yield f"{file}: columns read: {columns}"
    for name, count in given.sources.items():
        yield f"in {ledger}: {count} of source {name!r}"
    if given.left_out:
        yield Warned(f"{file}: rows left out: {counted(given.left_out)}")
    if given.ignored is not None:
        yield Warned(
            f"{file}: the column {given.ignored!r} says neither harmful nor benign, and was not read as the kind"
        )


def merged_parts(merged: Merged) -> Iterator[Part]:
    """A row a part: how many of its rows are new in the ledger; then what the ledger has otherwise."""
    names = ("prompts", "responses", "scores", "verdicts")
    shown = table("part", *names)
    for part in merged.parts:
        counts = (f"{part.added[name]:,} of {part.rows[name]:,} new" for name in names)
        shown.add_row(str(part.path), *counts)
    yield shown
    for part in merged.parts:
        if part.conflicts:
            rows = counted(part.conflicts)
            ids = ", ".join(one for some in part.examples.values() for one in some)
            yield Warned(
                f"{part.path}: {merged.ledger} has other versions of these and keeps them: {rows}; such as {ids}"
            )
        if part.renamed:
            yield Warned(
                f"{part.path}: {part.renamed} responses were stored before under another source's name, which they keep"
            )


def scores_table(by_source: Mapping[str, Sequence[Response]], scores: Mapping[str, float]) -> Part:
    """A row a source; scores by response id."""
    shown = table("source", "responses", "lowest", "median", "highest")
    for name, responses in by_source.items():
        values = sorted(scores[r.id] for r in responses)
        numbers = (f"{v:.3f}" for v in (values[0], median(values), values[-1]))
        shown.add_row(name, str(len(values)), *numbers)
    return shown
