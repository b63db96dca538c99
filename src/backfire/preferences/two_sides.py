"""Rows that name their sides: chosen and rejected, with the prompt in a column of its own, or repeated in both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from backfire.errors import InputError
from backfire.preferences.cells import cell, number_of, prompt_of_value, side_of_value, text_of, with_system
from backfire.preferences.columns import CONVERSATIONS, LISTS, PAIRS, SCORED_SIDES, first_pair
from backfire.preferences.look import Look
from backfire.preferences.plan import Plan, Recognised
from backfire.preferences.prompt_columns import HALF, PromptColumns, prompt_columns
from backfire.preferences.schema import Format, Unusable
from backfire.preferences.settings import COLUMNS
from backfire.preferences.splitting import Side, Sides, speaking, split
from backfire.preferences.turns import SPELLINGS, Turn, role_of, turns_of
from backfire.preferences.wrappers import HH, NEARLY_ALL, wrapper_of

TIES = ("tie", "tied", "equal")
ALIKE = 0.9
"""Sides of text without a prompt's column have their prompt in common when so many first rows begin with the same two
words or more; responses to one request often begin alike by themselves."""


def find_sides(look: Look) -> Recognised | None:
    """The form of rows whose two sides have a column each."""
    pair = first_pair(look.named, PAIRS)
    chosen = look.asked.get("chosen") or (pair and pair[0])
    rejected = look.asked.get("rejected") or (pair and pair[1])
    if not chosen or not rejected or "preference" in look.asked:
        return None
    shape = _shape([*look.values(chosen), *look.values(rejected)])
    if shape is None or _are_numbers_of_a_list(look, chosen, rejected):
        return None
    prompts = prompt_columns(look, also=_conversations(look, chosen, rejected))
    wrapper = None
    if shape == "text" and not look.plain:
        share = HALF if prompts.shape is None else NEARLY_ALL
        wrapper = wrapper_of([*look.texts(chosen), *look.texts(rejected)], answered=True, share=share)
    names = {"chosen": chosen, "rejected": rejected} | prompts.names | _beside(look, chosen, rejected)
    wrapped = {chosen: wrapper, rejected: wrapper} if wrapper else {}
    form = _form(look, names, prompts, "turns" if wrapper else shape, wrapper)
    if form is None:
        return None
    return Recognised(form, names, notes=prompts.notes, wrapped=wrapped | prompts.wrapped)


def _are_numbers_of_a_list(look: Look, *sides: str) -> bool:
    """Whether the sides are whole numbers beside a list of responses, and so say which of these is meant."""
    lists = (look.named[name] for name in LISTS if name in look.named)
    return all(look.mostly(side, lambda v: type(v) is int) for side in sides) and any(
        look.mostly(name, lambda value: isinstance(value, list) and len(value) > 1) for name in lists
    )


def _shape(values: list[Any]) -> str | None:
    """text, turns (lists of messages), or turn (single messages): what most sides are."""
    shapes = Counter(shape for value in values if (shape := _shape_of(value)) is not None)
    return shapes.most_common(1)[0][0] if shapes else None


def _shape_of(value: Any) -> str | None:
    try:
        side = side_of_value(value)
    except Unusable:
        return None
    return "text" if isinstance(side, str) else "turn" if isinstance(value, Mapping) else "turns"


def _conversations(look: Look, chosen: str, rejected: str) -> str | None:
    """The column of the turns before the sides, where these do not tell the whole conversation themselves."""
    name = look.lists_of_turns(CONVERSATIONS)
    if name in (None, chosen, rejected):
        return None
    whole = look.mostly(chosen, lambda v: isinstance(v, list) and any(_asks(turn) for turn in v))
    return None if whole else name


def _asks(turn: Any) -> bool:
    if not isinstance(turn, Mapping):
        return False
    role = next((turn[keys[0]] for keys in SPELLINGS if keys[0] in turn and keys[1] in turn), None)
    return isinstance(role, str) and role_of(role) == "user"


def _beside(look: Look, chosen: str, rejected: str) -> dict[str, str]:
    """The columns that say that a pair is a tie, and the scores of both sides."""
    names: dict[str, str] = {}
    status = look.column("status")
    if status and look.is_text(status):
        names["status"] = status
    scores = first_pair(look.named, SCORED_SIDES)
    if scores and all(look.mostly(name, lambda v: number_of(v) is not None) for name in scores):
        both = [(number_of(row.get(scores[0])), number_of(row.get(scores[1]))) for row in look.rows]
        if any(a is not None and b is not None and a != b for a, b in both):
            names |= {"chosen_score": scores[0], "rejected_score": scores[1]}
    return names


def _says_tie(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in TIES


def _form(
    look: Look, names: Mapping[str, str], prompts: PromptColumns, shape: str, wrapper: str | None
) -> Format | None:
    if prompts.shape is None:
        if shape != "text":
            if wrapper is None:
                return "TRL conversational, implicit prompt"
            return "Anthropic HH transcripts" if wrapper == HH else "chats rendered as text"
        if not _begin_alike(look, names):
            raise InputError(_no_prompt(look, names))
        return "TRL standard, implicit prompt"
    if prompts.shape == "turns":
        whole = shape == "turns" and look.mostly(
            names["chosen"], lambda v: isinstance(v, list) and any(_asks(turn) for turn in v)
        )
        if whole:
            return "prompt beside whole conversations"
        own = names["prompt"] == look.lists_of_turns(CONVERSATIONS) or shape != "turns"
        return "conversations and single turns" if own else "TRL conversational, explicit prompt"
    if shape != "text":
        return "prompt beside whole conversations"
    if names.keys() & {"input", "history"}:
        return "instruction, input and history"
    return "system turn beside plain text" if "system" in names else "TRL standard, explicit prompt"


def _begin_alike(look: Look, names: Mapping[str, str]) -> bool:
    rows = ((row.get(names["chosen"]), row.get(names["rejected"])) for row in look.rows)
    both = [(a, b) for a, b in rows if isinstance(a, str) and isinstance(b, str) and a.strip() != b.strip()]
    alike = sum(len(a[: _common(a, b)].split()) >= 2 for a, b in both)
    return bool(both) and alike >= ALIKE * len(both)


def _no_prompt(look: Look, names: Mapping[str, str]) -> str:
    first = next((row for row in look.rows if row.get(names["chosen"]) is not None), {})
    others = [name for name in look.columns if name not in names.values()]
    other = (
        f"; the other columns are {', '.join(f'{name} ({look.shapes[name]})' for name in others)}"
        if others
        else ""
    )
    return (
        f"the rows have no prompt: there are `{names['chosen']}` and `{names['rejected']}`, which do not begin alike (the"
        f" first ones begin {str(first.get(names['chosen']))[:40]!r} and {str(first.get(names['rejected']))[:40]!r}), and no"
        f" column with the request{other}. Fix: add a column `prompt`, or name the one that holds it with"
        f" `{COLUMNS} prompt=NAME`"
    )


def read_sides(row: Mapping[str, Any], plan: Plan) -> Sides:
    """One row of such a form.

    Raises:
        Unusable: what makes it no pair.
    """
    if "status" in plan.names and _says_tie(row.get(plan.names["status"])):
        raise Unusable("tie")
    if "chosen_score" in plan.names:
        a, b = (number_of(row.get(plan.names[f"{side}_score"])) for side in ("chosen", "rejected"))
        if a is not None and a == b:
            raise Unusable("tie")
    values = [cell(row, plan, side) for side in ("chosen", "rejected")]
    if None in values:
        raise Unusable("missing side")
    chosen, rejected = (
        side_of_value(value, plan.wrapper(side))
        for value, side in zip(values, ("chosen", "rejected"), strict=True)
    )
    if "prompt" in plan.names:
        prompt_cell = cell(row, plan, "prompt")
        prompt = read_prompt(row, plan, prompt_cell)
        return split(unanswered(prompt, chosen), chosen, rejected, loose=isinstance(prompt_cell, str))
    if isinstance(chosen, str) and isinstance(rejected, str):
        if plan.format != "TRL standard, implicit prompt":
            raise Unusable("wrong type")
        shared = _common(chosen, rejected)
        system = with_system(text_of(cell(row, plan, "system")), [Turn("user", chosen[:shared])])
        return Sides(speaking(system), chosen[shared:], rejected[shared:])
    return split(with_system(text_of(cell(row, plan, "system")), []), chosen, rejected)


def read_prompt(row: Mapping[str, Any], plan: Plan, own_cell: Any) -> list[Turn]:
    """The turns of a prompt whose own cell holds `told`, with what stands beside it: system, input, history.

    Raises:
        Unusable: wrong type, no prompt.
    """
    turns = prompt_of_value(own_cell, plan.wrapper("prompt"))
    if "input" in plan.names:
        further = text_of(cell(row, plan, "input"))
        last = turns[-1]
        turns = [
            *turns[:-1],
            last._replace(content="\n".join(part for part in (last.content, further) if part)),
        ]
    return with_system(text_of(cell(row, plan, "system")), [*_history(cell(row, plan, "history")), *turns])


def _history(value: Any) -> list[Turn]:
    """Earlier exchanges, as pairs of a question and an answer, or as messages."""
    if not value:
        return []
    if not isinstance(value, list):
        raise Unusable("wrong type")
    if all(isinstance(turn, Mapping) for turn in value):
        return turns_of(value)
    turns = []
    for exchange in value:
        if not isinstance(exchange, (list, tuple)) or len(exchange) != 2 or None in exchange:
            raise Unusable("wrong type")
        turns += [Turn("user", text_of(exchange[0])), Turn("assistant", text_of(exchange[1]))]
    return turns


def unanswered(prompt: list[Turn], chosen: Side) -> list[Turn]:
    """A prompt without its last turn, where that is the chosen response itself."""
    last = prompt[-1] if len(prompt) > 1 else None
    if last is None or last.role != "assistant":
        return prompt
    answer = Turn("assistant", chosen) if isinstance(chosen, str) else chosen[-1]
    return prompt[:-1] if answer == last else prompt


def _common(a: str, b: str) -> int:
    """How many characters two texts begin with alike, up to a space, so that no word is cut."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    while 0 < low < max(len(a), len(b)) and not a[low - 1].isspace():
        low -= 1
    return low
