"""Responses that were not generated here: people's answers, or another tool's output, read from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.records import Kind, Prompt, Response, given_response
from backfire.store import Ledger, read_rows, undecodable

PROMPT_COLUMNS = ("prompt", "instruction", "question", "query", "goal")
RESPONSE_COLUMNS = ("response", "output", "completion", "answer")
SOURCE_COLUMNS = ("source", "generator", "model", "responder")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """What was stored, which columns were read (role -> column), and what was left out."""

    responses: list[Response]
    columns: dict[str, str]
    left_out: dict[str, int]
    """Reason (`blank prompt`, `blank response`, `undecodable`, `duplicate`) -> rows."""

    @property
    def sources(self) -> dict[str, int]:
        """Who wrote the responses, and how many."""
        return dict(sorted(Counter(r.source for r in self.responses).items()))


def store_given(
    ledger: Ledger,
    rows: str | Path | Iterable[Row],
    source: str | None = None,
    *,
    prompt_column: str | None = None,
    response_column: str | None = None,
    source_column: str | None = None,
) -> Given:
    """Store the responses of a file (JSONL, JSON, CSV, TSV, Parquet), or of rows, under the name of who wrote them.

    A prompt is a text, or a list of turns that ends before the response; an Alpaca `input` column is set below its instruction; a `kind`
    column (`harmful`, `benign`) is kept. `source` names the writer of all rows; without it a source column is
    read. Columns are found by their usual names, or named here. Storing the same file again adds nothing.
    Raises InputError naming the columns found.
    """
    table = read_rows(rows) if isinstance(rows, str | Path) else [dict(row) for row in rows]
    if not table:
        raise InputError(f"no rows in {rows if isinstance(rows, str | Path) else 'what was given'}")
    columns = _columns(table, source, prompt_column, response_column, source_column)
    left_out: Counter[str] = Counter()
    prompts: dict[str, Prompt] = {}
    responses: dict[str, Response] = {}
    samples: Counter[tuple[str, str]] = Counter()
    seen: set[tuple[str, str, str]] = set()
    for number, row in enumerate(table, 1):
        prompt = _prompt(row, columns, number)
        text = _text(row.get(columns["response"]), "response", number)
        writer = source or _text(row.get(columns["source"]), "source", number)
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
    return Given(list(responses.values()), columns, dict(left_out))


def _columns(
    table: Sequence[Row], source: str | None, prompt: str | None, response: str | None, writer: str | None
) -> dict[str, str]:
    found = list(dict.fromkeys(name for row in table for name in row))
    columns = {
        "prompt": _column("prompt", prompt, PROMPT_COLUMNS, found),
        "response": _column("response", response, RESPONSE_COLUMNS, found),
    }
    if source is None:
        columns["source"] = _column("source", writer, SOURCE_COLUMNS, found)
    if columns["prompt"] == "instruction" and "input" in found:
        columns["input"] = "input"
    if "kind" in found:
        columns["kind"] = "kind"
    return columns


def _column(role: str, named: str | None, usual: Sequence[str], found: Sequence[str]) -> str:
    there = ", ".join(map(str, found))
    if named is not None:
        if named not in found:
            raise InputError(f"there is no column {named!r} for the {role}; the columns are {there}")
        return named
    matches = [name for name in usual if name in found]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(f"several columns could be the {role} ({', '.join(matches)}): name one of them")
    also = " or say who wrote all of them with the source option," if role == "source" else ""
    raise InputError(
        f"no column for the {role}: rename one to {usual[0]!r},{also} or name it; the columns are {there}"
    )


def _prompt(row: Row, columns: Mapping[str, str], number: int) -> Prompt | None:
    value = row.get(columns["prompt"])
    kind = _kind(row.get(columns["kind"]), number) if "kind" in columns else None
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


def _kind(value: Any, number: int) -> Kind | None:
    match value:
        case None | "":
            return None
        case "harmful" | "benign":
            return value  # type: ignore[no-any-return]
    raise InputError(f"the kind of row {number} is {value!r}: use harmful, benign or nothing")


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
