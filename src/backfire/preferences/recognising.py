"""Which form a data set has, recognised from its columns and first rows, and the plan by which it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backfire.errors import InputError
from backfire.preferences.columns import ALPACA, MEDIA, SYSTEMS, TEMPLATE
from backfire.preferences.exports import find_argilla, find_label_studio, find_openai, find_swift
from backfire.preferences.hinting import unknown
from backfire.preferences.late_columns import empty, known, watched
from backfire.preferences.look import Look
from backfire.preferences.many_responses import find_ranked
from backfire.preferences.plan import Plan, Recognised
from backfire.preferences.prompt_columns import prompt_columns
from backfire.preferences.provenance import DECODINGS, SOURCES, STOPS
from backfire.preferences.schema import SIDES
from backfire.preferences.single_responses import find_labelled, find_scored
from backfire.preferences.two_responses import find_choice
from backfire.preferences.two_sides import find_sides
from backfire.preferences.votes import find_votes
from backfire.preferences.wrappers import end_turns
from backfire.tables.columns import kind_column, normal

MAPPABLE = (
    "prompt",
    "chosen",
    "rejected",
    "preference",
    "first",
    "second",
    "completion",
    "label",
    "score",
    "system",
    "kind",
    "chosen_source",
    "rejected_source",
)
RANKED = ("best-worst", "best-rest")
MARKS = ("<image>", "<video>", "<audio>", "<|image|>", "<|vision_start|>")
_ALWAYS_USED = ("kind",)


def plan_of(
    origin: str,
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    mapping: Mapping[str, str] | None = None,
    source_columns: tuple[str, str] | None = None,
    *,
    ranked: str = "best-worst",
    plain: bool = False,
    late: Sequence[tuple[int, Mapping[str, Any]]] = (),
) -> Plan:
    """Recognise the form by a vote of `rows`, the first ones, and of `late`, numbered ones below with further columns.

    Raises:
        InputError: a column that is not there or is not used, or columns of no known form; it shows the columns and how
            to map them.
    """
    if ranked not in RANKED:
        raise InputError(f"ranked {ranked!r}: use {' or '.join(RANKED)}")
    numbered = [*enumerate(rows, 1), *late]
    columns = list(dict.fromkeys((*columns, *(str(name) for _, row in late for name in row))))
    rows = [row for _, row in numbered]
    mapped = _mapped(origin, columns, mapping or {}, source_columns)
    look = Look(columns, rows, mapped, plain)
    try:
        form = _recognised(look, ranked)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error
    if form is None:
        raise InputError(unknown(origin, look))
    names = _provenance(look) | _beside(look) | dict(form.names)
    votes, vote_rule = find_votes(look, form, names)
    names |= votes
    names |= {part: mapped[part] for part in ("chosen_source", "rejected_source") if part in mapped}
    kinds = kind_column(columns, numbered, origin, mapped.get("kind"))
    names |= {"kind": kinds.column.name} if kinds.column is not None else {}
    _check_used(origin, form, names, mapped)
    used = set(names.values())
    media = tuple(c for name in MEDIA if (c := look.named.get(name)) and any(look.values(c)))
    further = _late(look, names)
    notes = form.notes
    if spelled := [name for name in look.columns if name in look.spelled and name in used]:
        notes += (f"The text in {_listed(spelled)} spells messages or lists, and is read as these.",)
    ends = _ends(look, form)
    if ends:
        notes += (
            f"The responses end with the marks that end a turn ({next(iter(ends.values()))}), which are taken off.",
        )
    if kinds.ignored is not None:
        notes += (
            f"Column `{kinds.ignored}` speaks neither of harmful nor of benign in its first rows, and is not read as the kind "
            "of prompts.",
        )
    return Plan(
        form.format,
        names,
        {name: shape for name, shape in look.shapes.items() if name in used},
        rule=form.rule,
        wrapped=form.wrapped,
        inner=form.inner,
        ends=ends,
        spelled=look.spelled & used,
        media=media,
        marks=any(mark in text for name in used for text in look.texts(name)[:200] for mark in MARKS),
        ranked=ranked,
        plain=plain,
        notes=notes,
        late=further,
        watched=watched(look, further),
        empty=empty(look, used),
        known=known(look, (*used, *media)),
        vote_rule=vote_rule,
        kind=kinds.column,
    )


def _ends(look: Look, form: Recognised) -> dict[str, str]:
    """The columns of responses that end as a turn of the prompts' wrapper does, with that wrapper."""
    wrapper = form.wrapped.get(form.names.get("prompt", ""))
    parts = ("chosen", "rejected", "first", "second", "completion")
    columns = [c for part in parts if (c := form.names.get(part)) and c not in form.wrapped]
    if wrapper is None or not end_turns((text for c in columns for text in look.texts(c)), wrapper):
        return {}
    return dict.fromkeys(columns, wrapper)


