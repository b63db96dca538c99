"""The forms in which preference data come, recognised from columns and values, and turned into pairs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, cast

from backfire.auditing.labelled_pair import Defect, DefectKind, LabelledPair, Provenance
from backfire.auditing.rows import Rows
from backfire.errors import InputError
from backfire.records import Kind, Message, Prompt

Format = Literal[
    "TRL standard, explicit prompt",
    "TRL standard, implicit prompt",
    "TRL conversational, explicit prompt",
    "TRL conversational, implicit prompt",
    "prompt beside whole conversations",
    "Anthropic HH transcripts",
]
"""`prompt beside whole conversations` is UltraFeedback-binarized's: a prompt column, and sides that repeat it."""

SOURCE_COLUMNS = (("chosen_source", "rejected_source"), ("chosen_model", "rejected_model"))
STOP_COLUMNS = (
    ("chosen_stop_reason", "rejected_stop_reason"),
    ("chosen_finish_reason", "rejected_finish_reason"),
)
DECODING_COLUMNS = (("chosen_decoding", "rejected_decoding"),)

_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLE = {"Human": "user", "Assistant": "assistant"}


class Recognised(NamedTuple):
    """The pairs of a data set, by id, and what was left out, by row."""

    format: Format
    columns: dict[str, tuple[str, str]]
    """Which columns spoke of `source`, `stop_reason` and `decoding`."""
    pairs: list[LabelledPair]
    defects: list[Defect]


class _Sides(NamedTuple):
    prompt: Prompt
    chosen: str
    rejected: str


class _Unusable(Exception):
    def __init__(self, kind: DefectKind) -> None:
        self.kind = kind


def recognise(rows: Rows, source_columns: tuple[str, str] | None = None) -> Recognised:
    """Name the form and read every row; a row that cannot be used becomes a Defect, never an exception.

    Raises InputError when the columns are not those of preference data, naming the columns found.
    """
    form = _format_of(rows)
    parse = _PARSERS[form]
    columns = _provenance_columns(rows, source_columns)
    pairs: list[LabelledPair] = []
    defects = list(rows.unread)
    for number, row in rows.rows:
        try:
            sides = parse(row)
            _check(sides)
        except _Unusable as why:
            defects.append(Defect(number, why.kind))
            continue
        chosen_from, rejected_from = (_provenance(row, columns, side) for side in (0, 1))
        kind = row.get("kind")
        prompt = Prompt(sides.prompt.messages, cast(Kind, kind) if kind in ("harmful", "benign") else None)
        pairs.append(
            LabelledPair(
                number, prompt, sides.chosen, sides.rejected, prompt.kind, chosen_from, rejected_from
            )
        )
    pairs.sort(key=lambda pair: (pair.id, pair.row))
    defects.sort(key=lambda defect: defect.row)
    return Recognised(form, columns, pairs, defects)


def _format_of(rows: Rows) -> Format:
    if not {"chosen", "rejected"} <= set(rows.columns):
        raise InputError(
            f"{rows.origin} has no columns chosen and rejected; found: {', '.join(rows.columns) or 'none'}."
            " Rename the preferred response's column to chosen, the other's to rejected and the request's"
            " to prompt (datasets: .rename_columns({'old': 'chosen', ...}))"
        )
    shapes: Counter[Format] = Counter()
    for _, row in rows.rows[:1000]:
        chosen, prompt = row.get("chosen"), row.get("prompt")
        if isinstance(chosen, str):
            if isinstance(prompt, str):
                shapes["TRL standard, explicit prompt"] += 1
            elif chosen.lstrip("\n").startswith("Human:") and "\n\nAssistant:" in chosen:
                shapes["Anthropic HH transcripts"] += 1
            elif prompt is None:
                shapes["TRL standard, implicit prompt"] += 1
        elif isinstance(chosen, list):
            if isinstance(prompt, list):
                shapes["TRL conversational, explicit prompt"] += 1
            elif isinstance(prompt, str):
                shapes["prompt beside whole conversations"] += 1
            elif prompt is None:
                shapes["TRL conversational, implicit prompt"] += 1
    if not shapes:
        found = {name: type(rows.rows[0][1].get(name)).__name__ for name in rows.columns} if rows.rows else {}
        raise InputError(
            f"{rows.origin}: no row is in a known form; columns and their types: {found or rows.columns}."
            " chosen and rejected must be text, or lists of {'role', 'content'} messages"
        )
    return shapes.most_common(1)[0][0]


def _provenance_columns(rows: Rows, source_columns: tuple[str, str] | None) -> dict[str, tuple[str, str]]:
    columns: dict[str, tuple[str, str]] = {}
    if source_columns is not None:
        if missing := [c for c in source_columns if c not in rows.columns]:
            raise InputError(
                f"no source column {', '.join(missing)} in {rows.origin}; columns: {', '.join(rows.columns)}"
            )
        columns["source"] = (source_columns[0], source_columns[1])
    candidates = {"source": SOURCE_COLUMNS, "stop_reason": STOP_COLUMNS, "decoding": DECODING_COLUMNS}
    for what, options in candidates.items():
        for option in options:
            if what not in columns and set(option) <= set(rows.columns):
                columns[what] = option
    return columns


