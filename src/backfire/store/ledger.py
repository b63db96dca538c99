"""The ledger: every prompt, response, score and verdict exactly once, in one SQLite file.

WAL mode and one transaction per batch make it safe against kill -9; several processes of one machine may
write at a time (SQLite's own locking), but the file must not lie on a network file system.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from backfire.errors import DiskError, InputError
from backfire.records import Decoding, Prompt, Response, Score, Verdict
from backfire.store.disk import FIX, disk_fault

T = TypeVar("T")

LAYOUT = 3
CACHE = 64 * 1024
"""KiB of the file that a process keeps in memory: ids are random, so that every row touches pages anywhere in it."""
PAGES = 16_384
"""Pages (of 4 KiB) that are written beside the file before they are moved into it, which waits for the disk. SQLite's own 1,000 had
it wait sixteen times as often."""
ADDED = {
    1: ("ALTER TABLE verdicts ADD COLUMN score REAL",),
    2: ("ALTER TABLE verdicts ADD COLUMN damage TEXT NOT NULL DEFAULT ''",),
}
"""What turns each older layout into the next one."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS prompts (
    id TEXT PRIMARY KEY, messages TEXT NOT NULL, kind TEXT, tags TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS responses (
    request_id TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, prompt_id TEXT NOT NULL REFERENCES prompts(id),
    model_id TEXT NOT NULL, source TEXT NOT NULL, text TEXT NOT NULL, stop_reason TEXT NOT NULL,
    tokens INTEGER, decoding TEXT, seed INTEGER, sample INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS responses_by_source ON responses(source, prompt_id);
CREATE TABLE IF NOT EXISTS scores (
    response_id TEXT NOT NULL, scorer_id TEXT NOT NULL, value REAL NOT NULL,
    PRIMARY KEY (response_id, scorer_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (
    response_id TEXT NOT NULL, judge_id TEXT NOT NULL, judge TEXT NOT NULL,
    harmful INTEGER, refusal INTEGER, reason TEXT NOT NULL, score REAL, damage TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (response_id, judge_id)
) WITHOUT ROWID;
"""


class Ledger:
    """Open or create the ledger at `path`. Use as a context manager, or call `close`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise InputError(f"ledger {self.path} is a folder: name a file, such as ledger.db")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=120, isolation_level=None)
        except (OSError, sqlite3.OperationalError) as error:
            raise InputError(
                f"ledger {self.path} cannot be opened ({error}): name a file in a folder that you can write to"
            ) from error
        try:
            self._open()
        except sqlite3.OperationalError as error:
            self._db.close()
            raise InputError(
                f"ledger {self.path} cannot be opened ({error}): end the program that holds it, or make it writable"
            ) from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            self._db.close()
            raise InputError(f"{self.path} is not a ledger ({error}): name another file") from error
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        """Create the tables in an empty file, at once; another program's file is left as it was."""
        if self._layout() != LAYOUT:
            with self._transaction() as db:
                layout = self._layout()
                if layout not in (0, LAYOUT, *ADDED):
                    raise InputError(
                        f"ledger {self.path} has layout {layout}, this version reads {LAYOUT}: "
                        "open it with the version that wrote it, or name another file"
                    )
                if layout == 0:
                    (tables,) = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
                    if tables:
                        raise InputError(
                            f"{self.path} is not a ledger but another program's database: name another file"
                        )
                    for statement in SCHEMA.split(";"):
                        db.execute(statement)
                else:
                    for older in range(layout, LAYOUT):
                        for statement in ADDED[older]:
                            db.execute(statement)
                db.execute(f"PRAGMA user_version={LAYOUT}")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(f"PRAGMA cache_size=-{CACHE}")
        self._db.execute(f"PRAGMA wal_autocheckpoint={PAGES}")

    def _layout(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._named():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has rolled back itself, where the disk is full
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _named(self) -> Iterator[None]:
        """DiskError where the disk takes no more, InputError where what lies in the file is damaged or locked."""
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise
        except sqlite3.DatabaseError as error:
            if cause := disk_fault(error):
                raise DiskError(f"ledger {self.path} cannot be written ({cause}): {FIX}") from error
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise InputError(
                    f"ledger {self.path} is in use ({error}): wait for the program that writes to it, or end it"
                ) from error
            raise self._damaged(error) from error
        except UnicodeDecodeError as error:  # of SQLite's own message, where it shows what is damaged
            raise self._damaged(error) from error

    def _damaged(self, error: object) -> InputError:
        return InputError(
            f"ledger {self.path} is damaged ({error}): put a copy back, or save what can be read by "
            f"`sqlite3 {self.path} .recover`"
        )

    def put_prompts(self, prompts: Iterable[Prompt]) -> None:
        """Store prompts; one that is there keeps its first tags, and its kind where somebody has said it."""
        rows = [(p.id, _text_of(p), p.kind, _json(dict(p.tags))) for p in prompts]
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO prompts VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind"
                " WHERE prompts.kind IS NULL AND excluded.kind IS NOT NULL",
                rows,
            )

    def prompts(self, ids: Sequence[str] | None = None) -> dict[str, Prompt]:
        """Stored prompts by id; all of them when `ids` is None."""
        sql = "SELECT id, messages, kind, tags FROM prompts"
        return dict(self._read(_prompt, self._select(sql, "id", ids)))

    def put_responses(self, responses: Iterable[Response]) -> None:
        """Store responses in one transaction; a request that is answered keeps its first answer."""
        rows = [
            (
                r.request_id,
                r.id,
                r.prompt_id,
                r.model_id,
                r.source,
                r.text,
                r.stop_reason,
                r.tokens,
                None if r.decoding is None else _json(r.decoding.as_dict()),
                r.seed,
                r.index,
            )
            for r in responses
        ]
        with self._transaction() as db:
            db.executemany(
                f"INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {_KEEP_FIRST}", rows
            )

    def answered(self, request_ids: Sequence[str]) -> dict[str, Response]:
        """The stored responses among these requests, by request id."""
        rows = self._select(_RESPONSES, "request_id", request_ids)
        return {r.request_id: r for r in self._read(_response, rows)}

    def known(self, request_ids: Sequence[str]) -> set[str]:
        """Which of these requests are answered, by their ids alone: the responses are not read."""
        rows = self._select("SELECT request_id FROM responses", "request_id", request_ids)
        return {row[0] for row in rows}

    def responses(self, ids: Sequence[str]) -> dict[str, Response]:
        """The stored responses among these ids, by response id."""
        return {r.id: r for r in self._read(_response, self._select(_RESPONSES, "id", ids))}

    def responses_of(self, source: str, prompt_ids: Sequence[str] | None = None) -> list[Response]:
        """All stored responses that `source` wrote, to these prompts or to any, by prompt and sample."""
        rows = self._rows(_RESPONSES + " WHERE source = ? ORDER BY prompt_id, sample, request_id", (source,))
        responses = list(self._read(_response, rows))
        if prompt_ids is None:
            return responses
        wanted = set(prompt_ids)
        return [r for r in responses if r.prompt_id in wanted]

    def sources(self) -> dict[str, int]:
        """Who has written responses, and how many."""
        return dict(self._rows("SELECT source, COUNT(*) FROM responses GROUP BY source ORDER BY 1"))

    def sources_named(self, names: Sequence[str] = ()) -> list[str]:
        """The named sources, or all of them; InputError lists those that there are."""
        there = self.sources()
        if not there:
            raise InputError(
                f"{self.path} holds no responses: sample some with `backfire sample`, or `backfire import` a file"
            )
        for name in names:
            if name not in there:
                known = ", ".join(map(repr, there))
                raise InputError(f"nobody in {self.path} is called {name!r}: its sources are {known}")
        return list(dict.fromkeys(names)) or list(there)

    def put_scores(self, scores: Iterable[Score]) -> None:
        """Store scores in one transaction; a response keeps its first of each scorer. NaN is refused."""
        rows = [(s.response_id, s.scorer_id, s.value) for s in scores]
        with self._transaction() as db:
            db.executemany(f"INSERT INTO scores VALUES (?, ?, ?) {_KEEP_FIRST}", rows)

    def scores(self, scorer_id: str, response_ids: Sequence[str]) -> dict[str, float]:
        """Scores by response id, for those that this scorer has scored."""
        rows = self._select(
            "SELECT response_id, value FROM scores",
            "response_id",
            response_ids,
            ("scorer_id = ?", scorer_id),
        )
        return {row[0]: row[1] for row in rows}

    def scorers(self) -> list[str]:
        return [row[0] for row in self._rows("SELECT DISTINCT scorer_id FROM scores")]

    def put_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        columns = "response_id, judge_id, judge, harmful, refusal, reason, score, damage"
        rows = [
            (v.response_id, v.judge_id, v.judge, v.harmful, v.refusal, v.reason, v.score, v.damage)
            for v in verdicts
        ]
        with self._transaction() as db:
            db.executemany(
                f"INSERT INTO verdicts ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) {_KEEP_FIRST}", rows
            )

    def verdicts(self, judge_id: str, response_ids: Sequence[str]) -> dict[str, Verdict]:
        rows = self._select(
            "SELECT response_id, judge, judge_id, harmful, refusal, reason, score, damage FROM verdicts",
            "response_id",
            response_ids,
            ("judge_id = ?", judge_id),
        )
        return {verdict.response_id: verdict for verdict in self._read(_verdict, rows)}

    def rows_of(self, table: str) -> int:
        """How many rows a table has."""
        ((count,),) = self._rows(f"SELECT COUNT(*) FROM {table}")
        return int(count)

    def raw_rows(self, sql: str, values: Sequence[str] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows as they are stored, for another ledger."""
        yield from self._rows(sql, values)

    def raw_rows_among(self, sql: str, column: str, values: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Rows as they are stored, whose column has one of these values."""
        yield from self._select(sql, column, values)

    def put_raw(
        self, insert: str, rows: Sequence[tuple[Any, ...]], also: Sequence[tuple[str, Sequence[Any]]] = ()
    ) -> int:
        """Store rows as another ledger has them, in one transaction; how many were not there."""
        with self._transaction() as db:
            added = db.executemany(insert, rows).rowcount
            for statement, values in also:
                db.executemany(statement, values)
        return int(added)

    def _select(
        self,
        sql: str,
        column: str,
        values: Sequence[str] | None,
        also: tuple[str, str] | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        condition, bound = also if also else ("1", None)
        extra = () if bound is None else (bound,)
        if values is None:
            yield from self._rows(f"{sql} WHERE {condition}", extra)
            return
        for start in range(0, len(values), 900):
            part = values[start : start + 900]
            marks = ",".join("?" * len(part))
            yield from self._rows(f"{sql} WHERE {condition} AND {column} IN ({marks})", (*extra, *part))

    def _rows(self, sql: str, values: Sequence[str] = ()) -> Iterator[Any]:
        """The rows of a question; InputError where the file is damaged."""
        with self._named():
            yield from self._db.execute(sql, values)

    def _read(self, make: Callable[[tuple[Any, ...]], T], rows: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """What rows hold; InputError where it is not what was written."""
        for row in rows:
            try:
                made = make(row)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError, InputError) as error:
                raise self._damaged(error) from error
            yield made


_KEEP_FIRST = "ON CONFLICT DO NOTHING"
"""Not OR IGNORE, which would drop rows that are unfit (NaN is NULL to SQLite) without a word."""

_RESPONSES = (
    "SELECT request_id, prompt_id, model_id, source, text, stop_reason, tokens, decoding, seed, sample"
    " FROM responses"
)


def _response(row: tuple[Any, ...]) -> Response:
    request_id, prompt_id, model_id, source, text, stop_reason, tokens, decoding, seed, sample = row
    sampled_by = None if decoding is None else Decoding(**json.loads(decoding))
    return Response(
        request_id, prompt_id, model_id, source, text, stop_reason, tokens, sampled_by, seed, sample
    )


def _prompt(row: tuple[Any, ...]) -> tuple[str, Prompt]:
    prompt_id, messages, kind, tags = row
    return prompt_id, Prompt.of_messages(**_spoken(json.loads(messages)), kind=kind, tags=json.loads(tags))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _verdict(row: tuple[Any, ...]) -> Verdict:
    return Verdict(row[0], row[1], row[2], _flag(row[3]), _flag(row[4]), *row[5:])


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _text_of(prompt: Prompt) -> str:
    """A prompt's turns; beside them, in an object, what a template is given, where there is any.

    Keys stay in their order, since chat templates write a tool call's as they stand.
    """
    beside = {"tools": prompt.tools, "template_options": prompt.template_options}
    given = {name: value for name, value in beside.items() if value}
    turns = prompt.as_messages()
    return json.dumps({"messages": turns, **given} if given else turns, ensure_ascii=False)


def _spoken(stored: Any) -> dict[str, Any]:
    return stored if isinstance(stored, dict) else {"messages": stored}
