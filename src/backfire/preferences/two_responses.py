"""Rows of two responses, neither of which is named the better: another column says which one was preferred."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from backfire.errors import InputError
from backfire.preferences.cells import cell, number_of, side_of_value
from backfire.preferences.choices import (
    RULES,
    Choice,
    Votes,
    choice_of,
    counted_votes,
    most_voted,
    rule_of,
    unreadable,
)
from backfire.preferences.columns import CONVERSATIONS, PREFERENCES, TWO_RESPONSES, first_pair
from backfire.preferences.look import Look
from backfire.preferences.plan import Plan, Recognised
from backfire.preferences.prompt_columns import prompt_columns
from backfire.preferences.schema import Unusable
from backfire.preferences.splitting import Side, Sides, split
from backfire.preferences.turns import Turn
from backfire.preferences.two_sides import read_prompt
from backfire.preferences.wrappers import wrapper_of

FORM = "two responses and the preferred one"
SCORES = (
    ("score_0", "score_1"),
    ("score_1", "score_2"),
    ("score_a", "score_b"),
    ("rating_a", "rating_b"),
    ("rating_1", "rating_2"),
    ("reward_1", "reward_2"),
    ("score1", "score2"),
)
SOURCES = (
    ("model_a", "model_b"),
    ("model_1", "model_2"),
    ("model_0", "model_1"),
    ("model1", "model2"),
)
FLAGS = ("winner_model_a", "winner_model_b")
BY_SCORES, BY_FLAGS, LISTS = "the higher score", "flags", "lists of texts, "
VOTES = "votes, "
UNCOUNTED = ("draft", "discarded")
"""Answers of Argilla's annotators with such a status do not count."""


def find_choice(look: Look) -> Recognised | None:
    """The form of rows with two responses and a preference.

    Raises:
        InputError: the caller named a preference that cannot be read.
    """
    wished = look.asked.get("preference")
    ours = [look.asked.get(part) for part in ("first", "second")]
    if None in ours:
        ours = [look.asked.get(part) for part in ("chosen", "rejected")]
    pair = (ours[0], ours[1]) if ours[0] and ours[1] else first_pair(look.named, TWO_RESPONSES)
    if pair is None or (ours[0] and not wished):
        if wished is None:
            return None
        raise InputError(
            f"columns maps preference to {wished!r}, but it is not known between which responses that decides: name these too,"
            f" as first=...,second=... (the columns are {', '.join(look.columns)})"
        )
    names = {"first": str(pair[0]), "second": str(pair[1])}
    decided = _decided(look, names, wished)
    if decided is None:
        return None
    more, rule = decided
    names |= more
    prompts = prompt_columns(look, also=look.lists_of_turns(CONVERSATIONS), taken=tuple(names.values()))
    sources = [
        look.named.get(f"{part}_source") or look.named.get(f"{part}_model")
        for part in map(_normal_of(look), pair)
    ]
    both = (sources[0], sources[1]) if all(sources) else first_pair(look.named, SOURCES)
    if both is not None and "chosen_source" not in look.asked:
        names |= {"first_source": str(both[0]), "second_source": str(both[1])}
    names |= prompts.names
    wrapper = None
    texts = [*look.texts(names["first"]), *look.texts(names["second"])]
    if not look.plain:
        wrapper = wrapper_of(texts, answered=True)
    if _are_lists(look, names):
        rule = LISTS + rule
    wrapped = prompts.wrapped | ({names["first"]: wrapper, names["second"]: wrapper} if wrapper else {})
    column = names.get("preference")
    meaning = RULES.get(rule.removeprefix(LISTS).removeprefix(VOTES))
    notes = (
        (f"Which response is preferred is read from `{column}`: {meaning}.",) if column and meaning else ()
    )
    return Recognised("two responses and the preferred one", names, rule, (*prompts.notes, *notes), wrapped)


def _normal_of(look: Look) -> Any:
    back = {column: name for name, column in look.named.items()}
    return lambda column: back.get(column, column)


def _decided(look: Look, names: dict[str, str], wished: str | None) -> tuple[dict[str, str], str] | None:
    """The columns that say which is preferred, and how."""
    if wished is not None:
        rule = rule_of(wished, look.values(wished), names)
        if rule is None:
            raise InputError(_unreadable(wished, look, names))
        return {"preference": wished}, rule
    flags = [look.named.get(name) for name in FLAGS]
    if all(flags):
        return {"preference": str(flags[0]), "other_preference": str(flags[1])}, BY_FLAGS
    for name in PREFERENCES:
        column = look.named.get(name)
        if column and column not in names.values() and (rule := rule_of(column, look.values(column), names)):
            return {"preference": column}, rule
    if votes := _votes(look, names):
        return votes
    back = _normal_of(look)
    own = [look.named.get(f"{back(names[part])}_score") for part in ("first", "second")]
    scores = (own[0], own[1]) if all(own) else first_pair(look.named, SCORES)
    if scores and all(look.mostly(name, lambda v: number_of(v) is not None) for name in scores):
        return {"preference": str(scores[0]), "other_preference": str(scores[1])}, BY_SCORES
    return None


