"""Rows of one response each, with a label (KTO) or a score: what of a row makes the half of a pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from backfire.preferences.cells import cell, number_of, side_of_value, text_of, with_system
from backfire.preferences.columns import CONVERSATIONS
from backfire.preferences.look import Look
from backfire.preferences.plan import Plan, Recognised
from backfire.preferences.prompt_columns import prompt_columns
from backfire.preferences.schema import Unusable
from backfire.preferences.splitting import speaking
from backfire.preferences.turns import Turn, said_in, turns_as_json, turns_of
from backfire.preferences.two_sides import read_prompt
from backfire.tables.columns import normal

LABELS = (
    "label",
    "kto_tag",
    "labels",
    "desirable",
    "is_desirable",
    "thumbs_up",
    "feedback",
    "rating",
    "preference",
    "accepted",
    "binary_label",
)
COMPLETIONS = ("completion", "response", "output", "answer", "generation", "text", "chosen")
SCORES = ("reward", "score", "rating", "overall_score", "helpfulness", "quality", "preference_score", "label")
"""The larger, the better."""
SOURCES = ("completion_source", "completion_model", "response_model", "model", "generator")
DESIRABLE = (
    "true",
    "1",
    "1.0",
    "yes",
    "desirable",
    "good",
    "thumbs_up",
    "👍",
    "like",
    "liked",
    "up",
    "positive",
    "accepted",
    "chosen",
    "preferred",
    "+1",
)
UNDESIRABLE = (
    "false",
    "0",
    "0.0",
    "no",
    "undesirable",
    "bad",
    "thumbs_down",
    "👎",
    "dislike",
    "disliked",
    "down",
    "negative",
    "rejected",
    "dispreferred",
    "-1",
    "-1.0",
)


def label_of(value: Any) -> bool | None:
    """Whether a label calls a response desirable; None for a value that says neither."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return True if value == 1 else False if value in (0, -1) else None
    if isinstance(value, str):
        word = normal(value) if value.strip()[:1] not in "+-" else value.strip()
        return True if word in DESIRABLE else False if word in UNDESIRABLE else None
    return None


def find_labelled(look: Look) -> Recognised | None:
    """The form of completions with labels: TRL's columns, or messages whose last turn is the completion."""
    label = look.asked.get("label") or next(
        (
            look.named[n]
            for n in LABELS
            if n in look.named and look.mostly(look.named[n], lambda v: label_of(v) is not None)
        ),
        None,
    )
    if label is None or {"chosen", "rejected"} <= look.named.keys():
        return None
    if (
        len({label_of(value) for value in look.values(label)} - {None}) < 2
        and normal(label) not in LABELS[:2]
    ):
        return None
    return _form_of(look, "label", label, "completions with labels")


def find_scored(look: Look) -> Recognised | None:
    """The form of single responses with a number each, several rows for a prompt."""
    score = look.asked.get("score") or next(
        (
            look.named[n]
            for n in SCORES
            if n in look.named and look.mostly(look.named[n], lambda v: number_of(v) is not None)
        ),
        None,
    )
    if score is None or {"chosen", "rejected"} <= look.named.keys():
        return None
    return _form_of(look, "score", score, "completions with scores")


def _form_of(look: Look, part: str, column: str, form: Any) -> Recognised | None:
    completion = look.asked.get("completion") or next(
        (look.named[n] for n in COMPLETIONS if n in look.named and look.named[n] != column), None
    )
    turns = look.lists_of_turns(CONVERSATIONS)
    names = {part: column}
    if completion is not None:
        prompts = prompt_columns(look, also=turns, taken=(column, completion))
        if prompts.shape is None:
            return None
        names |= {"completion": completion}
    elif turns is not None:
        prompts = prompt_columns(look, taken=(column, turns))
        system = {name: c for name, c in prompts.names.items() if name == "system"}
        return Recognised(
            form, names | {"conversation": turns} | system | _source(look), notes=_notes(part, column)
        )
    else:
        return None
    return Recognised(
        form,
        names | prompts.names | _source(look),
        "",
        (*prompts.notes, *_notes(part, column)),
        prompts.wrapped,
    )


def _source(look: Look) -> dict[str, str]:
    """A single response names its own author, in one column."""
    own = look.column(*SOURCES)
    return {"source": own} if own and "chosen_source" not in look.asked else {}


def _notes(part: str, column: str) -> tuple[str, ...]:
    if part == "label":
        return ()
    return (
        f"Within a prompt, the response with the largest `{column}` is chosen over that with the smallest.",
    )


class Half(NamedTuple):
    """One row's prompt and response."""

    turns: list[Turn]
    text: str
    messages: str | None
    worth: float
    """1 and 0 for labels, the score otherwise."""


def half_of(row: Mapping[str, Any], plan: Plan) -> Half:
    """One row's half of a pair.

    Raises:
        Unusable: missing side, no prompt, wrong type, no final assistant turn, or no preference for a label or a score
            that says nothing.
    """
    if "conversation" in plan.names:
        value = cell(row, plan, "conversation")
        if value is None:
            raise Unusable("missing side")
        turns = with_system(text_of(cell(row, plan, "system")), turns_of(value))
        prompt, side = last_answer(turns)
    else:
        value = cell(row, plan, "completion")
        if value is None:
            raise Unusable("missing side")
        prompt_cell = cell(row, plan, "prompt")
        prompt = read_prompt(row, plan, prompt_cell)
        response = side_of_value(value, plan.wrapper("completion"))
        side = [Turn("assistant", response)] if isinstance(response, str) else response
        if any(turn.role == "user" for turn in side):
            prompt, side = last_answer(side)
    if side[-1].role != "assistant":
        raise Unusable("no final assistant turn")
    plain = len(side) == 1 and not side[0].more
    return Half(speaking(prompt), said_in(side), None if plain else turns_as_json(side), _worth(row, plan))


def last_answer(turns: list[Turn]) -> tuple[list[Turn], list[Turn]]:
    """A conversation up to the last turn that is not the assistant's or a tool's, and what follows."""
    last = next((i for i in range(len(turns), 0, -1) if turns[i - 1].role in ("user", "system")), 0)
    if last == len(turns):
        raise Unusable("no final assistant turn")
    return turns[:last], turns[last:]


def _worth(row: Mapping[str, Any], plan: Plan) -> float:
    if "label" in plan.names:
        label = label_of(row.get(plan.names["label"]))
        worth = None if label is None else float(label)
    else:
        worth = number_of(row.get(plan.names["score"]))
    if worth is None:
        raise Unusable("no preference")
    return worth
