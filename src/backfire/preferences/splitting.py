"""Where the prompt ends and a response begins: what both sides repeat is the prompt's, what remains is the assistant's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from backfire.preferences.schema import Unusable
from backfire.preferences.turns import Turn, said_in, turns_as_json

Side = str | list[Turn]
"""A response as text, or turns of which some may be the prompt's."""


class Sides(NamedTuple):
    turns: list[Turn]
    """The prompt."""
    chosen: str
    """What the assistant says."""
    rejected: str
    chosen_messages: str | None = None
    """The side's turns as JSON, where they are not one assistant turn of plain text."""
    rejected_messages: str | None = None


def split(prompt: list[Turn], chosen: Side, rejected: Side, *, loose: bool = False) -> Sides:
    """The prompt's turns, and both sides without them.

    loose: the prompt stands beside the sides as plain text, so that where these hold turns of the user, theirs count.

    Raises:
        Unusable: no final assistant turn; differing prompts, where a side goes on with turns of the user, or where
            earlier turns differ; no prompt.
    """
    if isinstance(chosen, str) and isinstance(rejected, str):
        return Sides(speaking(prompt), chosen, rejected)
    one, two = _turns(chosen), _turns(rejected)
    if one[-1].role != "assistant" or two[-1].role != "assistant":
        raise Unusable("no final assistant turn")
    if len(one) > 1 or len(two) > 1:
        prompt, one, two = _parted(prompt, one, two, loose)
        if not (_is_one_answer(one) and _is_one_answer(two)):
            raise Unusable("differing prompts")
    return Sides(speaking(prompt), *map(said_in, (one, two)), *map(_as_messages, (one, two)))


def speaking(prompt: list[Turn]) -> list[Turn]:
    """The same turns, whose last one has to say something.

    Raises:
        Unusable: no prompt.
    """
    if not prompt or not (prompt[-1].content.strip() or prompt[-1].more):
        raise Unusable("no prompt")
    return prompt


def _turns(side: Side) -> list[Turn]:
    return [Turn("assistant", side)] if isinstance(side, str) else side


def _is_one_answer(turns: Sequence[Turn]) -> bool:
    """Whether no turn but the assistant's and a tool's is there, and no earlier answer: plain text that another turn of the
    assistant's follows at once."""
    if any(turn.role in ("user", "system") for turn in turns):
        return False
    return not any(a.role == b.role == "assistant" and not a.more for a, b in pairwise(turns))


def _as_messages(turns: Sequence[Turn]) -> str | None:
    return None if len(turns) == 1 and not turns[0].more else turns_as_json(turns)


def _parted(
    prompt: list[Turn], one: list[Turn], two: list[Turn], loose: bool
) -> tuple[list[Turn], list[Turn], list[Turn]]:
    """The whole prompt, and what each side adds to it."""
    shared = _shared(one, two)
    if not (loose and shared):
        rests = _without(prompt, one), _without(prompt, two)
        if rests[0] is not one or rests[1] is not two:
            shared = _shared(*rests)
            return prompt + rests[0][:shared], rests[0][shared:], rests[1][shared:]
    return _joined(prompt, one[:shared], loose), one[shared:], two[shared:]


def _without(prompt: list[Turn], side: list[Turn]) -> list[Turn]:
    """A side that repeats the prompt, with or without its system turn, without it; the last turn is always left."""
    spoken = [turn for turn in prompt if turn.role != "system"]
    for start in (prompt, spoken):
        if start and len(start) < len(side) and side[: len(start)] == start:
            return side[len(start) :]
    return side


def _shared(one: list[Turn], two: list[Turn]) -> int:
    """How many turns both begin with, so that each goes on with a turn of the assistant's, if any does."""
    most = min(len(one), len(two)) - 1
    shared = next((i for i in range(most) if one[i] != two[i]), most)
    while shared and not (one[shared].role == two[shared].role == "assistant"):
        shared -= 1
    return shared


def _joined(prompt: list[Turn], repeated: list[Turn], loose: bool) -> list[Turn]:
    """The prompt, and what both sides began with, where they did not begin with the prompt.

    Where both hold turns of the user's, the sides tell the whole conversation, and theirs count.
    """
    if not repeated or not prompt:
        return repeated or prompt
    if all(turn.role == "system" for turn in repeated):
        return repeated + [turn for turn in prompt if turn.role != "system"]
    asks = any(turn.role == "user" for turn in repeated)
    if asks and (loose or prompt[-1].role == "user"):
        named = prompt[0].role == "system" and repeated[0].role != "system"
        return [prompt[0], *repeated] if named else repeated
    return prompt + repeated
