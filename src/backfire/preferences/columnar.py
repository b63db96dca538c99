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
    says_something,
    transcripts_turns,
    truth,
    written,
)
from backfire.preferences.choices import RULES, choice_of
from backfire.preferences.plan import Plan
from backfire.preferences.provenance import decoding_of, source_of, stop_of, tags_of
from backfire.preferences.schema import SCHEMA, SIDES, Format, Unusable
from backfire.preferences.turns import KEYS, SPELLINGS
from backfire.preferences.two_sides import TIES

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
    "fraction": pa.float64(),
    "role/content message": _MESSAGE,
    "from/value message": _FROM_VALUE,
    "list of role/content messages": pa.list_(_MESSAGE),
    "list of from/value messages": pa.list_(_FROM_VALUE),
}


class _Doubtful(Exception):
    """The table's types are not those that this path reads."""


_NUMBERS = ("chosen_score", "rejected_score")
_UNREAD = ("tools", "template_options")
"""Parts whose rows are read one by one where they hold anything."""


@dataclass(frozen=True)
class _Sides:
    prompt: pa.Array
    messages: pa.Array | None
    chosen: pa.Array
    rejected: pa.Array
    sound: np.ndarray
    swapped: np.ndarray | None = None


def wanted(plan: Plan) -> pa.Schema | None:
    """The columns that a table for this plan needs and the types to expect; None where only `rowwise` can read.

    Its metadata names the keys of messages that no column holds: lines with these are for `rowwise`. It also names columns
    that lines of JSON may have although the first ones lack them (`late`).
    """
    if plan.format not in _READERS or plan.exact or (plan.rule and plan.rule not in RULES):
        return None
    fields = {name: _TYPES.get(plan.shapes.get(name, "nothing")) for name in plan.names.values()}
    fields |= {plan.names[part]: pa.float64() for part in _NUMBERS if part in plan.names}
    if None in fields.values():
        return None
    fields |= dict.fromkeys(plan.empty, TEXT)
    messages = any(type_ is not None and pa.types.is_nested(type_) for type_ in fields.values())
    metadata = {"keys": ",".join(KEYS)} if messages else {}
    return pa.schema(list(fields.items()), metadata=metadata | {"late": ",".join(plan.watched)})


def read_table(plan: Plan, numbers: np.ndarray, table: pa.Table) -> tuple[pa.RecordBatch, np.ndarray]:
    """Rows of SCHEMA for the rows vouched for, in order, and which rows those are (bool, one a row of the table)."""
    nothing = (pa.RecordBatch.from_pylist([], schema=SCHEMA), np.zeros(len(table), dtype=bool))
    if not len(table) or table.nbytes > LARGEST:
        return nothing
    try:
        sides = _READERS[plan.format](table, plan)
        beside = _provenance(table, plan, sides.swapped)
        sound = sides.sound & truth(pc.is_valid(sides.prompt)) & _without_more(table, plan)
    except _Doubtful:
        return nothing
    chosen, rejected = (pc.utf8_trim(side, characters=BLANKS) for side in (sides.chosen, sides.rejected))
    for side in (chosen, rejected):
        sound &= truth(pc.greater(pc.binary_length(side), 0))
    sound &= truth(pc.not_equal(chosen, rejected))
    messages = pa.nulls(len(table), TEXT) if sides.messages is None else sides.messages
    texts = [sides.prompt, messages, sides.chosen, sides.rejected]
    arrays = [pa.array(numbers, pa.int64()), *texts, *beside]
    batch = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
    return (batch if sound.all() else batch.filter(pa.array(sound))), sound


def _without_more(table: pa.Table, plan: Plan) -> np.ndarray:
    """The rows in which nothing else says anything of a pair: no column that is watched, no tools, no tie."""
    names = plan.names
    sound = np.ones(len(table), dtype=bool)
    for name in (*plan.watched, *plan.empty):
        if name in table.column_names:
            sound &= truth(pc.is_null(_column(table, name).combine_chunks()))
    for part in _UNREAD:
        if part in names:
            sound &= truth(pc.is_null(_column(table, names[part]).combine_chunks()))
    if "status" in names:
        encoded = _text(table, names, "status").dictionary_encode()
        tied = [word.strip().lower() in TIES for word in encoded.dictionary.to_pylist()]
        sound &= ~truth(pa.array(tied, pa.bool_()).take(encoded.indices))
    if "chosen_score" in names:
        one, two = (_score(table, names, part) for part in _NUMBERS)
        sound &= ~truth(pc.equal(one, two))
    return sound


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


