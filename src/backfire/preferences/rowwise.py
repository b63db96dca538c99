"""The exact path: rows one at a time, any value in them, every defect named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from backfire.preferences.cells import cell, number_of, side_of_value
from backfire.preferences.choices import Votes
from backfire.preferences.exports import (
    openai_tools,
    read_argilla,
    read_label_studio,
    read_openai,
    read_swift,
)
from backfire.preferences.many_responses import read_ranked
from backfire.preferences.message_text import value_in
from backfire.preferences.plan import Plan
from backfire.preferences.provenance import decoding_of, source_of, stop_of, tags_of
from backfire.preferences.reading_notes import ReadingNotes
from backfire.preferences.schema import BESIDE, SCHEMA, Format, Unusable, as_json
from backfire.preferences.splitting import Sides, split
from backfire.preferences.turns import prompt_and_messages
from backfire.preferences.two_responses import read_choice
from backfire.preferences.two_sides import read_prompt, read_sides
from backfire.preferences.votes import votes_in
from backfire.tables.chunk import UNREAD

Row = Mapping[str, Any]
Record = tuple[Any, ...]
"""One row of a block, in the order of SCHEMA."""
_MARKS = {
    "<image>": "images",
    "<|image|>": "images",
    "<|vision_start|>": "images",
    "<video>": "videos",
    "<audio>": "audio",
}


class Pair(NamedTuple):
    """What a form's reader gives of a row."""

    sides: Sides
    sources: tuple[Any, Any] | None = None
    """Who wrote chosen and rejected, where the form says so itself."""
    swapped: bool = False
    """Whether the second of two responses is the chosen one."""
    votes: Votes | None = None
    """Several people's, for chosen and rejected, where the form counts them itself."""


def batch_of(records: list[Record]) -> pa.RecordBatch:
    """Records as a batch of SCHEMA."""
    columns = zip(*records, strict=True) if records else ((),) * len(SCHEMA)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def read_rows(plan: Plan, rows: Iterable[tuple[int, Any]], reading: ReadingNotes) -> list[Record]:
    """The records of numbered rows; what is left out is noted in `reading`."""
    records: list[Record] = []
    read = _READERS[plan.format]
    sides = [plan.names[part] for part in ("chosen", "rejected", "first", "second") if part in plan.names]
    for number, row in rows:
        try:
            pairs = read(mapping_of(row, plan), plan)
            made = _records(plan, number, row, pairs)
        except Unusable as why:
            reading.leave_out(why.kind, number, row, plan)
            continue
        if isinstance(made, Unusable):
            reading.leave_out(made.kind, number, row, plan)
            continue
        records += made
        if len(made) < len(pairs):
            reading.remark("pairs of a list left out", number)
        if plan.media or plan.marks or any(turn.media for pair in pairs for turn in pair.sides.turns):
            for what in _media(plan, row, pairs):
                reading.remark(what, number)
        if any(type(row.get(name)) in (int, float) for name in sides):
            reading.remark("numbers read as text", number)
    return records


def mapping_of(row: Any, plan: Plan) -> Row:
    """A row that could be decoded, is a mapping, and has no part of the prompt in a column that the plan does not know.

    Raises:
        Unusable: undecodable, wrong type, late column.
    """
    if row is UNREAD:
        raise Unusable("undecodable")
    if not isinstance(row, Mapping):
        raise Unusable("wrong type")
    if any(row.get(name) for name in plan.late):
        raise Unusable("late column")
    return row


def _records(plan: Plan, number: int, row: Row, pairs: list[Pair]) -> list[Record] | Unusable:
    """The records of a row's pairs; the reason of the last where there is none."""
    records: list[Record] = []
    reason = Unusable("missing side")
    for pair in pairs:
        try:
            records.append(record_of(plan, number, row, pair))
        except Unusable as why:
            reason = why
    return records or reason


def record_of(plan: Plan, number: int, row: Row, pair: Pair) -> Record:
    """One pair as a row of a block, with what its row says beside it.

    Raises:
        Unusable: undecodable, blank side, identical sides.
    """
    turns, chosen, rejected, *messages = pair.sides
    text, spoken = prompt_and_messages(turns)
    says_more = plan.provenance or pair.sources is not None or pair.votes is not None
    beside = _beside(plan, number, row, pair) if says_more else (None,) * len(BESIDE)
    return checked((number, text, spoken, chosen, rejected, *beside, *messages, *given(plan, row), None))


def _beside(plan: Plan, number: int, row: Row, pair: Pair) -> Record:
    sources = pair.sources or tuple(own_value(plan, row, f"{side}_source") for side in ("chosen", "rejected"))
    return (
        kind_in(plan, number, row),
        *map(source_of, sources),
        *(stop_of(own_value(plan, row, f"{side}_stop")) for side in ("chosen", "rejected")),
        *(decoding_of(own_value(plan, row, f"{side}_decoding")) for side in ("chosen", "rejected")),
        *(number_of(own_value(plan, row, f"{side}_score")) for side in ("chosen", "rejected")),
        *(_votes(plan, row, pair) or (None,) * 3),
        tags_of(own_value(plan, row, "tags")),
    )


def _votes(plan: Plan, row: Row, pair: Pair) -> Votes | None:
    return votes_in(row, plan, swapped=pair.swapped) if pair.votes is None and plan.vote_rule else pair.votes


