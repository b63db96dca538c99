"""Single responses made into pairs within their prompt: labels as they come, scores when all are known."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from backfire.preferences.beside import TwoRows
from backfire.preferences.many_responses import Candidate, opposed
from backfire.preferences.plan import Plan
from backfire.preferences.provenance import source_of, tags_of
from backfire.preferences.reading_notes import ReadingNotes
from backfire.preferences.rowwise import Record, check_text, checked, given, kind_in, mapping_of, own_value
from backfire.preferences.schema import BESIDE, Unusable
from backfire.preferences.single_responses import half_of
from backfire.preferences.turns import prompt_and_messages

SLICE = 4096
"""Records handed over at once when all rows are read."""
Key = tuple[str, str | None, str | None, str | None]
"""Prompt, messages, tools and template options."""


class _Waiting(NamedTuple):
    number: int
    text: str
    messages: str | None
    source: str | None
    worth: float
    kind: str | None
    tags: str | None
    row: Mapping[str, Any] | None
    """All columns, where these are asked for."""


class Pairing:
    """Halves of pairs that wait for the other half, which are kept in memory.

    With labels the k-th desirable response to a prompt is paired with the k-th undesirable one, as they come. With scores
    the best is paired with the worst, or with each that is worse, once all rows are read. A pair takes the number, the
    kind and the tags of the later of its rows.
    """

    def __init__(self, plan: Plan, both: deque[TwoRows] | None = None) -> None:
        """`both` is given the two rows of every pair, in the order of the records."""
        self._plan = plan
        self._both = both
        self._labelled = "label" in plan.names
        self._waiting: dict[Key, tuple[deque[_Waiting], deque[_Waiting]]] = defaultdict(
            lambda: (deque(), deque())
        )

    def read(self, plan: Plan, rows: Iterable[tuple[int, Any]], reading: ReadingNotes) -> list[Record]:
        """The records of the pairs that these rows complete. `plan` may have more columns than the first one had."""
        self._plan = plan
        records = []
        for number, row in rows:
            numbers = [number]
            try:
                if (record := self._paired(number, mapping_of(row, self._plan), numbers)) is not None:
                    records.append(record)
            except Unusable as why:
                for one in sorted(numbers):
                    reading.leave_out(why.kind, one, row, self._plan)
        return records

    def finish(self, reading: ReadingNotes) -> Iterator[list[Record]]:
        """What pairs of scored responses there are, and what is left over."""
        records: list[Record] = []
        for key, queues in self._waiting.items():
            group = [*queues[0], *queues[1]]
            if self._labelled or len(group) < 2:
                reading.leave_out_all("unpaired", (one.number for one in group), self._shown(key, group))
                continue
            records += self._best(key, group, reading)
            if len(records) >= SLICE:
                yield records
                records = []
        if records:
            yield records

    def _best(self, key: Key, group: list[_Waiting], reading: ReadingNotes) -> list[Record]:
        by_number = [Candidate(str(place), one.worth, place) for place, one in enumerate(group)]
        numbers = [one.number for one in group]
        try:
            pairs = opposed(by_number, self._plan.ranked)
        except Unusable as why:
            reading.leave_out_all(why.kind, numbers, self._shown(key, group))
            return []
        records: list[Record] = []
        used: set[int] = set()
        for best, worse in pairs:
            chosen, rejected = group[best.source], group[worse.source]
            try:
                records.append(self._record(key, chosen, rejected))
                used |= {chosen.number, rejected.number}
            except Unusable as why:
                left = (
                    {chosen.number, rejected.number}
                    if self._plan.ranked == "best-worst"
                    else {rejected.number}
                )
                reading.leave_out_all(why.kind, left - used, self._shown(key, group))
                used |= left
        reading.leave_out_all("neither best nor worst", set(numbers) - used, self._shown(key, group))
        return records

    def _paired(self, number: int, row: Mapping[str, Any], numbers: list[int]) -> Record | None:
        plan = self._plan
        half = half_of(row, plan)
        key: Key = (*prompt_and_messages(half.turns), *given(plan, row))
        own = source_of(own_value(plan, row, "source"))
        for value in (*key, half.text, half.messages, own):
            check_text(value or "")
        if not half.text.strip():
            raise Unusable("blank side")
        beside = kind_in(plan, number, row), tags_of(own_value(plan, row, "tags"))
        mine = _Waiting(
            number, half.text, half.messages, own, half.worth, *beside, None if self._both is None else row
        )
        queues = self._waiting[key]
        if not self._labelled:
            queues[0].append(mine)
            return None
        desirable = bool(half.worth)
        if not queues[desirable]:
            queues[not desirable].append(mine)
            return None
        other = queues[desirable].popleft()
        if not any(queues):
            del self._waiting[key]
        numbers.append(other.number)
        return self._record(key, *((mine, other) if desirable else (other, mine)))

    def _record(self, key: Key, chosen: _Waiting, rejected: _Waiting) -> Record:
        earlier, later = sorted((chosen, rejected), key=lambda one: one.number)
        prompt, messages, *options = key
        texts = (chosen.text, rejected.text)
        beside = (later.kind, chosen.source, rejected.source, *(None,) * (len(BESIDE) - 4), later.tags)
        turns = (chosen.messages, rejected.messages)
        record = checked((later.number, prompt, messages, *texts, *beside, *turns, *options, earlier.number))
        if self._both is not None and chosen.row is not None and rejected.row is not None:
            self._both.append(TwoRows(chosen.row, rejected.row, chosen.number, rejected.number))
        return record

    def _shown(self, key: Key, group: list[_Waiting]) -> dict[str, Any]:
        part = "label" if self._labelled else "score"
        return {"prompt": key[0], "completion": group[0].text, part: group[0].worth}
