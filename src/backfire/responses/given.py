"""Responses that were not generated here: people's answers, or another tool's output, read from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.errors import InputError, setting
from backfire.records import Kind, Prompt, Response, given_response
from backfire.responses.settings import GivenSettings
from backfire.store import Ledger
from backfire.tables import read_table, undecodable
from backfire.tables.columns import (
    RESPONSE_COLUMNS,
    SOURCE_COLUMNS,
    find,
    kind_column,
    one_column,
)
from backfire.tables.columns import prompt_column as prompt_column_of

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """What was stored, which columns were read (role -> column), and what was left out."""

    responses: list[Response]
    columns: dict[str, str]
    left_out: dict[str, int]
    """Reason (`blank prompt`, `blank response`, `undecodable`, `duplicate`) -> rows."""
    ignored: str | None = None
    """A column `kind` that was not read as one: it speaks of something else (`tables.columns`)."""

    @property
    def sources(self) -> dict[str, int]:
        """Who wrote the responses, and how many."""
        return dict(sorted(Counter(r.source for r in self.responses).items()))


def store_given(
    ledger: Ledger,
    rows: str | Path | Iterable[Row],
    source: str | None = None,
    settings: GivenSettings | None = None,
    **keywords: Any,
) -> Given:
    """Store the responses of a table in any format that `tables` reads, or of rows, under the name of who wrote them.

    A prompt is a text, or a list of turns that ends before the response; an Alpaca `input` column is set below its instruction; a `kind`
    column is kept, as `tables.columns.kind_column` reads it. `source` names the writer of all rows; without it a source column is
    read. Columns are found by their usual names, or named here. Keywords are fields of `GivenSettings`.
    Storing the same file again adds nothing.
    Raises InputError naming the columns found.
    """
    settings = GivenSettings.of(settings, **({} if source is None else {"source": source}), **keywords)
    given: Any = rows if isinstance(rows, str | Path) else [dict(row) for row in rows]
    table = read_table(given, split=settings.split, encoding=settings.encoding)
    origin = str(rows) if isinstance(rows, str | Path) else "what was given"
    if not table.rows:
        raise InputError(f"no rows in {origin}")
    columns = _columns(table.columns, origin, settings)
    kinds = kind_column(table.columns, table.numbered(), origin, flags=False)
    if kinds.column is not None:
        columns["kind"] = kinds.column.name
    left_out: Counter[str] = Counter()
    prompts: dict[str, Prompt] = {}
    responses: dict[str, Response] = {}
    samples: Counter[tuple[str, str]] = Counter()
    seen: set[tuple[str, str, str]] = set()
    for number, row in table.numbered():
        prompt = _prompt(row, columns, kinds.kind(row, number), number)
        text = _text(row.get(columns["response"]), "response", number)
        writer = settings.source or _text(row.get(columns["source"]), "source", number)
        if prompt is None or not text.strip():
            left_out["blank prompt" if prompt is None else "blank response"] += 1
            continue
        if any(undecodable(t) for t in (text, *(turn.content for turn in prompt.messages))):
            left_out["undecodable"] += 1
            continue
        if not writer.strip():
            raise InputError(f"row {number} has a blank {columns['source']!r}: fill it, or name the source")
        known = prompts.setdefault(prompt.id, prompt)
        if known.kind is None:
            prompts[prompt.id] = prompt
        elif prompt.kind not in (None, known.kind):
            raise InputError(
                f"row {number} calls a prompt {prompt.kind} that another row calls {known.kind}: {prompt.text!r:.80}; "
                "give it one kind"
            )
        if (prompt.id, writer, text) in seen:
            left_out["duplicate"] += 1
            continue
        seen.add((prompt.id, writer, text))
        response = given_response(prompt, writer, text, index=samples[prompt.id, writer])
        samples[prompt.id, writer] += 1
        responses[response.request_id] = response
    ledger.put_prompts(prompts.values())
    ledger.put_responses(responses.values())
    return Given(list(responses.values()), columns, dict(left_out), kinds.ignored)


def _columns(
    there: Sequence[str],
    origin: str,
    settings: GivenSettings,
) -> dict[str, str]:
    columns = {
        "prompt": prompt_column_of(there, settings.prompt_column, origin),
        "response": one_column(
            there, "response", RESPONSE_COLUMNS, settings.response_column, origin, "response_column"
        ),
    }
    if settings.source is None:
        columns["source"] = _source_column(there, settings.source_column, origin)
    if find([columns["prompt"]], ("instruction",)) and (beside := find(there, ("input",))):
        columns["input"] = beside[0]
    return columns


def _source_column(there: Sequence[str], given: str | None, origin: str) -> str:
    try:
        return one_column(there, "source", SOURCE_COLUMNS, given, origin, "source_column")
    except InputError as error:
        raise InputError(f"{error.marked}; or say who wrote all of them by {setting('source')}") from None


def _prompt(row: Row, columns: Mapping[str, str], kind: Kind | None, number: int) -> Prompt | None:
    value = row.get(columns["prompt"])
    if isinstance(value, list):
        if not value or any(not isinstance(t, dict) or not {"role", "content"} <= t.keys() for t in value):
            raise InputError(f"the prompt of row {number} is not a list of turns with role and content")
        if value[-1]["role"] == "assistant":
            raise InputError(
                f"the prompt of row {number} ends with the assistant's turn: end it with the turn that is answered, "
                "and give the answer as the response"
            )
        return Prompt.of_messages(value, kind=kind)
    text = _text(value, "prompt", number)
    if not text.strip():
        return None
    added = _text(row.get(columns["input"]), "input", number) if "input" in columns else ""
    return Prompt.of(f"{text}\n\n{added}" if added.strip() else text, kind=kind)


def _text(value: Any, role: str, number: int) -> str:
    """A cell's text; None is blank; a list of one assistant turn is its content."""
    match value:
        case None:
            return ""
        case str():
            return value
        case [{"role": "assistant", "content": str(content)}]:
            return content
    raise InputError(f"the {role} of row {number} is not text but {value!r:.60}: make it a string")