def kind_in(plan: Plan, number: int, row: Row) -> str | None:
    """What kind of prompt a row says it has.

    Raises:
        InputError: another word than the known ones, with row and value.
    """
    return None if plan.kind is None else plan.kind.kind(row.get(plan.kind.name), number)


def own_value(plan: Plan, row: Row, part: str) -> Any:
    """What a row's column for a part holds, as it is."""
    return row.get(plan.names[part]) if part in plan.names else None


def given(plan: Plan, row: Row) -> tuple[str | None, str | None]:
    """The columns `tools` and `template_options`.

    Raises:
        Unusable: wrong type, for tools that are no list, or options that are no object.
    """
    tools = openai_tools(row, plan) if plan.format == "OpenAI preferences" else None
    return (
        _json(tools or own_value(plan, row, "tools"), list),
        _json(own_value(plan, row, "template_options"), Mapping),
    )


def _json(value: Any, wanted: type) -> str | None:
    if isinstance(value, str) and value.strip():
        value = value_in(value)
        value = [value] if wanted is list and isinstance(value, Mapping) else value
    if not value and not isinstance(value, (int, float)):
        return None
    if not isinstance(value, wanted):
        raise Unusable("wrong type")
    try:
        return as_json(value)
    except (TypeError, ValueError, RecursionError):
        raise Unusable("wrong type") from None


def checked(record: Record) -> Record:
    """A record whose texts can be encoded, and whose sides say something each, and not the same.

    Raises:
        Unusable: undecodable, blank side, identical sides.
    """
    for value in record[1:]:
        if isinstance(value, str) and not value.isascii():
            check_text(value)
    chosen, rejected = record[3].strip(), record[4].strip()
    if not chosen or not rejected:
        raise Unusable("blank side")
    if chosen == rejected and record[-5:-3] in ((None, None), (record[-4],) * 2):
        raise Unusable("identical sides")
    return record


def check_text(text: str) -> None:
    """Raise Unusable (undecodable) for text with half a character."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unusable("undecodable") from None


def _media(plan: Plan, row: Row, pairs: list[Pair]) -> list[str]:
    media = [what for pair in pairs for turn in pair.sides.turns for what in turn.media]
    for name in plan.media:
        if row.get(name):
            media.append(_kind_of_media(name))
    if plan.marks:
        texts = [
            text for pair in pairs for text in (*(t.content for t in pair.sides.turns), *pair.sides[1:3])
        ]
        media += [what for mark, what in _MARKS.items() if any(mark in text for text in texts)]
    return list(dict.fromkeys(media))


def _kind_of_media(column: str) -> str:
    word = column.strip().lower().rstrip("s")
    return "audio" if word == "audio" else f"{word}s"


def _outputs(row: Row, plan: Plan) -> list[Pair]:
    output = cell(row, plan, "output")
    if output is None or (isinstance(output, list) and len(output) < 2):
        raise Unusable("missing side")
    if not isinstance(output, list) or len(output) > 2:
        raise Unusable("wrong type")
    prompt_cell = cell(row, plan, "prompt")
    prompt = read_prompt(row, plan, prompt_cell)
    return [Pair(split(prompt, *map(side_of_value, output), loose=isinstance(prompt_cell, str)))]


def _choice(row: Row, plan: Plan) -> list[Pair]:
    sides, swapped, votes = read_choice(row, plan)
    if "first_source" not in plan.names:
        return [Pair(sides, None, swapped, votes)]
    first, second = own_value(plan, row, "first_source"), own_value(plan, row, "second_source")
    return [Pair(sides, (second, first) if swapped else (first, second), swapped, votes)]


def _ranked(row: Row, plan: Plan) -> list[Pair]:
    return [Pair(*pair) for pair in read_ranked(row, plan)]


def _one(read: Callable[[Row, Plan], Sides]) -> Callable[[Row, Plan], list[Pair]]:
    return lambda row, plan: [Pair(read(row, plan))]


def _voted(read: Callable[[Row, Plan], tuple[Sides, Votes]]) -> Callable[[Row, Plan], list[Pair]]:
    def pairs(row: Row, plan: Plan) -> list[Pair]:
        sides, votes = read(row, plan)
        return [Pair(sides, votes=votes)]

    return pairs


_SIDES = _one(read_sides)
_READERS: dict[Format, Callable[[Row, Plan], list[Pair]]] = {
    "TRL standard, explicit prompt": _SIDES,
    "TRL standard, implicit prompt": _SIDES,
    "TRL conversational, explicit prompt": _SIDES,
    "TRL conversational, implicit prompt": _SIDES,
    "prompt beside whole conversations": _SIDES,
    "Anthropic HH transcripts": _SIDES,
    "chats rendered as text": _SIDES,
    "system turn beside plain text": _SIDES,
    "instruction, input and history": _SIDES,
    "conversations and single turns": _SIDES,
    "instruction and a list of two outputs": _outputs,
    "OpenAI preferences": _one(read_openai),
    "messages and a rejected response": _one(read_swift),
    "two responses and the preferred one": _choice,
    "ranked responses, best against worst": _ranked,
    "ranked responses, best against each other": _ranked,
    "Label Studio export": _voted(read_label_studio),
    "Argilla records": _voted(read_argilla),
}


def same_reader(one: Format, other: Format) -> bool:
    """Whether rows of two forms are read by the same function, which a plan tells what there is."""
    return one == other or (one in _READERS and _READERS.get(one) is _READERS.get(other))
