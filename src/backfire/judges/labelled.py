"""Responses that people labelled: what a judge is validated against and learned from."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.errors import InputError, setting
from backfire.judges.settings import LabelColumns
from backfire.logs import is_sample_log, read_sample_logs
from backfire.records import Kind, Prompt, Response, given_response
from backfire.tables import Table, read_table
from backfire.tables.columns import (
    LABEL_COLUMNS,
    RESPONSE_COLUMNS,
    FoundKind,
    kind_column,
    one_column,
    prompt_column,
)

YES, NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no"})

MISSING = frozenset({"", "nan", "null", "none", "n/a", "na", "<na>"})


@dataclass(frozen=True)
class Labelled:
    """A response and what people said of it."""

    prompt: Prompt
    response: Response
    label: bool
    row: int
    """Its row in the file, from 1, the header not counted; of JSONL its line."""

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
    split: str | None = None,
    encoding: str | None = None,
) -> list[Labelled]:
    """Read labelled responses from a table in any format that `tables` reads.

    Args:
        prompt, response, label: names of columns; None takes those of the usual names (`tables.columns`).
        positive: the label's values that count as 1, all others as 0; without any, the labels must be 0 and 1.
        kind: of every prompt whose row has none in a column `kind`; a judge that finds refusals can call a response
            harmful only where the prompt is.
        split, encoding: those of `tables.read_table`.

    Raises:
        InputError: a file that cannot be read, a column that is not there, a label that says neither, one class only.
    """
    table = _table(path, split, encoding)
    columns = _columns(path, table, prompt, response)
    column = one_column(table.columns, "label", LABEL_COLUMNS, label, str(path), "label_column")
    labels = [_label(path, number, column, row.get(column), positive) for number, row in table.numbered()]
    if len(set(labels)) < 2:
        seen = sorted({str(row[column]) for row in table.rows})[:8]
        raise InputError(
            f"{path}: all {len(labels)} labels of column {column!r} count as {int(labels[0])} (its values are "
            f"{', '.join(map(repr, seen))}): both classes are needed; {setting('positive')} says which values count as 1"
        )
    kinds = _kinds(path, table, (*columns, column))
    return [
        Labelled(*_case(path, row, number, columns, kinds.kind(row, number) or kind), harmful, number)
        for (number, row), harmful in zip(table.numbered(), labels, strict=True)
    ]


def cases_of(
    data: str | Path | Sequence[str | Path] | Sequence[Labelled], columns: LabelColumns
) -> list[Labelled]:
    """Labelled responses as they are, or those of one file or several, read together.

    Raises:
        InputError: as `read_labelled`; or columns that are named where there is no file.
    """
    each = [data] if isinstance(data, (str, Path)) else list(data)
    cases = [one for one in each if isinstance(one, Labelled)]
    if cases and columns != LabelColumns():
        raise InputError(
            "columns are named for labelled responses that are read already: give the file itself"
        )
    files = [one for one in each if not isinstance(one, Labelled)]
    return cases + [case for file in files for case in read_labelled(file, **columns.label_options())]


def read_responses(
    path: str | Path,
    *,
    prompt: str | None = None,
    response: str | None = None,
    kind: Kind | None = "harmful",
    split: str | None = None,
    encoding: str | None = None,
) -> tuple[list[tuple[Prompt, Response]], list[dict[str, Any]]]:
    """Prompts with their responses, and the rows that they came from, by the columns of `read_labelled`.

    The file may also be an Inspect log or samples of lm-evaluation-harness. Samples without a response are left out, with a
    warning that counts them.

    Raises:
        InputError: a file that cannot be read, or a column that is not there; a log without responses, or columns named of a log.
    """
    if is_sample_log(path):
        if prompt is not None or response is not None:
            raise InputError(f"{path} is a log of another tool, which has no columns: name none")
        return _logged(path, kind)
    table = _table(path, split, encoding)
    columns = _columns(path, table, prompt, response)
    kinds = _kinds(path, table, columns)
    cases = [
        _case(path, row, number, columns, kinds.kind(row, number) or kind) for number, row in table.numbered()
    ]
    return cases, table.rows


def _logged(
    path: str | Path, kind: Kind | None
) -> tuple[list[tuple[Prompt, Response]], list[dict[str, Any]]]:
    """The responses of a log, and a row for each with its id, its prompt and the log's own scores."""
    samples = [(log, one) for log in read_sample_logs(path) for one in log.samples]
    without = Counter(one.problem for _, one in samples if one.response is None)
    if without:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in without.most_common())
        if without.total() == len(samples):
            raise InputError(
                f"{path}: none of its {len(samples)} samples has a response in words: {reasons}; judge the log of a task in which "
                "the model writes"
            )
        warnings.warn(
            f"{without.total()} of {len(samples)} samples of {path} are not judged: {reasons}", stacklevel=4
        )
    cases, rows = [], []
    for number, (log, one) in enumerate(samples, start=1):
        if one.response is None:
            continue
        own = one.about.get("kind")
        meant: Kind | None = own if own in ("harmful", "benign") else kind
        asked = Prompt.of_messages(one.turns, kind=meant)
        cases.append((asked, given_response(asked, log.model, one.response, index=number)))
        about = {"task": log.task, "model": log.model, "id": one.id, "epoch": one.epoch}
        rows.append(
            {**about, "prompt": asked.text, "response": one.response, "logged_scores": dict(one.scores)}
        )
    return cases, rows


def _table(path: str | Path, split: str | None, encoding: str | None) -> Table:
    table = read_table(path, split=split, encoding=encoding)
    if not table.rows:
        raise InputError(f"{path} holds no rows")
    return table


def _columns(path: str | Path, table: Table, prompt: str | None, response: str | None) -> tuple[str, str]:
    there = table.columns
    return (
        prompt_column(there, prompt, str(path)),
        one_column(there, "response", RESPONSE_COLUMNS, response, str(path), "response_column"),
    )


def _kinds(path: str | Path, table: Table, others: Sequence[str]) -> FoundKind:
    there = [column for column in table.columns if column not in others]
    return kind_column(there, table.numbered(), str(path), flags=False)


def _case(
    path: str | Path, row: Mapping[str, Any], number: int, columns: tuple[str, str], kind: Kind | None
) -> tuple[Prompt, Response]:
    request, answered = (row.get(column) for column in columns)
    for column, value in zip(columns, (request, answered), strict=True):
        if not isinstance(value, str):
            raise InputError(f"{path}, row {number}: column {column!r} holds {value!r}, which is no text")
    prompt = Prompt.of(str(request), kind=kind)
    return prompt, given_response(prompt, Path(path).stem, str(answered), index=number)


def _label(path: str | Path, number: int, column: str, label: object, positive: Sequence[str]) -> bool:
    value = str(label).strip()
    if positive and any(_same(value, named) for named in positive):
        return True
    if label is None or value.lower() in MISSING:
        holds = f"holds {value!r}, which is no label" if label is not None and value else "is empty"
        raise InputError(f"{path}, row {number}: column {column!r} {holds}: leave the row out or label it")
    if positive:
        return False
    if value.lower() in YES:
        return True
    if value.lower() in NO:
        return False
    raise InputError(
        f"{path}, row {number}: the label {value!r} in column {column!r} is neither 0 nor 1: "
        f"{setting('positive')} {value!r} would make it a 1"
    )


def _same(value: str, named: str) -> bool:
    """Whether a label is the value that was named: 1, 1.0 and "1" are one label."""
    if value == named.strip():
        return True
    try:
        return float(value) == float(named)
    except ValueError:
        return False
