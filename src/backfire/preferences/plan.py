"""Which form a data set has and which of its columns say what, recognised from columns and the first rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from backfire.errors import InputError
from backfire.preferences.provenance import DECODINGS, KINDS, SOURCES, STOPS
from backfire.preferences.schema import SIDES, Format
from backfire.preferences.turns import SPELLINGS

PROMPTS = ("prompt", "question", "instruction", "query", "input")
PAIRS = (
    SIDES,
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
    ("response_j", "response_k"),
    ("better", "worse"),
    ("better_response", "worse_response"),
)
NUMBERED = ("response_0", "response_1")
PREFERENCES = ("safer_response_id", "better_response_id")
MAPPABLE = ("prompt", "chosen", "rejected", "preference", "kind", "chosen_source", "rejected_source")
CONVERSATIONS = ("conversations", "messages")

_TOLD = {
    "prompt": ("prompt", "system", "input", "history"),
    "chosen": ("chosen", "first", "second", "output", "completion"),
    "rejected": ("rejected", "first", "second", "output", "completion"),
    "preference": ("preference", "label"),
    "source": ("chosen_source", "rejected_source", "first_source", "second_source", "source"),
    "stop_reason": ("chosen_stop", "rejected_stop"),
    "decoding": ("chosen_decoding", "rejected_decoding"),
    "kind": ("kind",),
    "tags": ("tags",),
}


@dataclass(frozen=True)
class Plan:
    """How to read every row: the form, the column of each part, and how the head of the data spells turns."""

    format: Format
    names: Mapping[str, str]
    """Part (such as prompt, chosen, chosen_source, system) to column; a part that no column holds is absent."""
    shapes: Mapping[str, str]
    """Column to what its first rows mostly hold, as `shape_of` names it."""

    @cached_property
    def provenance(self) -> bool:
        """Whether any column speaks of more than the texts."""
        return not self.columns.keys() <= {"prompt", "chosen", "rejected", "preference"}

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """The columns that spoke of prompt, chosen, rejected, preference, source, stop_reason, decoding, kind, tags."""
        told = {what: tuple(self.names[p] for p in parts if p in self.names) for what, parts in _TOLD.items()}
        return {what: names for what, names in told.items() if names}


def plan_of(
    origin: str,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    mapping: Mapping[str, str] | None = None,
    source_columns: tuple[str, str] | None = None,
) -> Plan:
    """Recognise the form by a vote of `rows`, the first ones.

    Raises:
        InputError: a column that is not there, or columns of no known form; it shows the columns and how to map them.
    """
    asked = _asked(origin, columns, mapping or {}, source_columns)
    names = asked | _provenance(columns, asked)
    shapes = {name: _majority([shape_of(row.get(name)) for row in rows]) for name in columns}
    form = _form(columns, rows, names, asked)
    if form is None:
        raise InputError(_unknown(origin, shapes, rows))
    if form == "completions with labels":
        _row_source(columns, names)
    used = set(names.values())
    return Plan(form, names, {name: shape for name, shape in shapes.items() if name in used})


def shape_of(value: Any) -> str:
    """What a value is, in the words of an error message."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, list):
        first = value[0] if value else None
        return f"list of {_shape_of_object(first)}s" if isinstance(first, Mapping) else "list"
    return _shape_of_object(value) if isinstance(value, Mapping) else type(value).__name__


def _shape_of_object(value: Mapping[Any, Any]) -> str:
    keys = next((pair for pair in SPELLINGS if pair[0] in value), None)
    if keys is None or isinstance(value.get(keys[1]), list):
        return "object"
    return f"{'/'.join(keys)} message"


def _majority(shapes: list[str]) -> str:
    counts = Counter(shape for shape in shapes if shape != "nothing")
    return counts.most_common(1)[0][0] if counts else "nothing"


def _asked(
    origin: str,
    columns: Sequence[str],
    mapping: Mapping[str, str],
    source_columns: tuple[str, str] | None,
) -> dict[str, str]:
    if unknown := [part for part in mapping if part not in MAPPABLE]:
        raise InputError(f"columns can map {', '.join(MAPPABLE)}, not {', '.join(unknown)}")
    asked = dict(mapping)
    if source_columns is not None:
        if missing := [c for c in source_columns if c not in columns]:
            raise InputError(
                f"no source column {', '.join(missing)} in {origin}; columns: {', '.join(columns)}"
            )
        asked |= dict(zip(("chosen_source", "rejected_source"), source_columns, strict=True))
    if missing := [column for column in asked.values() if column not in columns]:
        raise InputError(f"no column {', '.join(missing)} in {origin}; columns: {', '.join(columns)}")
    return asked


