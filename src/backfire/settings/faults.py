"""What pydantic found wrong, in words: each names the field as it was given, its value, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from backfire.settings.fields import classes_anywhere, flat, renamed_in, tags_of
from backfire.settings.places import Place

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from backfire.settings.frozen import Settings

VALUE_ERROR = "Value error, "
QUOTED = r"'([^']*)'"
UNION_LABELS = ("str", "int", "float", "bool", "none")
"""What pydantic puts into a location for the plain members of a union."""

FIXES: Mapping[str, str] = {
    "greater_than": "give a number above {gt}",
    "greater_than_equal": "give at least {ge}",
    "less_than": "give a number below {lt}",
    "less_than_equal": "give at most {le}",
    "int_parsing": "give a whole number",
    "int_parsing_size": "give a whole number of at most 18 digits",
    "int_type": "give a whole number",
    "int_from_float": "give a whole number",
    "float_parsing": "give a number",
    "float_type": "give a number",
    "finite_number": "give a finite number",
    "bool_parsing": "give true or false",
    "bool_type": "give true or false",
    "string_type": "give a text",
    "path_type": "give a path",
    "dict_type": "give names with their values",
    "model_type": "give names with their values",
    "tuple_type": "give a list",
    "list_type": "give a list",
    "too_short": "give at least {min_length}",
    "too_long": "give at most {max_length}",
    "string_pattern_mismatch": "use letters, digits, and any of + _ . - after the first",
}


@dataclass(frozen=True)
class Located:
    """Where in a settings class an error lies."""

    owner: type[Settings]
    """The class that has the field, or whose validator spoke."""
    before: tuple[str | int, ...]
    """The path to `owner`, with indexes and keys."""
    path: tuple[str | int, ...]
    """The whole path, with indexes and keys, without pydantic's names of a union's members."""


def locate(cls: type[Settings], loc: Sequence[str | int]) -> Located:
    """Follow pydantic's location through a class and its parts."""
    owner, before = cls, ()  # type: tuple[type[Settings], tuple[str | int, ...]]
    path: list[str | int] = []
    candidates: tuple[type[Settings], ...] = (cls,)
    for step in loc:
        member = next((one for one in candidates if step in one.model_fields), None)
        chosen = next((one for one in candidates if step == one.__name__ or step in _tags(one)), None)
        if member is not None:
            owner, before = member, tuple(path)
            path.append(step)
            candidates = classes_anywhere(member.model_fields[str(step)].annotation)
        elif chosen is not None:
            candidates = (chosen,)
        elif isinstance(step, int) or not (step in UNION_LABELS or "[" in step):
            path.append(step)
    if len(candidates) == 1:
        owner, before = candidates[0], tuple(path)
    return Located(owner, before, tuple(path))


def _tags(cls: type[Settings]) -> set[str]:
    return {tag for _, tag in tags_of(cls)}


def problems(error: ValidationError, cls: type[Settings], place: Place) -> str:
    """Every wrong value with its fix, apart by semicolons."""
    by_path: dict[tuple[str | int, ...], list[str]] = {}
    errors = error.errors()
    for one in errors:
        if one["type"] == "too_short" and any(_lies_within(other["loc"], one["loc"]) for other in errors):
            continue  # pydantic counts only the members that are right, and has named those that are wrong
        where = locate(cls, one["loc"])
        texts = by_path.setdefault(where.path, [])
        text = _problem(one, where, cls, place)
        if text not in texts:
            texts.append(text)
    return "; ".join(_together(texts) for texts in by_path.values())


def _lies_within(inner: Sequence[str | int], outer: Sequence[str | int]) -> bool:
    return len(inner) > len(outer) and tuple(inner[: len(outer)]) == tuple(outer)


def _together(texts: list[str]) -> str:
    """What the members of a union say of one value, as one sentence; messages about several fields, one after another."""
    first, *others = texts
    head, colon, _ = first.partition(": ")
    if not all(colon and text.startswith(f"{head}: give ") for text in others):
        return "; ".join(texts)
    return " or ".join([first, *(text.removeprefix(f"{head}: give ") for text in others)])


