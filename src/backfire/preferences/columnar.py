"""The fast path: whole columns at once, for the rows that are plainly sound. It never judges a defect.

`read_table` says of each row whether it vouches for it; for those it gives what `rowwise` would give, and the others go there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backfire.preferences.arrow_turns import (
    BLANKS,
    TEXT,
    Turns,
    as_single_turns,
    as_text,
    as_turns,
    same_turns,
    transcripts_turns,
    truth,
    written,
)
from backfire.preferences.plan import Plan
from backfire.preferences.provenance import decoding_of, kind_of, name_of, tags_of
from backfire.preferences.schema import SCHEMA, SIDES, Format
from backfire.preferences.turns import SPELLINGS

LARGEST = 1 << 30
"""Bytes of text in a table beyond which 32-bit offsets might not do, so that its rows are read one by one."""

_MESSAGE, _FROM_VALUE = (
    pa.struct([(key, TEXT) for key in keys]) for keys in (SPELLINGS[0], (*SPELLINGS[1], SPELLINGS[0][0]))
)
_TYPES = {
    "text": TEXT,
    "nothing": TEXT,
    "true/false": pa.bool_(),
    "number": pa.int64(),
    "role/content message": _MESSAGE,
    "from/value message": _FROM_VALUE,
    "list of role/content messages": pa.list_(_MESSAGE),
    "list of from/value messages": pa.list_(_FROM_VALUE),
}


class _Doubtful(Exception):
    """The table's types are not those that this path reads."""


@dataclass(frozen=True)
class _Sides:
    prompt: pa.Array
    messages: pa.Array | None
    chosen: pa.Array
    rejected: pa.Array
    sound: np.ndarray
    swapped: np.ndarray | None = None


def wanted(plan: Plan) -> pa.Schema | None:
    """The columns that a table for this plan needs and the types to expect; None where only `rowwise` can read."""
    fields = {name: _TYPES.get(plan.shapes.get(name, "nothing")) for name in plan.names.values()}
    if plan.format not in _READERS or None in fields.values():
        return None
    return pa.schema(list(fields.items()))


def read_table(plan: Plan, numbers: np.ndarray, table: pa.Table) -> tuple[pa.RecordBatch, np.ndarray]:
    """Rows of SCHEMA for the rows vouched for, in order, and which rows those are (bool, one a row of the table)."""
    nothing = (pa.RecordBatch.from_pylist([], schema=SCHEMA), np.zeros(len(table), dtype=bool))
    if not len(table) or table.nbytes > LARGEST:
        return nothing
    try:
        sides = _READERS[plan.format](table, plan.names)
        beside = _provenance(table, plan.names, sides.swapped)
    except _Doubtful:
        return nothing
    sound = sides.sound & truth(pc.is_valid(sides.prompt))
    chosen, rejected = (pc.utf8_trim(side, characters=BLANKS) for side in (sides.chosen, sides.rejected))
    for side in (chosen, rejected):
        sound &= truth(pc.greater(pc.binary_length(side), 0))
    sound &= truth(pc.not_equal(chosen, rejected))
    messages = pa.nulls(len(table), TEXT) if sides.messages is None else sides.messages
    texts = [sides.prompt, messages, sides.chosen, sides.rejected]
    arrays = [pa.array(numbers, pa.int64()), *texts, *beside]
    batch = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
    return (batch if sound.all() else batch.filter(pa.array(sound))), sound


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name in table.column_names:
        return table.column(name)
    return pa.chunked_array([pa.nulls(len(table))])


def _text(table: pa.Table, names: Mapping[str, str], part: str) -> pa.Array:
    if part not in names:
        return pa.nulls(len(table), TEXT)
    array = as_text(_column(table, names[part]))
    if array is None:
        raise _Doubtful
    return array


def _turns(table: pa.Table, name: str, read: Callable[[Any], Turns | None] = as_turns) -> Turns:
    turns = read(_column(table, name))
    if turns is None:
        raise _Doubtful
    return turns


