"""What one pass over a data set met: rows left out, with an example of each kind, and what was read with a remark."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backfire.preferences.plan import Plan
from backfire.preferences.schema import DefectKind

SHOWN = 160
"""Characters of an example's row."""
_PARTS = (
    "prompt",
    "chosen",
    "rejected",
    "first",
    "second",
    "conversation",
    "responses",
    "output",
    "record",
    "completion",
    "preference",
    "label",
    "score",
    "status",
)


class Example(NamedTuple):
    """The first row of a kind of defect."""

    row: int
    value: str
    """What its columns hold, shortened."""


@dataclass
class ReadingNotes:
    defects: dict[DefectKind, list[int]] = field(default_factory=dict)
    examples: dict[DefectKind, Example] = field(default_factory=dict)
    remarks: dict[str, list[int]] = field(default_factory=dict)

    def leave_out(self, kind: DefectKind, number: int, row: Any, plan: Plan) -> None:
        """Note a row that gives no pair."""
        self.defects.setdefault(kind, []).append(number)
        if kind not in self.examples:
            self.examples[kind] = Example(number, shown(row, plan))

    def leave_out_all(self, kind: DefectKind, numbers: Iterable[int], value: Mapping[str, Any]) -> None:
        """Note rows of which `value` is an example."""
        for number in sorted(numbers):
            self.defects.setdefault(kind, []).append(number)
            self.examples.setdefault(kind, Example(number, _short(value)))

    def remark(self, what: str, number: int) -> None:
        """Note a row that was read, and how."""
        self.remarks.setdefault(what, []).append(number)

    def finish(self) -> None:
        """Put the numbers of each kind into the order of the file."""
        for numbers in (*self.defects.values(), *self.remarks.values()):
            numbers.sort()


def shown(row: Any, plan: Plan) -> str:
    """The columns of a row that the plan reads, shortened."""
    if not isinstance(row, Mapping):
        return "no row that can be decoded" if type(row) is object else _short(row)
    columns = dict.fromkeys(plan.names[part] for part in _PARTS if part in plan.names)
    return _short({column: row.get(column) for column in columns})


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        each = max(24, SHOWN // max(1, len(value)))
        inner = (f"{name}: {_cut(_spelled(one), each)}" for name, one in value.items())
        return "{" + ", ".join(inner) + "}"
    return _cut(_spelled(value), SHOWN)


def _spelled(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _cut(text: str, most: int) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= most else text[: most - 3] + "..."
