"""The exact path: rows one at a time, any value in them, every defect named."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from backfire.preferences.plan import Plan
from backfire.preferences.provenance import decoding_of, kind_of, name_of, tags_of
from backfire.preferences.schema import SCHEMA, SIDES, DefectKind, Unusable
from backfire.preferences.sides import labelled, sides_of, swapped
from backfire.preferences.turns import prompt_and_messages
from backfire.tables.chunk import UNREAD

Record = tuple[Any, ...]
"""One row of a block, in the order of SCHEMA."""
_NOTHING: Record = (None,) * 8
_NO_TURNS: Record = (None,) * 4
"""No turns of either side, no tools, no template options."""
Defects = dict[DefectKind, list[int]]


def batch_of(records: list[Record]) -> pa.RecordBatch:
    """Records as a batch of SCHEMA."""
    columns = zip(*records, strict=True) if records else ((),) * len(SCHEMA)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def read_rows(plan: Plan, rows: Iterable[tuple[int, Any]], defects: Defects) -> list[Record]:
    """The records of numbered rows; what is left out is added to `defects`."""
    records = []
    for number, row in rows:
        try:
            records.append(_record(plan, number, _mapping(row)))
        except Unusable as why:
            defects.setdefault(why.kind, []).append(number)
    return records


def _mapping(row: Any) -> Mapping[str, Any]:
    if row is UNREAD:
        raise Unusable("undecodable")
    if not isinstance(row, Mapping):
        raise Unusable("wrong type")
    return row


def _record(plan: Plan, number: int, row: Mapping[str, Any]) -> Record:
    turns, chosen, rejected = sides_of(row, plan)
    text, messages = prompt_and_messages(turns)
    beside = _beside(plan, row) if plan.provenance else _NOTHING
    return _checked((number, text, messages, chosen, rejected, *beside, *_NO_TURNS))


def _beside(plan: Plan, row: Mapping[str, Any]) -> Record:
    sources = [_said(plan, row, f"{side}_source") for side in SIDES]
    if "first_source" in plan.names:
        sources = [_said(plan, row, "first_source"), _said(plan, row, "second_source")]
        sources = sources[::-1] if swapped(row, plan.names) else sources
    return (
        kind_of(_said(plan, row, "kind")),
        *map(name_of, sources),
        *(name_of(_said(plan, row, f"{side}_stop")) for side in SIDES),
        *(decoding_of(_said(plan, row, f"{side}_decoding")) for side in SIDES),
        tags_of(_said(plan, row, "tags")),
    )


def _said(plan: Plan, row: Mapping[str, Any], part: str) -> Any:
    return row.get(plan.names[part]) if part in plan.names else None


def _checked(record: Record) -> Record:
    for value in record[1:]:
        if value is not None and not value.isascii():
            _check_text(value)
    chosen, rejected = record[3].strip(), record[4].strip()
    if not chosen or not rejected:
        raise Unusable("blank side")
    if chosen == rejected:
        raise Unusable("identical sides")
    return record


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unusable("undecodable") from None


class _Waiting(NamedTuple):
    number: int
    text: str
    source: str | None


class Pairing:
    """Labelled completions, paired within a prompt: the k-th desirable with the k-th undesirable.

    A pair takes the number, the kind and the tags of the later of its rows. What waits for its other half is kept in memory.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._waiting: dict[tuple[str, str | None], tuple[deque[_Waiting], deque[_Waiting]]] = defaultdict(
            lambda: (deque(), deque())
        )

    def read(self, rows: Iterable[tuple[int, Any]], defects: Defects) -> list[Record]:
        """The records of the pairs that these rows complete."""
        records = []
        for number, row in rows:
            numbers = [number]
            try:
                if (record := self._paired(number, _mapping(row), numbers)) is not None:
                    records.append(record)
            except Unusable as why:
                defects.setdefault(why.kind, []).extend(sorted(numbers))
        return records

    def finish(self, defects: Defects) -> None:
        """Count what still waits as unpaired."""
        left = sorted(w.number for queues in self._waiting.values() for queue in queues for w in queue)
        if left:
            defects["unpaired"] = left

    def _paired(self, number: int, row: Mapping[str, Any], numbers: list[int]) -> Record | None:
        plan = self._plan
        turns, text, desirable = labelled(row, plan.names)
        prompt = prompt_and_messages(turns)
        own = name_of(_said(plan, row, "source"))
        for value in (*prompt, text, own):
            _check_text(value or "")
        if not text.strip():
            raise Unusable("blank side")
        queues = self._waiting[prompt]
        if not queues[desirable]:
            queues[not desirable].append(_Waiting(number, text, own))
            return None
        other = queues[desirable].popleft()
        if not any(queues):
            del self._waiting[prompt]
        numbers.append(other.number)
        mine = _Waiting(number, text, own)
        chosen, rejected = (mine, other) if desirable else (other, mine)
        kind, tags = kind_of(_said(plan, row, "kind")), tags_of(_said(plan, row, "tags"))
        sources = (chosen.source, rejected.source)
        texts = (chosen.text, rejected.text)
        return _checked((number, *prompt, *texts, kind, *sources, None, None, None, None, tags, *_NO_TURNS))
