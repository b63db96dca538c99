"""Responses that people labelled: what a judge is validated against and learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backfire.errors import InputError
from backfire.records import Kind, Prompt, Response, given_response
from backfire.store import read_rows

What = Literal["harmful", "refusal"]
"""What a label says: whether the response does harm, or whether it declines."""
PROMPT_COLUMNS = ("prompt", "question", "instruction", "goal", "behavior")
RESPONSE_COLUMNS = ("response", "answer", "completion", "output", "generation")
LABEL_COLUMNS = ("label", "human", "human_label")
YES, NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no"})

MISSING = frozenset({"", "nan", "null", "none", "n/a", "na", "<na>"})


@dataclass(frozen=True)
class Labelled:
    """A response and what people said of it."""

    prompt: Prompt
    response: Response
    label: bool
    row: int
    """Its row in the file, from 1, the header not counted."""

    @property
    def case(self) -> tuple[Prompt, Response]:
        return self.prompt, self.response


def read_labelled(
    path: str | Path,
    *,
    prompt: str | None = None,
    response: str | None = None,
    label: str | None = None,
    positive: Sequence[str] = (),
    kind: Kind | None = "harmful",
) -> list[Labelled]:
    """Read a CSV, TSV, JSONL, JSON or Parquet file of labelled responses.

    Args:
        prompt, response, label: names of columns; None takes the first that is there of `PROMPT_COLUMNS`,
            `RESPONSE_COLUMNS`, `LABEL_COLUMNS`.
        positive: the label's values that count as 1, all others as 0; without any, the labels must be 0 and 1.
        kind: of every prompt; a judge that finds refusals can call a response harmful only where the prompt is.

    Raises:
        InputError: a file that cannot be read, a column that is not there, a label that says neither, one class only.
    """
    rows = _rows(path)
    asked = _columns(path, rows[0], prompt, response)
    column = _column(path, rows[0], label, LABEL_COLUMNS, "--label-column")
    labels = [_label(path, number, column, row.get(column), positive) for number, row in enumerate(rows, 1)]
    if len(set(labels)) < 2:
        seen = sorted({str(row[column]) for row in rows})[:8]
        raise InputError(
            f"{path}: all {len(rows)} labels of column {column!r} count as {int(labels[0])} (its values are "
            f"{', '.join(map(repr, seen))}): both classes are needed; --positive VALUE says which values count as 1"
        )
    return [
        Labelled(*_case(path, row, number, asked, kind), said, number)
        for number, (row, said) in enumerate(zip(rows, labels, strict=True), 1)
    ]


def read_responses(
    path: str | Path, *, prompt: str | None = None, response: str | None = None, kind: Kind | None = "harmful"
) -> tuple[list[tuple[Prompt, Response]], list[dict[str, Any]]]:
    """Prompts with their responses, and the rows that they came from, by the columns of `read_labelled`.

    Raises:
        InputError: a file that cannot be read, or a column that is not there.
    """
    rows = _rows(path)
    asked = _columns(path, rows[0], prompt, response)
    return [_case(path, row, number, asked, kind) for number, row in enumerate(rows, 1)], rows


def _rows(path: str | Path) -> list[dict[str, Any]]:
    rows = read_rows(path)
    if not rows:
        raise InputError(f"{path} holds no rows")
    return rows


def _columns(
    path: str | Path, row: Mapping[str, Any], prompt: str | None, response: str | None
) -> tuple[str, str]:
    return (
        _column(path, row, prompt, PROMPT_COLUMNS, "--prompt-column"),
        _column(path, row, response, RESPONSE_COLUMNS, "--response-column"),
    )


def _column(
    path: str | Path, row: Mapping[str, Any], given: str | None, known: Sequence[str], option: str
) -> str:
    if given is not None:
        if given not in row:
            raise InputError(f"{path} has no column {given!r} ({option}): it has {', '.join(row)}")
        return given
    for name in known:
        if name in row:
            return name
    one = ", ".join(row)
    if len(row) == 1 and (apart := next((mark for mark in ";\t|" if mark in one), None)):
        raise InputError(
            f"{path} has one column, {one!r}: its cells seem to be set apart by {apart!r}; write them with commas, or with tabs "
            "in a file that ends in .tsv"
        )
    raise InputError(f"{path} has none of the columns {', '.join(known)}: name yours of {one} by {option}")


def _case(
    path: str | Path, row: Mapping[str, Any], number: int, columns: tuple[str, str], kind: Kind | None
) -> tuple[Prompt, Response]:
    asked, answered = (row.get(column) for column in columns)
    for column, value in zip(columns, (asked, answered), strict=True):
        if not isinstance(value, str):
            raise InputError(f"{path}, row {number}: column {column!r} holds {value!r}, which is no text")
    prompt = Prompt.of(str(asked), kind=kind)
    return prompt, given_response(prompt, Path(path).stem, str(answered), index=number)


def _label(path: str | Path, number: int, column: str, said: object, positive: Sequence[str]) -> bool:
    value = str(said).strip()
    if positive and any(_same(value, named) for named in positive):
        return True
    if said is None or value.lower() in MISSING:
        holds = f"holds {value!r}, which is no label" if said is not None and value else "is empty"
        raise InputError(f"{path}, row {number}: column {column!r} {holds}: leave the row out or label it")
    if positive:
        return False
    if value.lower() in YES:
        return True
    if value.lower() in NO:
        return False
    raise InputError(
        f"{path}, row {number}: the label {value!r} in column {column!r} is neither 0 nor 1: "
        f"--positive {value!r} would make it a 1"
    )


def _same(value: str, named: str) -> bool:
    """Whether a label is the value that was named: 1, 1.0 and "1" are one label."""
    if value == named.strip():
        return True
    try:
        return float(value) == float(named)
    except ValueError:
        return False
