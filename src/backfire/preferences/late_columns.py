"""Columns that first hold something below the rows by which a form is recognised, and the plan that reads them, too.

Such a column may add to a pair, or say something of it (a system turn, who wrote a side), without changing how the other
columns are read. The rows before it lack it, so that reading goes on by a plan that has one column more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from backfire.preferences import single_responses, two_responses
from backfire.preferences.columns import (
    ALPACA,
    CONVERSATIONS,
    MEDIA,
    PROMPTS,
    SCORED_SIDES,
    SYSTEMS,
    TEMPLATE,
)
from backfire.preferences.look import Look
from backfire.preferences.plan import Plan
from backfire.preferences.provenance import DECODINGS, SOURCES, STOPS
from backfire.preferences.rowwise import same_reader
from backfire.preferences.schema import SIDES
from backfire.tables.columns import KIND_COLUMNS, normal

READ = frozenset(
    normal(name)
    for name in (
        *(*PROMPTS, *CONVERSATIONS, *SYSTEMS, *TEMPLATE, *ALPACA, *KIND_COLUMNS, *MEDIA, "tags", "status"),
        *single_responses.SOURCES,
        *(
            name
            for pair in (*SCORED_SIDES, *SOURCES, *STOPS, *DECODINGS, *two_responses.SOURCES)
            for name in pair
        ),
    )
)
"""Names of columns that may be read beside those by which a form is recognised."""
ADDED = frozenset(
    (
        *("system", "input", "history", "tools", "template_options", "kind", "tags", "status", "source"),
        *(f"{side}_{part}" for side in SIDES for part in ("source", "stop", "decoding", "score")),
        *("first_source", "second_source"),
    )
)
"""Parts that rows may lack, so that a plan with one of them more reads the rows before alike."""
_OFTEN = ("kind", "status")
"""Of READ, what is looked for in every line of JSON; the others in every row that is read by itself, and in a sample."""
_STEP = 256
"""One in so many of the rows that are read by columns is looked at for other columns."""


def watched(look: Look, late: Iterable[str]) -> tuple[str, ...]:
    """Columns that the first rows lack, and that a table should have if any row has them."""
    return tuple(dict.fromkeys(name for name in (*late, *_OFTEN) if name not in look.named))


def empty(look: Look, used: Iterable[str]) -> tuple[str, ...]:
    """Columns that are there, may be read, and are null in all first rows."""
    return tuple(
        name for name in look.columns if normal(name) in READ and name not in used and not look.values(name)
    )


def known(look: Look, used: Iterable[str]) -> frozenset[str]:
    """Columns that the plan reads, or that hold something in the first rows and are not to be read."""
    some = {name for name in look.columns if any(not _nothing(row.get(name)) for row in look.rows)}
    return frozenset((*used, *some, *(name for name in look.columns if normal(name) not in READ)))


Numbered = tuple[int, Mapping[str, Any]]
"""A row and its number."""


class New(NamedTuple):
    """Rows that hold something in columns that are not known."""

    columns: dict[str, int]
    """Such columns that may be read, with the number of the first row that holds something there."""
    rows: list[Numbered]


def new_columns(rows: Iterable[tuple[int, Any]], known: frozenset[str]) -> New:
    """What numbered rows hold beside the known columns."""
    columns: dict[str, int] = {}
    with_new: list[Numbered] = []
    for number, row in rows:
        if not isinstance(row, Mapping) or row.keys() <= known:
            continue
        here = [
            name
            for name in row.keys() - known
            if isinstance(name, str) and normal(name) in READ and not _nothing(row[name])
        ]
        if here:
            columns |= {name: number for name in sorted(here) if name not in columns}
            with_new.append((number, row))
    return New(columns, with_new)


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, (str, list, tuple, dict)) and not value)


def sample(positions: np.ndarray) -> np.ndarray:
    """Some of the rows that are read by columns."""
    return positions[:: max(1, min(_STEP, len(positions) // 16))]


def extends(old: Plan, new: Plan) -> bool:
    """Whether a plan reads rows without its further columns as the old one does."""
    more = new.names.keys() - old.names.keys()
    return (
        more <= ADDED
        and all(new.names.get(part) == column for part, column in old.names.items())
        and same_reader(old.format, new.format)
        and (old.rule, old.inner, old.ends) == (new.rule, new.inner, new.ends)
        and {name: wrapper for name, wrapper in new.wrapped.items() if name in old.wrapped} == old.wrapped
        and old.spelled <= new.spelled
    )


def unread(columns: Mapping[str, int]) -> str:
    """The sentence on late columns that are not read."""
    names = " and ".join(f"`{name}` (row {number:,} has it)" for name, number in columns.items())
    return (
        f"Not read, since the first 1,000 rows lack it and would have to be read otherwise with it: {names}. Give the first"
        " row every column, empty where it has nothing to say, to have it read."
    )


def without(rows: Iterable[Numbered], columns: Collection[str]) -> list[Numbered]:
    """Numbered rows without these columns."""
    return [(number, {k: v for k, v in row.items() if k not in columns}) for number, row in rows]
