"""Merging ledgers: what the ledgers of several machines hold, in one, each row once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from backfire.errors import InputError, setting
from backfire.store.ledger import Ledger

BATCH = 10_000
"""Rows that are in memory, and stored in one transaction."""
EXAMPLES = 3
Conflicts = Literal["error", "first"]
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A table of the ledger, as two ledgers are compared by it."""

    name: str
    key: tuple[str, ...]
    """The columns that say what a row is about. Rows are copied in their order, so that they lie beside one another."""
    content: tuple[str, ...]
    """The columns in which two ledgers may not differ."""
    others: tuple[str, ...] = ()
    """Columns that keep what was stored first."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.key, *self.content, *self.others)

    def key_of(self, row: Row) -> Row:
        return row[: len(self.key)]

    def content_of(self, row: Row) -> Row:
        return row[len(self.key) : len(self.key) + len(self.content)]


PROMPTS = Table("prompts", ("id",), ("messages", "kind"), ("tags",))
RESPONSES = Table(
    "responses",
    ("request_id",),
    ("id", "prompt_id", "text", "stop_reason"),
    ("source", "model_id", "tokens", "decoding", "seed", "sample"),
)
SCORES = Table("scores", ("response_id", "scorer_id"), ("value",))
VERDICTS = Table(
    "verdicts",
    ("response_id", "judge_id"),
    ("harmful", "refusal", "reason", "score", "damage"),
    ("judge",),
)
TABLES = (PROMPTS, RESPONSES, SCORES, VERDICTS)
SOURCE = RESPONSES.columns.index("source")


@dataclass
class MergedPart:
    """What became of one part."""

    path: Path
    rows: Counter[str] = field(default_factory=Counter)
    """The rows of each table of the part."""
    added: Counter[str] = field(default_factory=Counter)
    """Those that the ledger did not have."""
    conflicts: Counter[str] = field(default_factory=Counter)
    """Those of which the ledger has another version, which stays there."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The ids of some rows with conflicts, by table."""
    renamed: int = 0
    """Responses that the ledger has under another source's name, which they keep."""


@dataclass(frozen=True)
class Merged:
    """What `merge_ledgers` did."""

    ledger: Path
    parts: tuple[MergedPart, ...]


def merge_ledgers(
    parts: Sequence[str | Path],
    into: str | Path,
    *,
    conflicts: Conflicts = "error",
    progress: Callable[[int, int], None] | None = None,
) -> Merged:
    """Put everything that the parts hold into the ledger `into`, which need not be there.

    Rows are compared by their ids and contents, so that merging again adds nothing, and after an interruption the same call
    goes on. The parts stay as they are, and memory does not grow with them.

    Args:
        parts: ledgers, such as those of several machines.
        conflicts: what is done where a part answers a request, or scores or judges a response, otherwise than the ledger does.
            `error` stores nothing of that part; `first` keeps what the ledger has and counts what is left in the part.
        progress: called with the rows that are done and all rows.

    Raises:
        InputError: a part is not there, is no ledger or is `into` itself, or conflicts with the ledger.
    """
    paths = [Path(part) for part in parts]
    target = Path(into)
    if not paths:
        raise InputError(f"nothing is to be merged into {target}: name one or more ledgers")
    for path in paths:
        if not path.is_file():
            raise InputError(f"there is no ledger {path}: name the file that a command wrote as its ledger")
        if target.exists() and path.samefile(target):
            raise InputError(f"{path} cannot be merged into itself: name another ledger")
    every, done = 0, 0
    for path in paths:
        with Ledger(path) as part:
            every += sum(part.rows_of(table.name) for table in TABLES)
    merged = []
    with Ledger(target) as ledger:
        for path in paths:
            one = MergedPart(path)
            with Ledger(path) as part:
                for table in TABLES:
                    _compare(table, part, ledger, one)
                if one.conflicts and conflicts == "error":
                    raise _conflict(one, target)
                for table in TABLES:
                    for rows in _batches(table, part):
                        one.rows[table.name] += len(rows)
                        one.added[table.name] += _store(table, rows, ledger)
                        done += len(rows)
                        if progress is not None:
                            progress(done, every)
            merged.append(one)
    return Merged(target, tuple(merged))


def _batches(table: Table, part: Ledger) -> Iterator[list[Row]]:
    """The rows of a part in the order of their keys."""
    keys, marks = ", ".join(table.key), ", ".join("?" * len(table.key))
    sql = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE ({keys}) > ({marks}) ORDER BY {keys} LIMIT {BATCH}"
    last: Row = ("",) * len(table.key)
    while rows := list(part.raw_rows(sql, last)):
        yield rows
        last = table.key_of(rows[-1])


def _compare(table: Table, part: Ledger, ledger: Ledger, one: MergedPart) -> None:
    """Count the rows of which both have a version, and not the same."""
    for rows in _batches(table, part):
        there = _there(table, rows, ledger)
        for row in rows:
            known = there.get(table.key_of(row))
            if known is None:
                continue
            if not _agree(table, row, known):
                one.conflicts[table.name] += 1
                examples = one.examples.setdefault(table.name, [])
                if len(examples) < EXAMPLES:
                    examples.append(str(row[0]))
            elif table is RESPONSES and row[SOURCE] != known[SOURCE]:
                one.renamed += 1


def _agree(table: Table, row: Row, known: Row) -> bool:
    """Whether two versions of a row say the same. A prompt's kind that nobody has said contradicts none."""
    if table is PROMPTS:
        (messages, kind), (messages_known, kind_known) = table.content_of(row), table.content_of(known)
        return messages == messages_known and (kind == kind_known or None in (kind, kind_known))
    return table.content_of(row) == table.content_of(known)


def _there(table: Table, rows: Sequence[Row], ledger: Ledger) -> Mapping[Row, Row]:
    """What the ledger has of these rows, by key."""
    sql = f"SELECT {', '.join(table.columns)} FROM {table.name}"
    first = list(dict.fromkeys(row[0] for row in rows))
    return {table.key_of(row): row for row in ledger.raw_rows_among(sql, table.key[0], first)}


def _store(table: Table, rows: Sequence[Row], ledger: Ledger) -> int:
    """Insert the rows that are not there; their number."""
    marks = ", ".join("?" * len(table.columns))
    insert = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    also = []
    if table is PROMPTS:
        kinds = [(row[2], row[0]) for row in rows if row[2] is not None]
        also = [("UPDATE prompts SET kind = ? WHERE id = ? AND kind IS NULL", kinds)]
    return ledger.put_raw(insert, rows, also)


def _conflict(one: MergedPart, target: Path) -> InputError:
    counts = ", ".join(f"{count:,} {name}" for name, count in one.conflicts.items())
    name, ids = next(iter(one.examples.items()))
    return InputError(
        f"{one.path} has other versions of {counts} than {target} has, such as those with the ids {', '.join(ids)} of {name}: "
        f"nothing of it was stored. {setting('conflicts')} first keeps what {target} has, and leaves these in {one.path}"
    )
