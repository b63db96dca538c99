"""Which of two responses is preferred: every spelling of that decision, read by one rule for a whole column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backfire.preferences.cells import number_of
from backfire.preferences.schema import Unusable
from backfire.tables.columns import normal

FIRST, SECOND = False, True
Choice = bool
"""Whether the second is preferred."""
TIES = (
    "tie",
    "tied",
    "equal",
    "same",
    "both",
    "neither",
    "draw",
    "none",
    "either",
    "bothbad",
    "both_bad",
    "both_good",
    "tie_(bothbad)",
    "tie_(both_bad)",
    "both_are_bad",
    "no_preference",
    "a=b",
)
_FIRST = (
    "a",
    "left",
    "first",
    "1",
    "model_a",
    "response_a",
    "answer_a",
    "assistant_a",
    "option_a",
    "a_is_better",
    "one",
)
_SECOND = (
    "b",
    "right",
    "second",
    "2",
    "model_b",
    "response_b",
    "answer_b",
    "assistant_b",
    "option_b",
    "b_is_better",
    "two",
)
_STRENGTHS = {
    "a>>b": "a",
    "a>b": "a",
    "b>a": "b",
    "b>>a": "b",
    "a<b": "b",
    "a<<b": "b",
    "b<a": "a",
    "b<<a": "a",
}

RULES: dict[str, str] = {
    "0 the first, 1 the second": "0 stands for the first response, 1 for the second",
    "1 the first, 2 the second": "1 stands for the first response, 2 for the second, 0 for a tie",
    "1 the first, 0 the second": "1 stands for the first response, 0 for the second",
    "true the first": "true stands for the first response, false for the second",
    "negative the first": "a negative number stands for the first response, a positive one for the second, 0 for a tie",
    "positive the first": "a positive number stands for the first response; 0 is a tie, and a negative one prefers neither",
    "words": "a word or the name of a column stands for a response",
}
_NUMBERS: dict[str, dict[float, Choice]] = {
    "0 the first, 1 the second": {0: FIRST, 1: SECOND},
    "1 the first, 2 the second": {1: FIRST, 2: SECOND},
    "1 the first, 0 the second": {1: FIRST, 0: SECOND},
}


def choice_of(value: Any, rule: str, names: Mapping[str, str]) -> Choice:
    """Whether the second response is preferred, by one of RULES. `names` has the columns `first` and `second`.

    Raises:
        Unusable: tie; no preference, for a value that the rule does not know.
    """
    if isinstance(value, Mapping) and "selected" in value:
        value = value["selected"]
    if isinstance(value, str) and normal(value) in TIES:
        raise Unusable("tie")
    chosen = _by_rule(value, rule, names)
    if chosen is None:
        raise Unusable("no preference")
    return chosen


class Votes(NamedTuple):
    """How many people prefer the first response, the second, and neither."""

    first: int
    second: int
    tied: int

    @property
    def turned(self) -> Votes:
        return Votes(self.second, self.first, self.tied)


def counted_votes(values: Iterable[Any], rule: str, names: Mapping[str, str]) -> Votes:
    """What several people said, counted; values that say nothing are no votes."""
    votes: Counter[Choice] = Counter()
    ties = 0
    for value in values:
        try:
            votes[choice_of(value, rule, names)] += 1
        except Unusable as why:
            ties += why.kind == "tie"
    return Votes(votes[FIRST], votes[SECOND], ties)


def most_voted(votes: Votes) -> Choice:
    """Whether most of several people prefer the second response.

    Raises:
        Unusable: tie, where as many prefer either; no preference, where nobody says anything.
    """
    if votes.first == votes.second:
        raise Unusable("tie" if sum(votes) else "no preference")
    return votes.second > votes.first


def _by_rule(value: Any, rule: str, names: Mapping[str, str]) -> Choice | None:
    if rule == "words":
        return _word(value, names)
    if rule == "true the first":
        return None if (first := _truth(value)) is None else not first
    number = number_of(value)
    if number is None:
        return None
    if rule in _NUMBERS:
        if rule == "1 the first, 2 the second" and number == 0:
            raise Unusable("tie")
        return _NUMBERS[rule].get(number)
    if number == 0:
        raise Unusable("tie")
    if rule == "positive the first":
        return FIRST if number > 0 else None
    return number > 0


def _word(value: Any, names: Mapping[str, str]) -> Choice | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = f"{value:g}"
    if not isinstance(value, str):
        return None
    word = normal(value.strip("[]() "))
    word = _STRENGTHS.get(word.replace("_", ""), word)
    for part, second in (("first", FIRST), ("second", SECOND)):
        column = normal(names.get(part, ""))
        if column and word in (
            column,
            column.removeprefix("conversation_"),
            column.removesuffix("_response"),
        ):
            return second
    if word in _FIRST:
        return FIRST
    return SECOND if word in _SECOND else None


def _truth(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def rule_of(column: str, values: Sequence[Any], names: Mapping[str, str]) -> str | None:
    """The rule by which a column's first values are read; None where they can mean one thing as well as another."""
    name = normal(column)
    if name in ("preference_strength", "overall_preference"):
        return "negative the first"
    if name in ("safer_response_id", "better_response_id"):
        return "0 the first, 1 the second"
    if name == "net_utility":
        return "positive the first"
    values = [
        value["selected"] if isinstance(value, Mapping) and "selected" in value else value for value in values
    ]
    decisive = [v for v in values if not (isinstance(v, str) and (normal(v) in TIES or not v.strip()))]
    if not decisive:
        return "words"
    if _nearly_all(decisive, lambda value: _truth(value) is not None):
        return "true the first"
    numbers = {number for value in decisive if (number := number_of(value)) is not None}
    if numbers and _nearly_all(decisive, lambda value: number_of(value) is not None):
        return _numbered(name, numbers, names)
    return "words" if _nearly_all(decisive, lambda value: _word(value, names) is not None) else None


def unreadable(column: str, values: Iterable[Any], names: Mapping[str, str]) -> str:
    """What is said of a column whose values can mean one response as well as the other, or neither."""
    seen = list(dict.fromkeys(repr(value) for value in values))[:6]
    return (
        f"`{column}` holds {', '.join(seen)}, which does not say which of `{names['first']}` and `{names['second']}` is"
        " preferred. Fix: write 0 and 1, 1 and 2, A and B, left and right, or the names of these columns, and tie for a tie"
    )


def _numbered(name: str, numbers: set[float], names: Mapping[str, str]) -> str | None:
    ends = [normal(names.get(part, ""))[-1:] for part in ("first", "second")]
    if name == "labels" and numbers <= {0, 1}:
        return "1 the first, 0 the second"
    if ends == ["1", "2"] and numbers <= {0, 1, 2} and numbers != {0, 1}:
        return "1 the first, 2 the second"
    if numbers == {1, 2}:
        return "1 the first, 2 the second"
    if numbers == {1} and names and ends != ["0", "1"]:  # places in a list are counted from 0
        return None
    if numbers <= {0, 1} or (name.endswith("_id") and numbers <= {-1, 0, 1}):
        return "0 the first, 1 the second"
    return None


def _nearly_all(values: Sequence[Any], is_so: Callable[[Any], bool]) -> bool:
    return sum(map(is_so, values)) >= 0.9 * len(values)