def _provenance(table: pa.Table, plan: Plan, swapped: np.ndarray | None) -> list[pa.Array]:
    names = plan.names

    def kind_of(value: Any) -> str | None:
        known, kind = (True, None) if plan.kind is None else plan.kind.read(value)
        if not known:
            raise _Doubtful
        return kind

    def texts_of(part: str, spell: Callable[[Any], str | None], type_: pa.DataType) -> pa.Array:
        if part not in names:
            return pa.nulls(len(table), type_)
        column = _column(table, names[part]).combine_chunks()
        if not (part == "kind" and (pa.types.is_boolean(column.type) or pa.types.is_integer(column.type))):
            column = _text(table, names, part)
        return _spelled(column, spell, type_)

    short = pa.string()
    sources = [texts_of(f"{side}_source", source_of, short) for side in SIDES]
    if swapped is not None and "first_source" in names:
        pair = [texts_of(part, source_of, short) for part in ("first_source", "second_source")]
        sources = _swap(pair[0], pair[1], swapped)
    return [
        texts_of("kind", kind_of, short),
        *sources,
        *(texts_of(f"{side}_stop", stop_of, short) for side in SIDES),
        *(texts_of(f"{side}_decoding", decoding_of, short) for side in SIDES),
        *(_score(table, names, part) for part in _NUMBERS),
        *(pa.nulls(len(table), pa.float64()) for _ in range(3)),
        texts_of("tags", tags_of, pa.large_string()),
        *(pa.nulls(len(table), TEXT) for _ in range(4)),
        pa.nulls(len(table), pa.int64()),
    ]


def _score(table: pa.Table, names: Mapping[str, str], part: str) -> pa.Array:
    """The numbers of a column of scores, null where they are not finite."""
    if part not in names:
        return pa.nulls(len(table), pa.float64())
    column = _column(table, names[part]).combine_chunks()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        plain = pc.match_substring_regex(column, r"\A-?[0-9]{1,15}(?:\.[0-9]{1,15})?\z")
        if not pc.all(plain, min_count=0).as_py():
            raise _Doubtful
    elif not any(of(column.type) for of in (pa.types.is_floating, pa.types.is_integer, pa.types.is_null)):
        raise _Doubtful
    numbers = column.cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


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


def _plain(table: pa.Table, plan: Plan) -> _Sides:
    prompt, messages, sound = _text_prompt(table, plan.names)
    chosen, rejected = (_text(table, plan.names, side) for side in SIDES)
    return _Sides(prompt, messages, chosen, rejected, sound)


def _conversational(table: pa.Table, plan: Plan) -> _Sides:
    prompt = _turns(table, plan.names["prompt"])
    return _after(prompt, _no_system(table, plan), *(_turns(table, plan.names[side]) for side in SIDES))


def _no_system(table: pa.Table, plan: Plan) -> np.ndarray:
    """The rows without a system turn in a column of its own."""
    if "system" not in plan.names:
        return np.ones(len(table), dtype=bool)
    return ~says_something(_text(table, plan.names, "system"))


def _after(prompt: Turns, sound: np.ndarray, chosen: Turns, rejected: Turns) -> _Sides:
    sound = (
        sound & prompt.sound & chosen.sound & rejected.sound & (chosen.lengths == 1) & (rejected.lengths == 1)
    )
    (good, one), (bad, two) = (_completions(side, side.last) for side in (chosen, rejected))
    sound &= one & two & prompt.asks() & ~_completions(prompt, prompt.last)[1]
    text, messages, right = written(prompt, sound)
    return _Sides(text, messages, good, bad, right)


def _transcripts(table: pa.Table, plan: Plan) -> _Sides:
    texts = [_text(table, plan.names, side) for side in SIDES]
    (before, chosen, one), (other, rejected, two) = map(_last_said, texts)
    turns = transcripts_turns(before)
    sound = one & two & truth(pc.equal(before, other)) & turns.asks() & _no_system(table, plan)
    text, messages, right = written(turns, sound)
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


