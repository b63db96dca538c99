"""One row at a time: every form's reader, from a row's values to the two sides and their prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from backfire.preferences.plan import Plan
from backfire.preferences.schema import Format, Unusable
from backfire.preferences.turns import Turn, completion_of, transcript_turns, turn_of, turns_of

Row = Mapping[str, Any]
Names = Mapping[str, str]


class Sides(NamedTuple):
    turns: list[Turn]
    """The prompt."""
    chosen: str
    rejected: str


def sides_of(row: Row, plan: Plan) -> Sides:
    """Read one row of any form but labelled completions, which need their whole data set.

    Raises:
        Unusable: what makes the row no pair, in its form.
    """
    return _READERS[plan.format](row, plan.names)


def swapped(row: Row, names: Names) -> bool:
    """Whether the second of two responses is the preferred one.

    Raises:
        Unusable: no preference, for anything but 0 and 1.
    """
    preferred = row.get(names["preference"])
    if isinstance(preferred, str):
        preferred = {"0": 0, "1": 1}.get(preferred)
    if isinstance(preferred, bool) or preferred not in (0, 1):
        raise Unusable("no preference")
    return bool(preferred)


def labelled(row: Row, names: Names) -> tuple[list[Turn], str, bool]:
    """A labelled completion: its prompt, its text, and whether it is desirable.

    Raises:
        Unusable: missing side, wrong type, no final assistant turn, or no preference for a label that is not
            true, false, 1 or 0.
    """
    completion, prompt = row.get(names["completion"]), row.get(names["prompt"])
    if completion is None:
        raise Unusable("missing side")
    turns = [("user", prompt)] if isinstance(prompt, str) else turns_of(prompt)
    text = completion if isinstance(completion, str) else completion_of(turns_of(completion))
    label = row.get(names["label"])
    if not isinstance(label, (bool, int)) or label not in (0, 1):
        raise Unusable("no preference")
    return turns, text, bool(label)


def _both(row: Row, names: Names, wanted: type) -> tuple[Any, Any]:
    return _of_type(row.get(names["chosen"]), row.get(names["rejected"]), wanted)


def _of_type(chosen: Any, rejected: Any, wanted: type) -> tuple[Any, Any]:
    if chosen is None or rejected is None:
        raise Unusable("missing side")
    if not isinstance(chosen, wanted) or not isinstance(rejected, wanted):
        raise Unusable("wrong type")
    return chosen, rejected


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unusable("wrong type")
    return value


def _optional(row: Row, names: Names, part: str) -> str:
    value = row.get(names[part]) if part in names else None
    return "" if value is None else _text(value)


def _system(row: Row, names: Names) -> list[Turn]:
    said = _optional(row, names, "system")
    return [("system", said)] if said.strip() else []


def _explicit(row: Row, names: Names) -> Sides:
    chosen, rejected = _both(row, names, str)
    return Sides([("user", _text(row.get(names["prompt"])))], chosen, rejected)


def _implicit(row: Row, names: Names) -> Sides:
    """The prompt is what both sides begin with, up to a space, so that no word is cut."""
    chosen, rejected = _both(row, names, str)
    shared = _shared(chosen, rejected)
    while 0 < shared < max(len(chosen), len(rejected)) and not chosen[shared - 1].isspace():
        shared -= 1
    return Sides([("user", chosen[:shared])], chosen[shared:], rejected[shared:])


def _shared(a: str, b: str) -> int:
    """How many characters two texts begin with alike, by halving."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _conversational(row: Row, names: Names) -> Sides:
    chosen, rejected = (turns_of(side) for side in _both(row, names, list))
    prompt = turns_of(row.get(names["prompt"]))
    return Sides(prompt, completion_of(chosen), completion_of(rejected))


def _conversational_implicit(row: Row, names: Names) -> Sides:
    chosen, rejected = (turns_of(side) for side in _both(row, names, list))
    return _after_shared(chosen, rejected)


def _after_shared(chosen: list[Turn], rejected: list[Turn]) -> Sides:
    if chosen[:-1] != rejected[:-1]:
        raise Unusable("differing prompts")
    return Sides(chosen[:-1], completion_of(chosen[-1:]), completion_of(rejected[-1:]))


def _beside(row: Row, names: Names) -> Sides:
    chosen, rejected = (turns_of(side) for side in _both(row, names, list))
    if len(chosen) > 1 or len(rejected) > 1:
        return _after_shared(chosen, rejected)
    prompt = _text(row.get(names["prompt"]))
    return Sides([("user", prompt)], completion_of(chosen), completion_of(rejected))


def _transcripts(row: Row, names: Names) -> Sides:
    chosen, rejected = (transcript_turns(side) for side in _both(row, names, str))
    return _after_shared(chosen, rejected)


def _with_system(row: Row, names: Names) -> Sides:
    chosen, rejected = _both(row, names, str)
    return Sides(
        [*_system(row, names), ("user", _text(row.get(names["prompt"])))],
        chosen,
        rejected,
    )


def _instruction_turns(row: Row, names: Names) -> list[Turn]:
    history = row.get(names["history"]) if "history" in names else None
    turns = _system(row, names)
    if history and not isinstance(history, list):
        raise Unusable("wrong type")
    for exchange in history or ():
        if not isinstance(exchange, (list, tuple)) or len(exchange) != 2:
            raise Unusable("wrong type")
        turns += [("user", _text(exchange[0])), ("assistant", _text(exchange[1]))]
    parts = [_text(row.get(names["prompt"])), _optional(row, names, "input")]
    return [*turns, ("user", "\n".join(part for part in parts if part))]


def _instruction(row: Row, names: Names) -> Sides:
    chosen, rejected = _both(row, names, str)
    return Sides(_instruction_turns(row, names), chosen, rejected)


def _outputs(row: Row, names: Names) -> Sides:
    output = row.get(names["output"])
    if output is None or (isinstance(output, list) and len(output) < 2):
        raise Unusable("missing side")
    if not isinstance(output, list) or len(output) > 2:
        raise Unusable("wrong type")
    return Sides(_instruction_turns(row, names), *_of_type(output[0], output[1], str))


def _single_turns(row: Row, names: Names) -> Sides:
    chosen, rejected = _both(row, names, object)
    prompt = turns_of(row.get(names["prompt"]))
    system = _system(row, names) if prompt[0][0] != "system" else []
    return Sides([*system, *prompt], _completion(chosen), _completion(rejected))


def _completion(side: Any) -> str:
    if isinstance(side, str):
        return side
    return completion_of([turn_of(side)] if isinstance(side, Mapping) else turns_of(side))


def _numbered(row: Row, names: Names) -> Sides:
    first, second = _of_type(row.get(names["first"]), row.get(names["second"]), str)
    prompt: list[Turn] = [("user", _text(row.get(names["prompt"])))]
    return Sides(prompt, second, first) if swapped(row, names) else Sides(prompt, first, second)


_READERS: dict[Format, Callable[[Row, Names], Sides]] = {
    "TRL standard, explicit prompt": _explicit,
    "TRL standard, implicit prompt": _implicit,
    "TRL conversational, explicit prompt": _conversational,
    "TRL conversational, implicit prompt": _conversational_implicit,
    "prompt beside whole conversations": _beside,
    "Anthropic HH transcripts": _transcripts,
    "system turn beside plain text": _with_system,
    "instruction, input and history": _instruction,
    "instruction and a list of two outputs": _outputs,
    "conversations and single turns": _single_turns,
    "two responses and the preferred one": _numbered,
}
