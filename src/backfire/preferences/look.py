"""The first rows of a data set, seen by columns: what each column holds, and what was said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from backfire.preferences.message_text import holds_lists, holds_messages, value_in
from backfire.preferences.turns import SPELLINGS
from backfire.tables.columns import by_name

NEARLY_ALL = 0.9
STRUCTURED = (
    "answers",
    "annotations",
    "annotator_labels",
    "annotator_preferences",
    "annotator_votes",
    "chat_template_kwargs",
    "completions",
    "context",
    "data",
    "fields",
    "generation_models",
    "generations",
    "history",
    "individual_labels",
    "individual_preference",
    "individual_preferences",
    "input",
    "judgments",
    "labels",
    "models",
    "preferences",
    "rank",
    "ranks",
    "rating",
    "ratings",
    "responses",
    "rewards",
    "scores",
    "suggestions",
    "tools",
    "votes",
)
"""Columns that hold lists or objects, also where a table spells these as text."""


class Look:
    """What a form is recognised by: columns, their first rows, and which column the caller named for which part."""

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Mapping[str, Any]],
        mapping: Mapping[str, str],
        plain: bool = False,
    ) -> None:
        self.columns = list(columns)
        self.asked = dict(mapping)
        self.named = by_name(columns)
        self.plain = plain
        self.spelled = frozenset(name for name in columns if self._spells(name, rows))
        """Columns whose text is messages, or lists where these are to be expected, in JSON or Python's spelling."""
        self.rows = [
            {k: value_in(v) if k in self.spelled and isinstance(v, str) else v for k, v in row.items()}
            for row in rows
        ]

    def _spells(self, column: str, rows: Sequence[Mapping[str, Any]]) -> bool:
        if self.plain:
            return False
        values = [row.get(column) for row in rows]
        texts = [value for value in values if isinstance(value, str)]
        if not texts or len(texts) < sum(value is not None for value in values):
            return False
        if not any(text.lstrip().startswith(("[", "{", "array(")) for text in texts[:50]):
            return False
        structured = any(self.named.get(name) == column for name in STRUCTURED)
        return holds_messages(texts) or (structured and holds_lists(texts))

    def column(self, *names: str) -> str | None:
        """The first of these names that is a column's."""
        return next((self.named[name] for name in names if name in self.named), None)

    def values(self, column: str | None) -> list[Any]:
        """A column's first values but null."""
        return [] if column is None else [v for row in self.rows if (v := row.get(column)) is not None]

    def mostly(self, column: str | None, is_so: Callable[[Any], bool], share: float = NEARLY_ALL) -> bool:
        """Whether nearly all first values of a column are so, or that share of them, and there are any."""
        values = self.values(column)
        return bool(values) and sum(map(is_so, values)) >= share * len(values)

    def lists_of_turns(self, names: Iterable[str]) -> str | None:
        """The first column by one of these names that mostly holds lists of objects."""
        there = (self.named[name] for name in names if name in self.named)
        return next((column for column in there if self.mostly(column, _is_turns, 0.5)), None)

    def texts(self, column: str | None) -> list[str]:
        return [value for value in self.values(column) if isinstance(value, str)]

    def is_text(self, column: str | None) -> bool:
        return self.mostly(column, lambda value: isinstance(value, str))

    def constant(self, column: str) -> bool:
        """Whether several first rows hold nearly always the same text."""
        texts = self.texts(column)
        return len(texts) >= 5 and Counter(texts).most_common(1)[0][1] >= NEARLY_ALL * len(texts)

    @cached_property
    def shapes(self) -> dict[str, str]:
        """Column to what its first rows mostly hold."""
        return {name: majority(shape_of(row.get(name)) for row in self.rows) for name in self.columns}


def _is_turns(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(turn, Mapping) for turn in value)


def shape_of(value: Any) -> str:
    """What a value is, in the words of an error message."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, int):
        return "number"
    if isinstance(value, float):
        return "fraction"
    if isinstance(value, list):
        first = value[0] if value else None
        return f"list of {_shape_of_object(first)}s" if isinstance(first, Mapping) else "list"
    return _shape_of_object(value) if isinstance(value, Mapping) else type(value).__name__


def _shape_of_object(value: Mapping[Any, Any]) -> str:
    keys = next((pair for pair in SPELLINGS if pair[0] in value and pair[1] in value), None)
    if keys is None or isinstance(value.get(keys[1]), list):
        return "object"
    return f"{'/'.join(keys)} message"


def majority(shapes: Iterable[str]) -> str:
    counts = Counter(shape for shape in shapes if shape != "nothing")
    return counts.most_common(1)[0][0] if counts else "nothing"
