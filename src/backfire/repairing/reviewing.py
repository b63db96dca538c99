"""`review`: a person's decisions about single pairs, which are kept, dropped or swapped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from backfire.answers.decisions import ReaderDecisions, pair_key
from backfire.errors import InputError
from backfire.pairs import Pair
from backfire.repairing.given import GivenPairs
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of

MOST_NAMED = 5
WHY = "a reader marked it {mark}"
NOT_MARKED = "no reader marked it"


def review_pairs(given: GivenPairs, decisions: ReaderDecisions, file: str) -> Outcome:
    """Do what the decisions say. Pairs without one stay as they are.

    Every decision is bound to a row and to the texts of its pair. Raises InputError where the data set has no such pair in that row:
    the decisions are then about other pairs.
    """
    marks = {(one.row, one.pair): one.mark for one in decisions.decisions}
    keys = [(row, key_of(pair)) for row, pair in zip(given.rows, given.pairs, strict=True)]
    _about_these(marks, Counter(keys), given, file)
    pairs, left_out = [], []
    for place, (key, pair) in enumerate(zip(keys, given.pairs, strict=True)):
        mark = marks.get(key)
        why = NOT_MARKED if mark is None else WHY.format(mark=mark)
        if mark == "drop":
            left_out.append((why, place))
        elif mark == "swap":
            pairs.append(RepairedPair(pair.exchanged, "labels switched", why, place))
        else:
            pairs.append(RepairedPair(pair, "kept", why, place))
    return outcome_of(pairs, left_out)


def key_of(pair: Pair) -> str:
    """What decisions about the pair are bound to."""
    return pair_key(pair.prompt.id, pair.chosen.text, pair.rejected.text)


def _about_these(
    marks: Mapping[tuple[int, str], str], there: Mapping[tuple[int, str], int], given: GivenPairs, file: str
) -> None:
    absent = sorted(row for row, key in marks if (row, key) not in there)
    if not absent:
        return
    rows = ", ".join(map(str, absent[:MOST_NAMED])) + (
        f" and {len(absent) - MOST_NAMED} more" if absent[MOST_NAMED:] else ""
    )
    raise InputError(
        f"{file} decides about pairs that {given.origin} does not have (row {rows}): it is of another data set, or the rows have"
        " changed since. Write the page anew (`backfire audit DATASET --worst 50`), and decide about what it shows"
    )