def _conversational_implicit(table: pa.Table, plan: Plan) -> _Sides:
    chosen, rejected = (_turns(table, plan.names[side]) for side in SIDES)
    (good, one), (bad, two) = (_completions(side, side.last) for side in (chosen, rejected))
    prompt = chosen.but_last()
    sound = (
        one & two & (chosen.lengths > 1) & same_turns(prompt, rejected.but_last()) & _no_system(table, plan)
    )
    if "prompt" in plan.names and (stated := as_turns(_column(table, plan.names["prompt"]))) is not None:
        sound &= same_turns(stated, prompt)
    elif "prompt" in plan.names:
        sound &= truth(pc.is_valid(_text(table, plan.names, "prompt")))
    sound &= prompt.asks() & _has_user(prompt)
    text, messages, right = written(prompt, sound)
    return _Sides(text, messages, good, bad, right)


def _has_user(turns: Turns) -> np.ndarray:
    """Whether each row's turns have one of the user's."""
    users = np.concatenate([[0], np.cumsum(truth(pc.equal(turns.roles, "user")))])
    with_user: np.ndarray = users[turns.starts + turns.lengths] > users[turns.starts]
    return with_user


def _single_turns(table: pa.Table, plan: Plan) -> _Sides:
    prompt = _turns(table, plan.names["prompt"])
    sides = (_turns(table, plan.names[side], as_single_turns) for side in SIDES)
    return _after(prompt, _no_system(table, plan), *sides)


def _text_prompt(table: pa.Table, names: Mapping[str, str]) -> tuple[pa.Array, pa.Array | None, np.ndarray]:
    """The columns `prompt` and `messages`, and which rows they are right for: a prompt's text, what stands below it in
    another column, and a system turn before."""
    prompt = _text(table, names, "prompt")
    if "input" in names:
        further = pc.fill_null(_text(table, names, "input"), "")
        both = pc.and_(pc.not_equal(further, ""), pc.not_equal(prompt, ""))
        between = pc.if_else(both, pa.scalar("\n", TEXT), pa.scalar("", TEXT))
        prompt = pc.binary_join_element_wise(prompt, between, further, pa.scalar("", TEXT))
    sound = says_something(prompt)
    if "history" in names:
        history = _column(table, names["history"]).combine_chunks()
        none = pc.is_null(history)
        if (earlier := as_text(history)) is not None:
            none = pc.equal(pc.fill_null(earlier, ""), "")
        sound &= truth(none)
    system = _text(table, names, "system")
    there = says_something(system)
    if not there.any():
        return prompt, None, sound
    count = len(table)
    order = np.arange(2 * count).reshape(2, count).T.ravel()
    keep = np.column_stack([there, np.ones(count, dtype=bool)]).ravel()
    roles = pa.array(["system"] * count + ["user"] * count, TEXT)
    index = pa.array(order[keep])
    lengths = 1 + there.astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    contents = pa.concat_arrays([system, prompt]).take(index)
    turns = Turns(starts, lengths, roles.take(index), contents, truth(pc.is_valid(prompt)))
    return written(turns, sound)


def _numbered(table: pa.Table, plan: Plan) -> _Sides:
    prompt, messages, sound = _text_prompt(table, plan.names)
    first, second = (_text(table, plan.names, part) for part in ("first", "second"))
    encoded = _column(table, plan.names["preference"]).combine_chunks().dictionary_encode()
    choices = [_choice(value, plan) for value in encoded.dictionary.to_pylist()]
    index = encoded.indices
    known = truth(pa.array([choice is not None for choice in choices], pa.bool_()).take(index))
    swapped = truth(pa.array([bool(choice) for choice in choices], pa.bool_()).take(index))
    chosen, rejected = _swap(first, second, swapped)
    return _Sides(prompt, messages, chosen, rejected, sound & known, swapped)


def _choice(value: Any, plan: Plan) -> bool | None:
    try:
        return choice_of(value, plan.rule, plan.names)
    except Unusable:
        return None


_READERS: dict[Format, Callable[[pa.Table, Plan], _Sides]] = {
    "TRL standard, explicit prompt": _plain,
    "TRL conversational, explicit prompt": _conversational,
    "TRL conversational, implicit prompt": _conversational_implicit,
    "Anthropic HH transcripts": _transcripts,
    "prompt beside whole conversations": _conversational_implicit,
    "system turn beside plain text": _plain,
    "instruction, input and history": _plain,
    "conversations and single turns": _single_turns,
    "two responses and the preferred one": _numbered,
}
