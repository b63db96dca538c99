"""Which columns of a table say what: the usual names, how a name is matched, and the one rule for `kind`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backfire.errors import InputError, setting
from backfire.records import Kind

PROMPT_COLUMNS = ("prompt", "question", "instruction", "query", "goal", "prompts_final")
"""The request. Where two of them are there, `prompt_column` asks which is meant."""
RARER_PROMPT_COLUMNS = ("behavior", "input", "messages")
"""The request where none of PROMPT_COLUMNS is there: beside one of those they say something else."""
RESPONSE_COLUMNS = ("response", "answer", "completion", "output", "generation")
SOURCE_COLUMNS = ("source", "generator", "model", "responder")
"""Who wrote a response."""
LABEL_COLUMNS = ("label", "human", "human_label")
"""What people said of a response."""
TARGET_COLUMNS = ("target",)
"""The beginning of a compliant answer, as AdvBench and JailbreakBench have it."""
KIND_COLUMNS = ("kind", "is_harmful", "harmful", "unsafe")
"""`kind`, or else the only one there of the others, which may hold 1 and 0, too."""
PAIR_COLUMNS = (
    "chosen",
    "rejected",
    "chosen_response",
    "rejected_response",
    "response_0",
    "response_1",
    "system",
    "conversations",
)
"""By which, among others, the header of a table is recognised."""
USUAL = frozenset(
    (
        *PROMPT_COLUMNS,
        *RARER_PROMPT_COLUMNS,
        *RESPONSE_COLUMNS,
        *SOURCE_COLUMNS,
        *LABEL_COLUMNS,
        *TARGET_COLUMNS,
    )
) | {*KIND_COLUMNS, *PAIR_COLUMNS}
"""All names by which something is recognised."""

HEAD = 1000
"""Cells that are not blank by which a column `kind` is found to speak of harm or of something else."""
_HARMFUL, _BENIGN = ("harmful", "unsafe", "true"), ("benign", "safe", "false")
_WORDS: dict[str, Kind] = dict.fromkeys(_HARMFUL, "harmful") | dict.fromkeys(_BENIGN, "benign")  # type: ignore[assignment]
_BLANK = (True, None)
"""What `read_kind` says of a blank cell."""
_NUMBERS: dict[str, Kind] = {"1": "harmful", "1.0": "harmful", "0": "benign", "0.0": "benign"}
_BLANKS = re.compile(r"[\s\-_]+")


def normal(name: str) -> str:
    """A column's name as it is compared: without capitals and outer blanks; inner blanks and hyphens count as _."""
    return _BLANKS.sub("_", name.strip().casefold())


def by_name(columns: Iterable[str]) -> dict[str, str]:
    """The columns of a table by the names that they match: of " Prompt " that is "prompt".

    Of columns whose names match alike, one that is spelled exactly so is meant, else the first.
    """
    by_spelling: dict[str, str] = {}
    for column in columns:
        name = normal(column)
        if name not in by_spelling or column == name:
            by_spelling[name] = column
    return by_spelling


def find(columns: Iterable[str], names: Iterable[str]) -> list[str]:
    """The columns that are called one of `names`, in the order of `names`."""
    there = by_name(columns)
    return list(dict.fromkeys(there[normal(name)] for name in names if normal(name) in there))


def named(columns: Sequence[str], name: str, origin: str, option: str = "") -> str:
    """The column that a user means by `name`.

    Raises:
        InputError: there is none; it shows the columns.
    """
    if name in columns:
        return name
    matches = find(columns, (name,))
    if not matches:
        by = f" ({setting(option)})" if option else ""
        raise InputError(f"{origin} has no column {name!r}{by}; its columns are {listed(columns)}")
    return matches[0]


def prompt_column(
    columns: Sequence[str], given: str | None, origin: str, option: str = "prompt_column"
) -> str:
    """The column of the request: the one that is named, else the one with a usual name.

    Raises:
        InputError: it is not there, or several or none have a usual name.
    """
    return one_column(columns, "prompt", PROMPT_COLUMNS, given, origin, option, RARER_PROMPT_COLUMNS)


