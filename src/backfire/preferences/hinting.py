"""What to say of columns of no known form: what is there, and a mapping that fits it."""

from __future__ import annotations

from collections.abc import Mapping

from backfire.preferences.choices import rule_of, unreadable
from backfire.preferences.columns import LISTS
from backfire.preferences.look import Look
from backfire.preferences.settings import COLUMNS
from backfire.preferences.votes import vote_columns
from backfire.tables.columns import normal

CHOSEN = (
    "chosen",
    "good",
    "better",
    "best",
    "preferred",
    "winner",
    "win",
    "positive",
    "accepted",
    "accept",
    "ideal",
    "pos",
)
REJECTED = ("rejected", "bad", "worse", "worst", "dispreferred", "loser", "lose", "negative", "reject", "neg")
PROMPT = (
    "prompt",
    "question",
    "instruction",
    "query",
    "input",
    "request",
    "ask",
    "user",
    "context",
    "task",
    "problem",
)
DECISION = ("preference", "label", "winner", "choice", "vote", "verdict", "preferred", "better")
IDENTIFIERS = (
    "id",
    "ids",
    "uuid",
    "guid",
    "key",
    "hash",
    "url",
    "date",
    "timestamp",
    "split",
    "source",
    "model",
)
"""Words of the names of columns that hold text and are neither a request nor a response."""
_TEXTS = ("text", "list of role/content messages", "list of from/value messages", "role/content message")


def unknown(origin: str, look: Look) -> str:
    """The message for columns of no known form."""
    if not look.columns:
        return (
            f"{origin} holds no rows with named columns: each row has to be an object, such as {{'prompt': ..., 'chosen': ...,"
            " 'rejected': ...}, not a list, a text or a number"
        )
    columns = ", ".join(f"{name} ({shape})" for name, shape in look.shapes.items()) or "no columns"
    first = "" if look.rows else " and no rows"
    return (
        f"{origin} is in no form of preference data that backfire knows. Columns{first}: {columns}. {_proposal(look)};"
        " responses are text, or lists of {'role', 'content'} messages. docs/data.md lists every form"
    )


def _proposal(look: Look) -> str:
    texts = [
        name
        for name in look.columns
        if look.shapes[name] in _TEXTS and not look.constant(name) and not _says(name, IDENTIFIERS)
    ]
    prompt = _named(texts, PROMPT)
    rest = [name for name in texts if name != prompt]
    chosen, rejected = _named(rest, CHOSEN), _named(rest, REJECTED)
    if chosen and rejected and chosen != rejected:
        return f"Perhaps `{COLUMNS} {_mapping(prompt or _other(rest, chosen, rejected), chosen=chosen, rejected=rejected)}`"
    decision = next(
        (n for n in look.columns if n not in (prompt, *rest[:2]) and _says(n, DECISION)),
        None,
    )
    if len(rest) >= 2 and decision:
        names = {"first": rest[0], "second": rest[1]}
        if rule_of(decision, look.values(decision), names) is None:
            return unreadable(decision, look.values(decision), names)
        return f"Perhaps `{COLUMNS} {_mapping(prompt, first=rest[0], second=rest[1], preference=decision)}`"
    if len(rest) >= 2 and (votes := vote_columns(look)):
        return (
            f"Several people's votes stand in {', '.join(f'`{name}`' for name in votes[:3])}, and no column says which response"
            f" is preferred: add one, such as `winner`, with the name of the response that most of them prefer, `{rest[0]}` or"
            f" `{rest[1]}`, or tie"
        )
    if len(rest) >= 2 and prompt:
        return (
            f"Perhaps `{COLUMNS} {_mapping(prompt, chosen=rest[0], rejected=rest[1])}`, if these are the two responses, the"
            " preferred one first"
        )
    return _inside(look) or (
        "A pair needs a request and two responses, of which one is preferred: say which columns hold them by"
        f" `{COLUMNS} prompt=NAME,chosen=NAME,rejected=NAME`"
    )


def _inside(look: Look) -> str | None:
    """What is said where the columns hold objects whose keys are not known."""
    for name in look.columns:
        value = next(iter(look.values(name)), None)
        listed = isinstance(value, list) and bool(value)
        if isinstance(value, Mapping) and _says(name, (*CHOSEN, *REJECTED)) and "role" not in value:
            return (
                f"`{name}` holds objects with the keys {', '.join(map(str, list(value)[:12]))}: put the text of the response into"
                f" the column itself, and who wrote it into a column of its own, such as `{name}_model`;"
                f" or name columns of text by `{COLUMNS} chosen=NAME,rejected=NAME`"
            )
        one = value[0] if isinstance(value, list) and value else value
        if not isinstance(one, Mapping) or {"role", "from"} & one.keys():
            continue
        keys = ", ".join(map(str, list(one)[:12]))
        if {"chosen", "rejected"} <= {normal(str(key)) for key in one}:
            return f"`{name}` holds objects with the columns {keys}: make each of these a column of the table"
        if listed and name in (look.named.get(known) for known in LISTS):
            return (
                f"The objects in `{name}` have the keys {keys}, of which none is known as a rank or a score with a text: call"
                " them `response` and `score` (the larger, the better) or `rank` (the smaller, the better)"
            )
        if listed:
            return f"The objects in `{name}` have the keys {keys}: messages have `role` and `content`, or `from` and `value`"
    return None


def _mapping(prompt: str | None, **parts: str) -> str:
    parts_and_prompt = ({"prompt": prompt} if prompt else {}) | parts
    return ",".join(f"{part}={name}" for part, name in parts_and_prompt.items())


def _other(names: list[str], *taken: str) -> str | None:
    return next((name for name in names if name not in taken), None)


def _named(names: list[str], words: tuple[str, ...]) -> str | None:
    return next((name for word in words for name in names if word in normal(name).split("_")), None)


def _says(name: str, words: tuple[str, ...]) -> bool:
    return bool(set(normal(name).split("_")) & set(words))