def _late(look: Look, names: Mapping[str, str]) -> tuple[str, ...]:
    more = ALPACA if normal(names.get("prompt", "")) == "instruction" else ()
    return tuple(name for name in (*SYSTEMS, *TEMPLATE, *more) if name not in look.named)


def is_raw(plan: Plan) -> bool:
    """Whether prompts and responses are single texts, which can be used as they are."""
    if plan.names.keys() & {"system", "history", "conversation", "responses", "record"}:
        return False
    parts = ("prompt", "chosen", "rejected", "first", "second", "completion")
    return "output" not in plan.names and all(
        plan.shapes.get(plan.names[part], "text") in ("text", "number", "nothing")
        for part in parts
        if part in plan.names
    )


def _recognised(look: Look, ranked: str) -> Recognised | None:
    finders: tuple[Callable[[Look], Recognised | None], ...] = (
        find_openai,
        find_label_studio,
        find_sides,
        find_swift,
        find_argilla,
        find_choice,
        lambda look: find_ranked(look, ranked),
        _outputs,
        find_labelled,
        find_scored,
    )
    return next((form for find in finders if (form := find(look)) is not None), None)


def _outputs(look: Look) -> Recognised | None:
    output = look.column("output")
    if output is None or not any(isinstance(value, list) for value in look.values(output)):
        return None
    prompts = prompt_columns(look, taken=(output,))
    if prompts.shape is None:
        return None
    return Recognised(
        "instruction and a list of two outputs",
        {"output": output} | prompts.names,
        notes=prompts.notes,
        wrapped=prompts.wrapped,
    )


def _mapped(
    origin: str,
    columns: Sequence[str],
    mapping: Mapping[str, str],
    source_columns: tuple[str, str] | None,
) -> dict[str, str]:
    if unknown := [part for part in mapping if part not in MAPPABLE]:
        raise InputError(f"columns can map {', '.join(MAPPABLE)}, not {', '.join(unknown)}")
    mapped = dict(mapping)
    if source_columns is not None:
        if missing := [c for c in source_columns if c not in columns]:
            raise InputError(
                f"no source column {', '.join(missing)} in {origin}; columns: {', '.join(columns)}"
            )
        mapped |= dict(zip(("chosen_source", "rejected_source"), source_columns, strict=True))
    spelled = {normal(column): column for column in columns}
    mapped = {part: c if c in columns else spelled.get(normal(c), c) for part, c in mapped.items()}
    if missing := [column for column in mapped.values() if column not in columns]:
        raise InputError(f"no column {', '.join(missing)} in {origin}; columns: {', '.join(columns)}")
    return mapped


def _check_used(origin: str, form: Recognised, names: Mapping[str, str], mapped: Mapping[str, str]) -> None:
    """A column that the caller named has to be read, or what is read is not what was meant."""
    read = {names.get(part) for part in names if part not in ("chosen_source", "rejected_source")}
    sourced = not names.keys() & {"first_source", "source"} and form.format not in (
        "ranked responses, best against worst",
        "ranked responses, best against each other",
    )
    left = [
        f"{part}={column}"
        for part, column in mapped.items()
        if not (column in read or (part.endswith("_source") and sourced))
    ]
    if left:
        used = ", ".join(f"{part}={column}" for part, column in form.names.items())
        raise InputError(
            f"{origin} is read as {form.format} ({used}), which does not use {' and '.join(left)}. Fix: leave that out, or"
            " name the other columns of the form that you mean, too (docs/data.md lists every form and its parts)"
        )


def _provenance(look: Look) -> dict[str, str]:
    columns: dict[str, str] = {}
    named = look.named
    parts = {"source": SOURCES, "stop": STOPS, "decoding": DECODINGS}
    for part, spellings in parts.items():
        if not any(f"{side}_{part}" in look.asked for side in SIDES):
            pair = next((pair for pair in spellings if set(map(normal, pair)) <= named.keys()), None)
            columns |= (
                {f"{side}_{part}": named[normal(n)] for side, n in zip(SIDES, pair, strict=True)}
                if pair
                else {}
            )
    return columns | ({"tags": named["tags"]} if "tags" in named else {})


def _beside(look: Look) -> dict[str, str]:
    """What a chat template is given beside the turns."""
    parts = {"tools": look.column("tools"), "template_options": look.column("chat_template_kwargs")}
    return {part: column for part, column in parts.items() if column is not None}


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)
