"""What several people value of a pair: columns of votes beside a preference, counted for chosen and for rejected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from backfire.preferences.cells import cell, number_of
from backfire.preferences.choices import RULES, Votes, choice_of, counted_votes, rule_of
from backfire.preferences.look import NEARLY_ALL, Look
from backfire.preferences.plan import Plan, Recognised
from backfire.preferences.schema import Unusable
from backfire.tables.columns import normal

COUNTS_OF_SIDES = (
    ("chosen_votes", "rejected_votes"),
    ("votes_chosen", "votes_rejected"),
    ("num_chosen", "num_rejected"),
    ("n_chosen", "n_rejected"),
)
COUNTS_OF_RESPONSES = (
    ("votes_0", "votes_1"),
    ("votes_1", "votes_2"),
    ("votes_a", "votes_b"),
    ("num_votes_a", "num_votes_b"),
    ("n_votes_a", "n_votes_b"),
    ("count_a", "count_b"),
)
"""How many people preferred either response."""
COUNTS_OF_TIES = ("votes_tie", "tie_votes", "num_ties", "n_ties", "count_tie")
LISTS = (
    "individual_preference",
    "individual_preferences",
    "individual_labels",
    "annotator_preferences",
    "annotator_labels",
    "annotator_votes",
    "annotations",
    "preferences",
    "judgments",
    "votes",
    "labels",
)
"""What each of several people value, in one cell."""
NUMBERED = re.compile(
    r"(annotator|annotation|rater|judge|vote|label|preference|choice)_?\d{1,2}(_(label|preference|vote|choice))?"
)
"""What each of them value, in a column each."""
KEYS = (
    "overall_preference",
    "preference",
    "score",
    "label",
    "vote",
    "choice",
    "selected",
    "winner",
    "value",
    "answer",
)
"""Where an object holds what one of them value."""
MOST = 20
"""Columns of this kind that are read."""
COUNTS = "counts"
"""The rule of columns that hold how many votes there were."""


def find_votes(look: Look, form: Recognised, taken: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The columns of votes, and the rule that they are read by; nothing where there are none, or none that can be read.

    taken: the columns that are read as something else, by part.
    """
    named = {part: form.names[part] for part in ("first", "second") if part in form.names}
    sides = named or {part: form.names[part] for part in ("chosen", "rejected") if part in form.names}
    if len(sides) != 2:
        return {}, ""
    used = set(taken.values())
    tied = look.column(*COUNTS_OF_TIES)
    for pair in COUNTS_OF_RESPONSES if named else COUNTS_OF_SIDES:
        counts = [look.named[name] for name in pair if name in look.named]
        if len(counts) == 2 and not used & set(counts) and all(look.mostly(c, _is_count) for c in counts):
            more = dict(zip(("votes_1", "votes_2"), counts, strict=True))
            return more | ({"votes_tied": tied} if tied and look.mostly(tied, _is_count) else {}), COUNTS
    for name in LISTS:
        column = look.named.get(name)
        if column and column not in used and look.mostly(column, lambda value: isinstance(value, list)):
            values = [
                _vote_of(one) for value in look.values(column) if isinstance(value, list) for one in value
            ]
            if rule := _rule(column, values, sides, form.rule if named else "words"):
                return {"votes_1": column}, rule
    columns = [c for name, c in look.named.items() if NUMBERED.fullmatch(normal(name)) and c not in used][
        :MOST
    ]
    values = [_vote_of(value) for column in columns for value in look.values(column)]
    if len(columns) > 1 and (rule := _rule(columns[0], values, sides, form.rule if named else "words")):
        return {f"votes_{place}": column for place, column in enumerate(columns, 1)}, rule
    return {}, ""


def vote_columns(look: Look) -> list[str]:
    """Columns that by their names hold what several people said of a pair."""
    listed = [look.named[name] for name in LISTS if name in look.named and any(look.values(look.named[name]))]
    numbered = [column for name, column in look.named.items() if NUMBERED.fullmatch(normal(name))]
    return [*listed, *(numbered if len(numbered) > 1 else ())]


def _rule(column: str, values: Sequence[Any], sides: Mapping[str, str], of_preference: str) -> str:
    """The rule of the preference, where nearly all values can be read by it; else one of their own."""
    own = None if of_preference == "words" and "chosen" in sides else rule_of(column, values, sides)
    for rule in (of_preference, own):
        if rule in RULES and values and _readable(values, rule, sides) >= NEARLY_ALL * len(values):
            return rule
    return ""


def _readable(values: Sequence[Any], rule: str, sides: Mapping[str, str]) -> int:
    count = 0
    for value in values:
        try:
            choice_of(value, rule, _names(sides))
        except Unusable as why:
            count += why.kind == "tie"
        else:
            count += "chosen" not in sides or _names_side(value, sides)
    return count


def _names_side(value: Any, sides: Mapping[str, str]) -> bool:
    """Whether a value names the column of a side: beside chosen and rejected, A and B say nothing of which is which."""
    return isinstance(value, str) and normal(value) in {normal(column) for column in sides.values()}


def _names(sides: Mapping[str, str]) -> dict[str, str]:
    return dict(zip(("first", "second"), sides.values(), strict=True))


def _is_count(value: Any) -> bool:
    number = number_of(value)
    return number is not None and number >= 0 and number.is_integer()


def _vote_of(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return next((value[key] for key in KEYS if value.get(key) is not None), None)


def votes_in(row: Mapping[str, Any], plan: Plan, *, swapped: bool) -> Votes | None:
    """The votes of a row, for the chosen and for the rejected response; None where it has none.

    swapped: whether the second of two responses is the chosen one.
    """
    parts = [part for part in plan.names if part.startswith("votes_") and part != "votes_tied"]
    try:
        cells = [cell(row, plan, part) for part in parts]
    except Unusable:
        return None
    if plan.vote_rule == COUNTS:
        numbers = [number_of(value) for value in (*cells, cell(row, plan, "votes_tied"))]
        if any(number is None or number < 0 for number in numbers[:2]):
            return None
        first, second, tied = (int(number or 0) for number in numbers)
        votes = Votes(first, second, tied)
    else:
        values = [one for value in cells for one in (value if isinstance(value, list) else [value])]
        sides = {
            part: plan.names[part] for part in ("first", "second", "chosen", "rejected") if part in plan.names
        }
        votes = counted_votes(map(_vote_of, values), plan.vote_rule, _names(sides))
    return (votes.turned if swapped else votes) if sum(votes) else None