def _provenance(table: pa.Table, names: Mapping[str, str], swapped: np.ndarray | None) -> list[pa.Array]:
    def said(part: str, spell: Callable[[Any], str | None], type_: pa.DataType) -> pa.Array:
        if part not in names:
            return pa.nulls(len(table), type_)
        column = _column(table, names[part]).combine_chunks()
        if not (part == "kind" and pa.types.is_boolean(column.type)):
            column = _text(table, names, part)
        return _spelled(column, spell, type_)

    short = pa.string()
    sources = [said(f"{side}_source", name_of, short) for side in SIDES]
    if swapped is not None and "first_source" in names:
        pair = [said(part, name_of, short) for part in ("first_source", "second_source")]
        sources = _swap(pair[0], pair[1], swapped)
    return [
        said("kind", kind_of, short),
        *sources,
        *(said(f"{side}_stop", name_of, short) for side in SIDES),
        *(said(f"{side}_decoding", decoding_of, short) for side in SIDES),
        said("tags", tags_of, pa.large_string()),
        *(pa.nulls(len(table), TEXT) for _ in range(4)),
    ]


def _spelled(column: pa.Array, spell: Callable[[Any], str | None], type_: pa.DataType) -> pa.Array:
    """Each value spelled anew, each different one once."""
    encoded = column.dictionary_encode()
    values = [spell(value) for value in encoded.dictionary.to_pylist()]
    try:
        return pa.array(values, type_).take(encoded.indices)
    except UnicodeEncodeError:
        raise _Doubtful from None


def _swap(first: pa.Array, second: pa.Array, swapped: np.ndarray) -> list[pa.Array]:
    mask = pa.array(swapped)
    return [pc.if_else(mask, second, first), pc.if_else(mask, first, second)]


