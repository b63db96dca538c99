"""Lists of messages as Arrow arrays: what `turns.py` does to one row, done to all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backfire.preferences.turns import KEYS, SPELLINGS, SPOKEN, role_of

TEXT = pa.large_string()
BLANKS = "".join(chr(c) for c in range(0x3001) if chr(c).isspace())
"""What `str.strip` takes away."""
_ESCAPES = (
    ("\\", "\\\\"),
    ('"', '\\"'),
    ("\n", "\\n"),
    ("\r", "\\r"),
    ("\t", "\\t"),
    ("\b", "\\b"),
    ("\f", "\\f"),
)
_MARK = "\x1d"
_RARE = "[\\x00-\\x07\\x0b\\x0e-\\x1f]"
"""Control characters whose JSON escape is a number."""


@dataclass(frozen=True)
class Turns:
    """n lists of turns: row i has the turns `starts[i] : starts[i] + lengths[i]` of `roles` and `contents`."""

    starts: np.ndarray
    lengths: np.ndarray
    roles: pa.Array
    contents: pa.Array
    sound: np.ndarray
    """Whether the row is a list of at least one turn, each with a role and a content in text."""

    @property
    def last(self) -> np.ndarray:
        """Where each row's last turn stands; 0 for an empty list."""
        return np.where(self.lengths > 0, self.starts + self.lengths - 1, 0)

    def asks(self) -> np.ndarray:
        """Whether each row's last turn says something."""
        if not len(self.contents):
            return np.zeros(len(self.lengths), dtype=bool)
        return says_something(self.contents.take(pa.array(self.last)))

    def but_last(self) -> Turns:
        return Turns(self.starts, np.maximum(self.lengths - 1, 0), self.roles, self.contents, self.sound)

    def at(self, rows: np.ndarray) -> Turns:
        """Some rows alone, their turns gathered one after the other."""
        lengths = self.lengths[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        where = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], lengths)
        picked = pa.array(where)
        return Turns(
            starts[:-1], lengths, self.roles.take(picked), self.contents.take(picked), self.sound[rows]
        )


def as_text(column: pa.ChunkedArray | pa.Array | None) -> pa.Array | None:
    """A column as large_string; None when it holds anything but valid text and nulls."""
    if column is None:
        return None
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        return None
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), TEXT)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if not any(kind(array.type) for kind in kinds):
        return None
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return array if array.type == TEXT else array.cast(TEXT)


def as_turns(column: pa.ChunkedArray | None) -> Turns | None:
    """A column of lists of messages; None when its type is not that of messages in text."""
    if column is None:
        return None
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray) or not (
        pa.types.is_list(array.type) or pa.types.is_large_list(array.type)
    ):
        return None
    lengths = np.asarray(pc.fill_null(pc.list_value_length(array), 0)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    pieces = _fields(array.flatten())
    if pieces is None:
        return None
    roles, contents, bad = pieces
    wrong = np.concatenate([[0], np.cumsum(bad)])
    sound = (lengths > 0) & (wrong[starts[1:]] == wrong[starts[:-1]])
    return Turns(starts[:-1], lengths, roles, contents, sound)


def as_single_turns(column: pa.ChunkedArray | None) -> Turns | None:
    """A column of messages, one a row."""
    array = None if column is None else column.combine_chunks()
    if array is None or isinstance(array, pa.ChunkedArray):
        return None
    pieces = _fields(array)
    if pieces is None:
        return None
    roles, contents, bad = pieces
    count = len(array)
    return Turns(np.arange(count), np.ones(count, np.int64), roles, contents, ~bad)


def transcripts_turns(texts: pa.Array) -> Turns:
    """The turns of transcripts that begin with a turn; a row is sound if it does, and has no mark of its own."""
    marked = texts
    for name in ("Human", "Assistant"):
        marked = pc.replace_substring(marked, f"\n\n{name}:", _MARK + name[0])
    pieces = pc.split_pattern(marked, _MARK)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(pieces), 0)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    flat = pieces.flatten()
    letters = pc.utf8_slice_codeunits(flat, 0, 1)
    roles = pc.if_else(pc.equal(letters, "H"), pa.scalar("user", TEXT), pa.scalar("assistant", TEXT))
    contents = pc.utf8_trim(pc.utf8_slice_codeunits(flat, 1), characters=BLANKS)
    sound = truth(pc.and_not(pc.starts_with(marked, _MARK), pc.match_substring(texts, _MARK)))
    return Turns(starts + 1, np.maximum(lengths - 1, 0), roles, contents, sound)