def _problem(one: ErrorDetails, where: Located, cls: type[Settings], place: Place) -> str:
    kind, value, context = one["type"], one["input"], one.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(where, value, cls, place)
    is_field = where.path != where.before
    name = place.name(cls, where.path) if where.path else ""
    if kind == "missing":
        return f"{name} is missing: give it"
    if kind == "value_error":
        text = render(one["msg"].removeprefix(VALUE_ERROR), where, cls, place)
        return f"{place.given(name, value)}: {text}" if is_field else text
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = context["discriminator"].strip("'")
        name = place.name(cls, (*where.path, tag))
        options = classes_anywhere(_annotation(cls, where.path))
        words = [word for option in options for word in sorted(_tags(option))]
        if kind == "union_tag_not_found":
            return f"{name} is missing: choose {_listed(words)}"
        return f"{place.given(name, context['tag'])}: choose {choices(words, context['tag'])}"
    given = place.given(name, value)
    if kind in ("literal_error", "enum"):
        return f"{given}: choose {choices(re.findall(QUOTED, context['expected']), value)}"
    if kind not in FIXES:
        return f"{given}: {one['msg']}"
    numbers = {key: f"{n:g}" if isinstance(n, float) else n for key, n in context.items()}
    return f"{given}: {FIXES[kind].format(**numbers)}"


def _annotation(cls: type[Settings], path: Sequence[str | int]) -> Any:
    """The type of the field at a path."""
    for end in range(len(path), 0, -1):
        *before, name = path[:end]
        owner = locate(cls, before).owner if before else cls
        if str(name) in owner.model_fields:
            return owner.model_fields[str(name)].annotation
    return cls


def choices(words: Sequence[str], value: Any) -> str:
    """The words to choose from, and the one that may have been meant."""
    near = close(str(value), words)
    return _listed(words) + (f" (did you mean {near}?)" if near else "")


def _listed(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _unknown(where: Located, value: Any, cls: type[Settings], place: Place) -> str:
    owner, path = where.owner, where.path
    if not path:
        return f"{owner.__name__} has a key that is no name: its names are {', '.join(owner.model_fields)}"
    belong = [one for one in flat(cls).values() if one.tags and one.path[: len(path)] == path]
    given = [one for one in belong if one.path == path or one.path[-1] in (value or {})]
    if given:
        # A union's tag is a field of every member of it, beside what does not belong.
        field = classes_anywhere(cls.model_fields[str(path[0])].annotation)
        tags = tags_of(field[0]) if field else ()
        tag = place.name(cls, (*path[:-1], tags[0][0])) if tags else "the kind"
        return "; ".join(f"{place.setting(one)} belongs to {tag} {_listed(one.tags)}" for one in given)
    now = renamed_in(owner).get(str(path[-1]))
    if now is not None:
        return f"{place.name(cls, path)} is called {place.name(cls, (*path[:-1], now))} now: write that"
    known = list(dict.fromkeys([*owner.model_fields, *(flat(owner) if owner is cls else ())]))
    near = close(str(path[-1]), known)
    fix = f"did you mean {near}?" if near else f"{owner.__name__} has {', '.join(known)}"
    return f"there is no {place.name(cls, path)}: {fix}"


def render(text: str, where: Located, cls: type[Settings], place: Place) -> str:
    """A validator's message, whose `{field}` is a field of its class, in the spelling of the place."""
    fields = {name: setting.path for name, setting in flat(where.owner).items()}
    fields |= {name: (name,) for name in where.owner.model_fields}
    return substitute(text, fields, lambda path: place.name(cls, (*where.before, *path)))


def substitute(
    text: str, fields: Mapping[str, tuple[str, ...]], spelling: Callable[[tuple[str, ...]], str]
) -> str:
    """`text` with `{field}` replaced where it names one of the fields; any other brace stays."""
    return re.sub(
        r"\{(\w+)\}",
        lambda match: spelling(fields[match[1]]) if match[1] in fields else match[0],
        text,
    )


def close(name: str, known: Iterable[str]) -> str | None:
    """The known name that is spelled most alike, if one is."""
    return next(iter(get_close_matches(name, list(known), 1)), None)