def _completions(turns: Turns, where: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """The turn of each row at `where`, and whether it is the assistant's."""
    if not len(turns.contents):
        raise _Doubtful
    index = pa.array(where)
    return turns.contents.take(index), truth(pc.equal(turns.roles.take(index), "assistant"))


def _plain(table: pa.Table, names: Mapping[str, str]) -> _Sides:
    prompt, chosen, rejected = (_text(table, names, part) for part in ("prompt", "chosen", "rejected"))
    return _Sides(prompt, None, chosen, rejected, np.ones(len(table), dtype=bool))


def _conversational(table: pa.Table, names: Mapping[str, str]) -> _Sides:
    prompt = _turns(table, names["prompt"])
    return _after(prompt, *(_turns(table, names[side]) for side in SIDES))


def _after(prompt: Turns, chosen: Turns, rejected: Turns) -> _Sides:
    sound = prompt.sound & chosen.sound & rejected.sound & (chosen.lengths == 1) & (rejected.lengths == 1)
    (good, one), (bad, two) = (_completions(side, side.last) for side in (chosen, rejected))
    sound &= one & two
    text, messages, right = written(prompt, sound)
    return _Sides(text, messages, good, bad, right)


def _transcripts(table: pa.Table, names: Mapping[str, str]) -> _Sides:
    (before, chosen, one), (other, rejected, two) = (_last_said(_text(table, names, side)) for side in SIDES)
    sound = one & two & truth(pc.equal(before, other))
    text, messages, right = written(transcripts_turns(before), sound)
    return _Sides(text, messages, chosen, rejected, right)


def _last_said(transcript: pa.Array) -> tuple[pa.Array, pa.Array, np.ndarray]:
    """A transcript up to its last turn, that turn's content, and whether this is the assistant's."""
    halves = pc.split_pattern(transcript, "\n\nAssistant:", max_splits=1, reverse=True)
    two = np.asarray(pc.fill_null(pc.list_value_length(halves), 0)) == 2
    if not two.any():
        raise _Doubtful
    place = np.cumsum(np.asarray(pc.fill_null(pc.list_value_length(halves), 0)))
    flat = halves.flatten()
    before, after = (flat.take(pa.array(place - back, mask=~two)) for back in (2, 1))
    two &= ~truth(pc.match_substring(after, "\n\nHuman:"))
    return before, pc.utf8_trim(after, characters=BLANKS), two


def _conversational_implicit(table: pa.Table, names: Mapping[str, str]) -> _Sides:
    chosen, rejected = (_turns(table, names[side]) for side in SIDES)
    (good, one), (bad, two) = (_completions(side, side.last) for side in (chosen, rejected))
    prompt = chosen.but_last()
    sound = one & two & (chosen.lengths > 1) & same_turns(prompt, rejected.but_last())
    text, messages, right = written(prompt, sound)
    return _Sides(text, messages, good, bad, right)


def _single_turns(table: pa.Table, names: Mapping[str, str]) -> _Sides:
    prompt = _turns(table, names["prompt"])
    sides = _after(prompt, *(_turns(table, names[side], as_single_turns) for side in SIDES))
    if "system" not in names:
        return sides
    system = pc.utf8_trim(_text(table, names, "system"), characters=BLANKS)
    none = ~truth(pc.greater(pc.binary_length(system), 0))
    return _Sides(sides.prompt, sides.messages, sides.chosen, sides.rejected, sides.sound & none)


def _with_system(table: pa.Table, names: Mapping[str, str]) -> _Sides:
    plain = _plain(table, names)
    return _asked(table, names, plain.prompt, plain)


def _instruction(table: pa.Table, names: Mapping[str, str]) -> _Sides:
    plain = _plain(table, names)
    further = pc.fill_null(_text(table, names, "input"), "")
    both = pc.and_(pc.not_equal(further, ""), pc.not_equal(plain.prompt, ""))
    between = pc.if_else(both, pa.scalar("\n", TEXT), pa.scalar("", TEXT))
    sides = _asked(
        table, names, pc.binary_join_element_wise(plain.prompt, between, further, pa.scalar("", TEXT)), plain
    )
    if "history" not in names:
        return sides
    history = _column(table, names["history"]).combine_chunks()
    none = pc.is_null(history)
    if (said := as_text(history)) is not None:
        none = pc.equal(pc.fill_null(said, ""), "")
    return _Sides(sides.prompt, sides.messages, sides.chosen, sides.rejected, sides.sound & truth(none))


def _asked(table: pa.Table, names: Mapping[str, str], prompt: pa.Array, plain: _Sides) -> _Sides:
    """Plain sides after a system turn, where there is one, and `prompt` as the user's."""
    system = _text(table, names, "system")
    there = truth(pc.greater(pc.binary_length(pc.utf8_trim(system, characters=BLANKS)), 0))
    if not there.any():
        return _Sides(prompt, None, plain.chosen, plain.rejected, plain.sound)
    count = len(table)
    order = np.arange(2 * count).reshape(2, count).T.ravel()
    keep = np.column_stack([there, np.ones(count, dtype=bool)]).ravel()
    roles = pa.array(["system"] * count + ["user"] * count, TEXT)
    index = pa.array(order[keep])
    lengths = 1 + there.astype(np.int64)
    turns = Turns(
        np.cumsum(lengths) - lengths,
        lengths,
        roles.take(index),
        pa.concat_arrays([system, prompt]).take(index),
        truth(pc.is_valid(prompt)),
    )
    text, messages, right = written(turns, plain.sound)
    return _Sides(text, messages, plain.chosen, plain.rejected, right)


def _numbered(table: pa.Table, names: Mapping[str, str]) -> _Sides:
    prompt, first, second = (_text(table, names, part) for part in ("prompt", "first", "second"))
    preferred = _column(table, names["preference"]).combine_chunks()
    if not pa.types.is_integer(preferred.type):
        raise _Doubtful
    swapped = truth(pc.equal(preferred, 1))
    chosen, rejected = _swap(first, second, swapped)
    return _Sides(prompt, None, chosen, rejected, swapped | truth(pc.equal(preferred, 0)), swapped)


_READERS: dict[Format, Callable[[pa.Table, Mapping[str, str]], _Sides]] = {
    "TRL standard, explicit prompt": _plain,
    "TRL conversational, explicit prompt": _conversational,
    "TRL conversational, implicit prompt": _conversational_implicit,
    "Anthropic HH transcripts": _transcripts,
    "prompt beside whole conversations": _conversational_implicit,
    "system turn beside plain text": _with_system,
    "instruction, input and history": _instruction,
    "conversations and single turns": _single_turns,
    "two responses and the preferred one": _numbered,
}