def _votes(look: Look, names: dict[str, str]) -> tuple[dict[str, str], str] | None:
    """Columns of Argilla's tables: `QUESTION.responses` lists what annotators answered, `QUESTION.suggestion` is a model's."""
    for name, column in look.named.items():
        if not name.endswith(".responses"):
            continue
        votes = [vote for value in look.values(column) if isinstance(value, list) for vote in value]
        rule = rule_of(name.removesuffix(".responses"), votes, names) if votes else None
        if rule is not None:
            more = {
                "other_preference": look.named.get(name.removesuffix("responses") + "suggestion"),
                "vote_status": look.named.get(f"{name}.status"),
            }
            return {"preference": column} | {part: c for part, c in more.items() if c}, VOTES + rule
    return None


def _unreadable(column: str, look: Look, names: Mapping[str, str]) -> str:
    return f"columns maps preference to {column!r}: {unreadable(column, look.values(column), names)}"


def _are_lists(look: Look, names: Mapping[str, str]) -> bool:
    """Whether prompt and responses are JSON lists of texts in text, as LMSYS's battles on Kaggle have them."""
    columns = [names.get(part) for part in ("prompt", "first", "second")]
    return (
        not look.plain
        and all(look.mostly(column, lambda value: _listed(value) is not None) for column in columns if column)
        and all(columns)
    )


def _listed(value: Any) -> list[str] | None:
    if not isinstance(value, str) or not value.startswith("["):
        return None
    try:
        texts = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(texts, list) or not texts or not all(v is None or isinstance(v, str) for v in texts):
        return None
    return [v or "" for v in texts]


class Chosen(NamedTuple):
    """A pair, and whether the second response is its chosen one."""

    sides: Sides
    swapped: Choice
    votes: Votes | None = None
    """For the chosen and for the rejected response, where a column lists them."""


def read_choice(row: Mapping[str, Any], plan: Plan) -> Chosen:
    """One row of the form.

    Raises:
        Unusable: tie, no preference, and what makes it no pair besides.
    """
    values = [cell(row, plan, part) for part in ("first", "second")]
    if None in values:
        raise Unusable("missing side")
    votes = _listed_votes(row, plan)
    swapped = preferred(row, plan) if votes is None else most_voted(votes)
    if votes is not None and swapped:
        votes = votes.turned
    if plan.rule.startswith(LISTS):
        sides = _of_lists(row, plan, values)
        return Chosen(split([], *(sides[::-1] if swapped else sides)), swapped, votes)
    first, second = (
        side_of_value(v, plan.wrapper(part)) for v, part in zip(values, ("first", "second"), strict=True)
    )
    prompt: list[Turn] = []
    prompt_cell = None
    if "prompt" in plan.names:
        prompt_cell = cell(row, plan, "prompt")
        prompt = read_prompt(row, plan, prompt_cell)
    sides_: tuple[Side, Side] = (second, first) if swapped else (first, second)
    return Chosen(split(prompt, *sides_, loose=isinstance(prompt_cell, str)), swapped, votes)


def _listed_votes(row: Mapping[str, Any], plan: Plan) -> Votes | None:
    """The votes of a row, where the preference is a list of them; a model's suggestion where nobody voted."""
    rule = plan.rule.removeprefix(LISTS)
    if not rule.startswith(VOTES):
        return None
    value = cell(row, plan, "preference")
    votes = value if isinstance(value, list) else []
    status = cell(row, plan, "vote_status")
    if isinstance(status, list) and len(status) == len(votes):
        votes = [vote for vote, how in zip(votes, status, strict=True) if how not in UNCOUNTED]
    return counted_votes(votes or [cell(row, plan, "other_preference")], rule.removeprefix(VOTES), plan.names)


def preferred(row: Mapping[str, Any], plan: Plan) -> Choice:
    """Whether the second response is preferred.

    Raises:
        Unusable: tie, no preference.
    """
    rule = plan.rule.removeprefix(LISTS)
    value = cell(row, plan, "preference")
    if rule not in (BY_SCORES, BY_FLAGS):
        return choice_of(value, rule, plan.names)
    one, two = number_of(value), number_of(cell(row, plan, "other_preference"))
    if isinstance(value, bool):
        one, two = float(value), float(cell(row, plan, "other_preference") is True)
    if one is None or two is None:
        raise Unusable("no preference")
    if one == two:
        raise Unusable("tie")
    return two > one


def _of_lists(row: Mapping[str, Any], plan: Plan, values: list[Any]) -> list[Side]:
    """The two conversations of prompts and responses that are lists of texts."""
    questions, *answered = (_listed(value) for value in (cell(row, plan, "prompt"), *values))
    sides: list[Side] = []
    for answers in answered:
        if questions is None or answers is None or len(questions) != len(answers):
            raise Unusable("wrong type")
        sides.append(
            [
                turn
                for question, answer in zip(questions, answers, strict=True)
                for turn in (Turn("user", question), Turn("assistant", answer))
            ]
        )
    return sides