def _provenance(row: Mapping[str, Any], columns: Mapping[str, tuple[str, str]], side: int) -> Provenance:
    def said(what: str) -> Any:
        return row.get(columns[what][side]) if what in columns else None

    source, stop, decoding = said("source"), said("stop_reason"), said("decoding")
    if isinstance(decoding, str):
        try:
            decoding = json.loads(decoding)
        except ValueError:
            decoding = {"stated as": decoding}
    return Provenance(
        None if source is None or str(source) == "" else str(source),
        None if stop is None or str(stop) == "" else str(stop),
        decoding if isinstance(decoding, Mapping) else None,
    )


def _check(sides: _Sides) -> None:
    texts = [sides.chosen, sides.rejected, *(m.content for m in sides.prompt.messages)]
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise _Unusable("undecodable") from None
    if not sides.chosen.strip() or not sides.rejected.strip():
        raise _Unusable("blank side")
    if sides.chosen.strip() == sides.rejected.strip():
        raise _Unusable("identical sides")


def _both(row: Mapping[str, Any], wanted: type) -> tuple[Any, Any]:
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if chosen is None or rejected is None:
        raise _Unusable("missing side")
    if not isinstance(chosen, wanted) or not isinstance(rejected, wanted):
        raise _Unusable("wrong type")
    return chosen, rejected


def _standard_explicit(row: Mapping[str, Any]) -> _Sides:
    chosen, rejected = _both(row, str)
    prompt = row.get("prompt")
    if not isinstance(prompt, str):
        raise _Unusable("wrong type")
    return _Sides(Prompt.of(prompt), chosen, rejected)


def _standard_implicit(row: Mapping[str, Any]) -> _Sides:
    """The prompt is what both sides begin with, up to a space, so that no word is cut."""
    chosen, rejected = _both(row, str)
    shared = 0
    for a, b in zip(chosen, rejected, strict=False):
        if a != b:
            break
        shared += 1
    while 0 < shared < max(len(chosen), len(rejected)) and not chosen[shared - 1].isspace():
        shared -= 1
    return _Sides(Prompt.of(chosen[:shared]), chosen[shared:], rejected[shared:])


def _conversational_explicit(row: Mapping[str, Any]) -> _Sides:
    chosen, rejected = (_messages(side) for side in _both(row, list))
    prompt = _messages(row.get("prompt"))
    return _Sides(Prompt(tuple(prompt)), _completion(chosen), _completion(rejected))


def _conversational_implicit(row: Mapping[str, Any]) -> _Sides:
    chosen, rejected = (_messages(side) for side in _both(row, list))
    if chosen[:-1] != rejected[:-1]:
        raise _Unusable("differing prompts")
    return _Sides(Prompt(tuple(chosen[:-1])), _completion(chosen[-1:]), _completion(rejected[-1:]))


def _beside(row: Mapping[str, Any]) -> _Sides:
    chosen, rejected = (_messages(side) for side in _both(row, list))
    if len(chosen) > 1 or len(rejected) > 1:
        return _conversational_implicit(row)
    prompt = row.get("prompt")
    if not isinstance(prompt, str):
        raise _Unusable("wrong type")
    return _Sides(Prompt.of(prompt), _completion(chosen), _completion(rejected))


def _transcript(row: Mapping[str, Any]) -> _Sides:
    chosen, rejected = (_turns(side) for side in _both(row, str))
    if chosen[:-1] != rejected[:-1]:
        raise _Unusable("differing prompts")
    return _Sides(Prompt(tuple(chosen[:-1])), _completion(chosen[-1:]), _completion(rejected[-1:]))


def _turns(transcript: str) -> list[Message]:
    text = transcript if transcript.startswith("\n\n") else "\n\n" + transcript.lstrip("\n")
    before, *pieces = _TURN.split(text)
    if before.strip() or not pieces:
        raise _Unusable("wrong type")
    turns = zip(pieces[::2], pieces[1::2], strict=True)
    return [Message(_ROLE[who], said.strip()) for who, said in turns]


def _messages(value: Any) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise _Unusable("wrong type")
    for turn in value:
        if not isinstance(turn, Mapping):
            raise _Unusable("wrong type")
        if not isinstance(turn.get("role"), str) or not isinstance(turn.get("content"), str):
            raise _Unusable("wrong type")
    return [Message(turn["role"], turn["content"]) for turn in value]


def _completion(turns: list[Message]) -> str:
    if turns[-1].role != "assistant":
        raise _Unusable("no final assistant turn")
    return "\n\n".join(turn.content for turn in turns if turn.role == "assistant")


_PARSERS: dict[Format, Callable[[Mapping[str, Any]], _Sides]] = {
    "TRL standard, explicit prompt": _standard_explicit,
    "TRL standard, implicit prompt": _standard_implicit,
    "TRL conversational, explicit prompt": _conversational_explicit,
    "TRL conversational, implicit prompt": _conversational_implicit,
    "prompt beside whole conversations": _beside,
    "Anthropic HH transcripts": _transcript,
}
