"""An opened preference data set: its form, its columns, and its pairs in blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from backfire.errors import InputError
from backfire.preferences.beside import RowsBeside, TwoRows
from backfire.preferences.blocks import in_blocks
from backfire.preferences.columnar import read_table, wanted
from backfire.preferences.content import ContentDigest
from backfire.preferences.explaining import remarked
from backfire.preferences.late_columns import Numbered, extends, new_columns, sample, unread, without
from backfire.preferences.pairing import Pairing
from backfire.preferences.plan import Plan
from backfire.preferences.reading_notes import Example, ReadingNotes
from backfire.preferences.recognising import is_raw, plan_of
from backfire.preferences.rowwise import batch_of, read_rows
from backfire.preferences.schema import DefectKind, Format
from backfire.tables.chunk import Chunk, Source
from backfire.tables.opening import open_source

HEAD = 1000
"""Rows by which the form is recognised."""
PAIRED: tuple[Format, ...] = ("completions with labels", "completions with scores")
"""Forms whose pairs are made of two rows."""


def open_preferences(
    dataset: Any,
    *,
    config: str | None = None,
    split: str | None = None,
    revision: str | None = None,
    encoding: str | None = None,
    columns: Mapping[str, str] | None = None,
    source_columns: tuple[str, str] | None = None,
    ranked: str = "best-worst",
    plain: bool = False,
) -> Preferences:
    """Open preference data and recognise their form by their first 1,000 rows.

    `dataset` is a file (JSONL, JSON, CSV, Parquet, Arrow, packed or not: `tables` tells by content), a folder
    (`save_to_disk`, train.parquet,
    data/train-*.parquet, or one file), a hub name, a `datasets` object, or a list of rows. `config`, `split` and
    `revision` are those of `datasets.load_dataset`; `encoding` is that of a text file which is not UTF-8. `columns` says
    which column holds the prompt, chosen, rejected, preference, kind, chosen_source or rejected_source
    (`recognising.MAPPABLE` lists all); `source_columns` are the last two. `ranked` says which pairs a list of ranked
    responses gives: `best-worst`, or `best-rest`, the best against each that is worse. `plain` says that plain text is
    meant to be used as it is, without a chat template, and is not looked through for chats.

    Raises:
        InputError: nothing there, no such split or column, a column that the form does not use, columns of no known form,
            or turns where `plain` is asked for.
    """
    source = open_source(dataset, config, split, revision, encoding)

    def recognised(late: Sequence[Numbered] = ()) -> Plan:
        head = source.head(HEAD)
        plan = plan_of(
            source.origin,
            head.columns,
            head.rows,
            columns,
            source_columns,
            ranked=ranked,
            plain=plain,
            late=late,
        )
        if plain and not is_raw(plan):
            raise InputError(
                f"{source.origin} is read as {plan.format}, which is made of turns and has no raw text: leave out plain, so "
                "that it goes through the policy's chat template"
            )
        return plan

    return Preferences(source, recognised(), recognised)


Recognise = Callable[[Sequence[Numbered]], Plan]


class _Part(NamedTuple):
    """How rows are read from one on."""

    since: int
    plan: Plan


class Preferences:
    """Pairs of a data set that is read anew by every pass of `blocks`, so that it need not fit in memory."""

    def __init__(
        self, source: Source, plan: Plan, recognised: Recognise | None = None, *, fast: bool = True
    ) -> None:
        """`recognised` gives the plan for the first rows and further ones, and is asked again where a column first holds
        something below the first. `fast` False reads every row by the exact path alone."""
        self.origin = source.origin
        self.plain = plan.plain
        """Whether texts are meant to be used as they are, without a chat template."""
        self.rows = 0
        """Rows seen by the pass that began last; all of them after a full pass."""
        self.digest: str | None = None
        """SHA-256 of the pairs, the same whatever form and packing they came in (`content`); None before a pass has ended."""
        self._source = source
        self._parts = [_Part(0, plan)]
        self._recognised = recognised
        self._late: list[Numbered] = []
        self._settled: frozenset[str] = frozenset()
        self._unread: dict[str, int] = {}
        self._fast = fast
        self._reading = ReadingNotes()

    @property
    def format(self) -> Format:
        """The form; a column that comes late may make it another one that is read alike, such as one with system turns."""
        return self._plan.format

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns that spoke of prompt, chosen and so on, as `Plan.columns`."""
        return self._plan.columns

    @property
    def _plan(self) -> Plan:
        return self._parts[-1].plan

    @property
    def defects(self) -> dict[DefectKind, list[int]]:
        """Numbers of the rows left out by the pass that began last, by kind."""
        return self._reading.defects

    @property
    def examples(self) -> dict[DefectKind, Example]:
        """The first row left out of each kind."""
        return self._reading.examples

    @property
    def remarks(self) -> dict[str, list[int]]:
        """Numbers of the rows of which something was left unread or read otherwise than it stands, by what it was:
        `images`, `videos`, `audio`, `numbers read as text`, `pairs of a list left out`."""
        return self._reading.remarks

    @property
    def left_out(self) -> int:
        """Rows that give no pair, of all kinds."""
        return sum(map(len, self.defects.values()))

    def notes(self) -> tuple[str, ...]:
        """What is to be said of the reading: what was chosen where there was a choice, and what was not read."""
        late = (unread(self._unread),) if self._unread else ()
        return (*self._plan.notes, *late, *remarked(self.remarks))

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """The usable pairs, as SCHEMA, in the order of the file; at most 8,192 rows and about 32 MB of text a block.

        Equal contents give equal blocks, whatever the form they came in. Pairs of scored responses come last, in the order
        of their prompts.

        Raises:
            InputError: the data set can no longer be read.
        """
        return self._digested(in_blocks(self._batches()))

    def _digested(self, blocks: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The blocks, of which the first whole pass makes the digest."""
        if self.digest is not None:
            yield from blocks
            return
        content = ContentDigest()
        for block in blocks:
            content.add(block)
            yield block
        self.digest = content.hexdigest()

    def read_digest(self) -> str:
        """The digest, for which the pairs are read where no pass has ended yet."""
        if self.digest is None:
            for _ in self.blocks():
                pass
        assert self.digest is not None
        return self.digest

    @property
    def one_row_a_pair(self) -> bool:
        """Whether a pair comes from one row; completions with labels or scores are paired over two."""
        return self.format not in PAIRED

    @property
    def labelled(self) -> bool:
        """Whether a pair is made of a desirable and an undesirable response, so that its sides say what labels said."""
        return self.format == "completions with labels"

    def with_rows(self) -> Iterator[tuple[pa.RecordBatch, list[Any]]]:
        """`blocks`, and beside each the data set's own row of every pair, all columns as they are; `TwoRows` where a pair is
        made of two."""
        if self.format in PAIRED:
            both: deque[TwoRows] = deque()
            for block in self._digested(in_blocks(self._batches(both))):
                yield block, [both.popleft() for _ in range(len(block))]
        else:
            beside = RowsBeside(self._source.chunks(None, None))
            for block in self.blocks():
                yield block, beside.at(block.column("row").to_numpy())

    def _batches(self, both: deque[TwoRows] | None = None) -> Iterator[pa.RecordBatch]:
        """Batches of any size. `both` is given the rows of every pair that is made of two, in the same order."""
        self.rows = 0
        reading = ReadingNotes()
        self._reading = reading
        pairing = Pairing(self._plan, both) if self.format in PAIRED else None
        last = place = 0
        while place < len(self._parts):
            plan = self._parts[place].plan
            for chunk in self._source.chunks(
                _names(plan) if both is None else None, wanted(plan) if self._fast else None
            ):
                if not len(chunk.numbers) or (first := int(chunk.numbers[0])) <= last:
                    continue
                if place + 1 < len(self._parts) and first >= self._parts[place + 1].since:
                    break
                quick, rows, sampled = _taken(plan, chunk)
                if place + 1 == len(self._parts) and self._comes_late(first, [*rows, *sampled]):
                    break
                self.rows += len(chunk.numbers)
                last = int(chunk.numbers[-1])
                if pairing is not None:
                    yield batch_of(pairing.read(plan, rows, reading))
                else:
                    yield _batch(quick, batch_of(read_rows(plan, rows, reading)))
            place += 1
        if pairing is not None:
            for records in pairing.finish(reading):
                yield batch_of(records)
        reading.finish()

    def _comes_late(self, first: int, rows: list[tuple[int, Any]]) -> bool:
        """Whether some of these rows hold something in columns that were not known, and another plan reads them, too: from
        row `first` on, in this pass and in later ones."""
        if self._recognised is None:
            return False
        new = new_columns(rows, self._plan.known | self._settled)
        if not new.columns:
            return False
        self._settled |= new.columns.keys()
        self._late += new.rows[:HEAD]
        self._unread |= new.columns
        before = plan = self._plan
        for name in new.columns:
            further = self._recognised(without(self._late, self._unread.keys() - {name}))
            if extends(plan, further):
                plan = further
                del self._unread[name]
        if (plan.names, plan.media) == (before.names, before.media):
            self._parts[-1] = self._parts[-1]._replace(plan=replace(before, notes=plan.notes))
            return False
        self._parts.append(_Part(first, plan))
        return True


def _names(plan: Plan) -> set[str]:
    return {*plan.names.values(), *plan.media, *plan.empty}


def _taken(
    plan: Plan, chunk: Chunk
) -> tuple[pa.RecordBatch | None, list[tuple[int, Any]], Iterator[tuple[int, Any]]]:
    """The pairs of a chunk that are read by columns, the rows that are to be read one by one, and a sample of the others."""
    if chunk.table is None:
        return None, list(_numbered(chunk, None)), iter(())
    quick, sound = read_table(plan, chunk.numbers, chunk.table)
    some = sample(np.flatnonzero(sound)) if chunk.numbers[-1] > HEAD else np.zeros(0, dtype=np.int64)
    return quick, list(_numbered(chunk, np.flatnonzero(~sound))), _numbered(chunk, some)


def _batch(quick: pa.RecordBatch | None, exact: pa.RecordBatch) -> pa.RecordBatch:
    """The pairs of one chunk, in order."""
    if quick is None or not len(exact):
        return exact if quick is None else quick
    both = pa.Table.from_batches([quick, exact])
    return both.sort_by("row").combine_chunks().to_batches()[0]


def _numbered(chunk: Chunk, positions: np.ndarray | None) -> Iterator[tuple[int, Any]]:
    where = np.arange(len(chunk.numbers)) if positions is None else positions
    step = 1024
    for start in range(0, len(where), step):
        some = where[start : start + step]
        yield from zip(chunk.numbers[some].tolist(), chunk.values(some), strict=True)
