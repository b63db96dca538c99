"""An opened preference data set: its form, its columns, and its pairs in blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from backfire.errors import InputError
from backfire.preferences.beside import RowsBeside, TwoRows
from backfire.preferences.blocks import in_blocks
from backfire.preferences.columnar import read_table, wanted
from backfire.preferences.content import ContentDigest
from backfire.preferences.explaining import remarked
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
    head = source.head(HEAD)
    plan = plan_of(
        source.origin, head.columns, head.rows, columns, source_columns, ranked=ranked, plain=plain
    )
    if plain and not is_raw(plan):
        raise InputError(
            f"{source.origin} is read as {plan.format}, which is made of turns and has no raw text: leave out plain, so that "
            "it goes through the policy's chat template"
        )
    return Preferences(source, plan)


class Preferences:
    """Pairs of a data set that is read anew by every pass of `blocks`, so that it need not fit in memory."""

    def __init__(self, source: Source, plan: Plan, *, fast: bool = True) -> None:
        """`fast` False reads every row by the exact path alone."""
        self.origin = source.origin
        self.format: Format = plan.format
        self.columns = plan.columns
        self.plain = plan.plain
        """Whether texts are meant to be used as they are, without a chat template."""
        self.rows = 0
        """Rows seen by the pass that began last; all of them after a full pass."""
        self.digest: str | None = None
        """SHA-256 of the pairs, the same whatever form and packing they came in (`content`); None before a pass has ended."""
        self._source = source
        self._plan = plan
        self._fast = fast
        self._reading = ReadingNotes()

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
        return (*self._plan.notes, *remarked(self.remarks))

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
        names = {*self._plan.names.values(), *self._plan.media} if both is None else None
        pairing = Pairing(self._plan, both) if self.format in PAIRED else None
        for chunk in self._source.chunks(names, wanted(self._plan) if self._fast else None):
            self.rows += len(chunk.numbers)
            if pairing is not None:
                yield batch_of(pairing.read(_numbered(chunk, None), reading))
            else:
                yield _batch(self._plan, chunk, reading)
        if pairing is not None:
            for records in pairing.finish(reading):
                yield batch_of(records)
        reading.finish()


def _batch(plan: Plan, chunk: Chunk, reading: ReadingNotes) -> pa.RecordBatch:
    """The pairs of one chunk: by columns where these vouch for a row, by rows where they do not."""
    if chunk.table is None:
        return batch_of(read_rows(plan, _numbered(chunk, None), reading))
    quick, sound = read_table(plan, chunk.numbers, chunk.table)
    if sound.all():
        return quick
    exact = batch_of(read_rows(plan, _numbered(chunk, np.flatnonzero(~sound)), reading))
    if not len(exact):
        return quick
    both = pa.Table.from_batches([quick, exact])
    return both.sort_by("row").combine_chunks().to_batches()[0]


def _numbered(chunk: Chunk, positions: np.ndarray | None) -> Iterator[tuple[int, Any]]:
    where = np.arange(len(chunk.numbers)) if positions is None else positions
    step = 1024
    for start in range(0, len(where), step):
        some = where[start : start + step]
        yield from zip(chunk.numbers[some].tolist(), chunk.values(some), strict=True)