def one_column(
    columns: Sequence[str],
    role: str,
    usual: Sequence[str],
    given: str | None,
    origin: str,
    option: str,
    rarer: Sequence[str] = (),
) -> str:
    """The one column for a role: the one that is named, else the one of a usual name, else of a rarer one.

    Raises:
        InputError: it is not there, or several or none have such a name; it names the option that says which.
    """
    if given is not None:
        return named(columns, given, origin, option)
    matches = find(columns, usual) or find(columns, rarer)[:1]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(
            f"several columns of {origin} could be the {role} ({listed(matches)}): name the one that is meant by {setting(option)}"
        )
    raise InputError(
        f"{origin} has no column for the {role}: name it by {setting(option)}, or rename it to {usual[0]!r}; "
        f"its columns are {listed(columns)}"
    )


def listed(columns: Iterable[str]) -> str:
    """Columns for an error message; blanks around a name and empty names are shown by quotes."""
    names = [name if name and name == name.strip() else repr(name) for name in columns]
    return ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "") or "none"


@dataclass(frozen=True)
class KindColumn:
    """The column that says which prompts are harmful and which benign."""

    name: str
    origin: str
    numbers: bool = False
    """Whether 1 and 0 are answers, too."""

    def kind(self, value: Any, row: int) -> Kind | None:
        """What a cell says; None where it is blank.

        Raises:
            InputError: it is no word for either; it names row and value.
        """
        known, kind = self.read(value)
        if known:
            return kind
        raise InputError(
            f"row {row} of {self.origin}: column {self.name!r} holds {value!r:.60}, which is neither harmful nor benign: write "
            f"{', '.join(_HARMFUL)} or {', '.join(_BENIGN)}, leave it blank where it is not known, or rename the "
            "column if it speaks of something else"
        )

    def read(self, value: Any) -> tuple[bool, Kind | None]:
        """Whether a cell is one of the known words or blank, and what it says."""
        return read_kind(value, numbers=self.numbers)


def read_kind(value: Any, *, numbers: bool = False) -> tuple[bool, Kind | None]:
    """Whether a value is blank or one of the words for harmful and benign, in capitals or not, and what it says."""
    if value is None or (isinstance(value, float) and value != value):
        return True, None
    if isinstance(value, bool):
        return True, "harmful" if value else "benign"
    if isinstance(value, (int, float)) and numbers:
        value = str(value)
    if not isinstance(value, str):
        return False, None
    word = value.strip().casefold()
    if not word:
        return True, None
    kind = _WORDS.get(word) or (_NUMBERS.get(word) if numbers else None)
    return kind is not None, kind


@dataclass(frozen=True)
class FoundKind:
    """Which column says the kind, and which is only called so."""

    column: KindColumn | None
    ignored: str | None = None
    """A column by such a name, none of whose first values is a word for harmful or benign: it speaks of something else."""

    def kind(self, row: Mapping[str, Any], number: int) -> Kind | None:
        """What a row says; None where there is no such column.

        Raises:
            InputError: what `KindColumn.kind` raises.
        """
        return None if self.column is None else self.column.kind(row.get(self.column.name), number)


def kind_column(
    columns: Sequence[str],
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    origin: str,
    given: str | None = None,
    *,
    flags: bool = True,
) -> FoundKind:
    """Find the column that says the kind, by its name and by its first HEAD values in `rows`, which are numbered.

    The words are harmful, unsafe and true, benign, safe and false, in capitals or not, and booleans; blank cells say
    nothing. `flags` False looks for `kind` alone, where a column `unsafe` would speak of the response. A column that
    is called `kind` and holds none of them speaks of something else and is `ignored`.

    Raises:
        InputError: the column asked for is not there, or holds another value than these words; or a column by a usual
            name mixes them with others. The message names row, value and what to do.
    """
    name, numbers = _called(columns, origin, given, flags)
    if name is None:
        return FoundKind(None)
    column = KindColumn(name, origin, numbers)
    read = ((number, row.get(name), *column.read(row.get(name))) for number, row in rows)
    values = list(itertools.islice((one for one in read if one[2:] != _BLANK), HEAD))
    speaks = any(kind is not None for _, _, _, kind in values)
    wrong = next(((number, value) for number, value, known, _ in values if not known), None)
    if wrong is None:
        return FoundKind(column)
    if not speaks and given is None:
        return FoundKind(None, ignored=name)
    column.kind(wrong[1], wrong[0])
    raise AssertionError("an unknown word was read")


def _called(
    columns: Sequence[str], origin: str, given: str | None, also_flags: bool
) -> tuple[str | None, bool]:
    if given is not None:
        return named(columns, given, origin), True
    if matches := find(columns, KIND_COLUMNS[:1]):
        return matches[0], False
    flags = find(columns, KIND_COLUMNS[1:]) if also_flags else []
    return (flags[0], True) if len(flags) == 1 else (None, False)