def _provenance(columns: Sequence[str], asked: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    parts = {"source": SOURCES, "stop": STOPS, "decoding": DECODINGS}
    for part, spellings in parts.items():
        if not any(f"{side}_{part}" in asked for side in SIDES):
            pair = next((pair for pair in spellings if set(pair) <= set(columns)), None)
            found |= dict(zip((f"{side}_{part}" for side in SIDES), pair, strict=True)) if pair else {}
    if "kind" not in asked:
        kinds = ["kind"] if "kind" in columns else [name for name in KINDS if name in columns]
        found |= {"kind": kinds[0]} if len(kinds) == 1 else {}
    return found | ({"tags": "tags"} if "tags" in columns else {})


def _form(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    names: dict[str, str],
    asked: Mapping[str, str],
) -> Format | None:
    """The form; what it reads is added to `names`."""
    present = set(columns)
    prompt = asked.get("prompt") or next((name for name in PROMPTS if name in present), None)
    pair = next((p for p in PAIRS if set(p) <= present), None)
    sides = (asked.get("chosen") or (pair and pair[0]), asked.get("rejected") or (pair and pair[1]))
    if sides[0] and sides[1]:
        names |= {"chosen": sides[0], "rejected": sides[1]}
        return _form_of_sides(present, rows, names, prompt, "prompt" in asked)
    preference = asked.get("preference") or next((name for name in PREFERENCES if name in present), None)
    if prompt and preference and set(NUMBERED) <= present:
        names |= {"prompt": prompt, "preference": preference}
        names |= dict(zip(("first", "second"), NUMBERED, strict=True))
        sources = tuple(f"{name}_source" for name in NUMBERED)
        if set(sources) <= present and "chosen_source" not in names:
            names |= dict(zip(("first_source", "second_source"), sources, strict=True))
        return "two responses and the preferred one"
    if prompt and {"completion", "label"} <= present:
        names |= {"prompt": prompt, "completion": "completion", "label": "label"}
        return "completions with labels"
    if prompt and any(isinstance(row.get("output"), list) for row in rows):
        names |= {"prompt": prompt, "output": "output"} | _beside_instruction(present, prompt)
        return "instruction and a list of two outputs"
    return None


def _form_of_sides(
    present: set[str],
    rows: Sequence[Mapping[str, Any]],
    names: dict[str, str],
    prompt: str | None,
    asked: bool,
) -> Format | None:
    conversations = next((c for c in CONVERSATIONS if c in present), None)
    system = "system" if "system" in present else None
    further = _beside_instruction(present, prompt) if prompt == "instruction" and not asked else {}
    votes: Counter[Format] = Counter()
    for row in rows:
        turns = row.get(conversations) if conversations and not asked else None
        form = _vote(row.get(names["chosen"]), row.get(prompt) if prompt else None, turns)
        if form == "TRL standard, explicit prompt":
            form = "instruction, input and history" if further.keys() - {"system"} else form
            form = "system turn beside plain text" if form.startswith("TRL") and system else form
        votes.update([form] if form else [])
    if not votes:
        return None
    winner = votes.most_common(1)[0][0]
    if winner == "conversations and single turns":
        names |= {"prompt": str(conversations)} | ({"system": system} if system else {})
    elif winner == "instruction, input and history":
        names |= {"prompt": str(prompt)} | further
    elif winner == "system turn beside plain text":
        names |= {"prompt": str(prompt), "system": "system"}
    elif winner in (
        "TRL standard, explicit prompt",
        "TRL conversational, explicit prompt",
        "prompt beside whole conversations",
    ):
        names["prompt"] = str(prompt)
    return winner


def _vote(chosen: Any, prompt: Any, conversations: Any) -> Format | None:
    if isinstance(conversations, list) and (
        isinstance(chosen, Mapping) or (isinstance(chosen, str) and prompt is None)
    ):
        return "conversations and single turns"
    if isinstance(chosen, str):
        if isinstance(prompt, str):
            return "TRL standard, explicit prompt"
        if chosen.lstrip("\n").startswith("Human:") and "\n\nAssistant:" in chosen:
            return "Anthropic HH transcripts"
        return "TRL standard, implicit prompt" if prompt is None else None
    if isinstance(chosen, list):
        if isinstance(prompt, list):
            return "TRL conversational, explicit prompt"
        if isinstance(prompt, str):
            return "prompt beside whole conversations"
        return "TRL conversational, implicit prompt" if prompt is None else None
    return None


def _beside_instruction(present: set[str], prompt: str | None) -> dict[str, str]:
    return {part: part for part in ("input", "history", "system") if part in present and part != prompt}


def _row_source(columns: Sequence[str], names: dict[str, str]) -> None:
    """A labelled completion names its own author, in one column."""
    own = next((c for c in ("completion_source", "completion_model", "model") if c in columns), None)
    if own is not None and "chosen_source" not in names:
        names["source"] = own


def _unknown(origin: str, shapes: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    found = ", ".join(f"{name} ({shape})" for name, shape in shapes.items()) or "no columns"
    first = "" if rows else " and no rows"
    return (
        f"{origin} is in no form of preference data that backfire knows. Columns{first}: {found}. Say which hold"
        " the request and the two responses: `--columns prompt=...,chosen=...,rejected=...` or"
        " columns={'prompt': ..., 'chosen': ..., 'rejected': ...}; responses are text, or lists of"
        " {'role', 'content'} messages"
    )