def _fields(array: pa.Array) -> tuple[pa.Array, pa.Array, np.ndarray] | None:
    """Roles, contents, and which messages lack one, of an array of messages in one spelling."""
    if not pa.types.is_struct(array.type):
        return None
    names = {field.name for field in array.type}
    pair = next((pair for pair in SPELLINGS if set(pair) <= names), None)
    if pair is None:
        return None
    roles, contents = (as_text(pc.struct_field(array, name)) for name in pair)
    if roles is None or contents is None:
        return None
    bad = truth(pc.is_null(contents))
    if pair != SPELLINGS[0] and SPELLINGS[0][0] in names:
        bad |= truth(pc.is_valid(pc.struct_field(array, SPELLINGS[0][0])))
    for key in names.intersection(KEYS):
        bad |= truth(pc.is_valid(pc.struct_field(array, key)))
    roles, plain = _renamed(roles)
    return roles, contents, bad | ~plain


def _renamed(roles: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The roles, and which of them are plainly spoken ones: turns of others may hold more than role and content."""
    encoded = roles.dictionary_encode()
    names = [role_of(name) for name in encoded.dictionary.to_pylist()]
    index = encoded.indices
    plain = pa.array([name in SPOKEN for name in names], pa.bool_()).take(index)
    return pa.array(names, TEXT).take(index), truth(plain)


def says_something(texts: pa.Array) -> np.ndarray:
    """Whether texts hold more than blanks; null does not. Only those that begin with an odd character are looked into."""
    spoken = truth(pc.greater(pc.binary_length(texts), 0))
    _, offsets, data = texts.buffers()
    if not spoken.any() or offsets is None or data is None:
        return spoken
    starts = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts)]
    letters = np.frombuffer(data, dtype=np.uint8)
    first = letters[np.minimum(starts, len(letters) - 1)]
    odd = spoken & ((first <= 0x20) | (first >= 0x7F))
    if odd.any():
        where = np.flatnonzero(odd)
        trimmed = pc.utf8_trim(texts.take(pa.array(where)), characters=BLANKS)
        spoken[where] = truth(pc.greater(pc.binary_length(trimmed), 0))
    return spoken


def truth(mask: pa.Array) -> np.ndarray:
    """A Boolean array as numpy's; null is False."""
    flags: np.ndarray = np.asarray(pc.fill_null(mask, False).to_numpy(zero_copy_only=False), dtype=bool)
    return flags


def same_turns(one: Turns, other: Turns) -> np.ndarray:
    """Whether row i of both has the same turns."""
    alike = one.sound & other.sound & (one.lengths == other.lengths)
    rows = np.flatnonzero(alike)
    a, b = one.at(rows), other.at(rows)
    same = truth(pc.and_(pc.equal(a.roles, b.roles), pc.equal(a.contents, b.contents)))
    wrong = np.concatenate([[0], np.cumsum(~same)])
    alike[rows] = wrong[a.starts + a.lengths] == wrong[a.starts]
    same_rows: np.ndarray = alike
    return same_rows


def written(turns: Turns, rows: np.ndarray) -> tuple[pa.Array, pa.Array, np.ndarray]:
    """The columns `prompt` and `messages`, and which rows they are right for: those of `rows` that this can spell.

    Rows outside `rows` are null.
    """
    first = np.where(turns.lengths > 0, turns.starts, 0)
    right = rows & turns.sound
    count = len(first)
    if not len(turns.contents):
        return pa.nulls(count, TEXT), pa.nulls(count, TEXT), np.zeros(count, dtype=bool)
    single = right & (turns.lengths == 1) & truth(pc.equal(turns.roles.take(pa.array(first)), "user"))
    several = np.flatnonzero(right & ~single)
    alone = turns.contents.take(pa.array(first, mask=~single))
    if not len(several):
        return alone, pa.nulls(count, TEXT), right
    some = turns.at(several)
    odd = truth(
        pc.or_(pc.match_substring_regex(some.contents, _RARE), pc.match_substring_regex(some.roles, _RARE))
    )
    wrong = np.concatenate([[0], np.cumsum(odd)])
    right[several] = wrong[some.starts + some.lengths] == wrong[some.starts]
    lines = _glued(some.roles, ": ", some.contents)
    spelled = _glued('{"role":"', _escaped(some.roles), '","content":"', _escaped(some.contents), '"}')
    texts = _joined(lines, some, "\n\n")
    messages = _glued("[", _joined(spelled, some, ","), "]")
    place = np.full(count, -1)
    place[several] = np.arange(len(several))
    where = pa.array(place, mask=place < 0)
    return pc.coalesce(texts.take(where), alone), messages.take(where), right


def _glued(*parts: pa.Array | str) -> pa.Array:
    """Texts written one after the other; a string stands in every row."""
    arrays = [pa.scalar(part, TEXT) if isinstance(part, str) else part for part in (*parts, "")]
    return pc.binary_join_element_wise(*arrays)


def _escaped(texts: pa.Array) -> pa.Array:
    for plain, escaped in _ESCAPES:
        texts = pc.replace_substring(texts, plain, escaped)
    return texts


def _joined(texts: pa.Array, turns: Turns, between: str) -> pa.Array:
    offsets = np.append(turns.starts, turns.starts[-1] + turns.lengths[-1]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), texts.cast(pa.string()))
    return pc.binary_join(lists, between).cast(TEXT)
