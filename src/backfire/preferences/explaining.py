"""Defects in sentences: what they are, an example, and how they are fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from backfire.preferences.schema import DefectKind
from backfire.preferences.settings import COLUMNS, RANKED

if TYPE_CHECKING:
    from backfire.preferences.preferences import Preferences

MANY = 1 / 3
"""Share of rows left out from which this is the first thing to say of a data set: what is measured on the rest need not
hold for the file that its owner thinks of."""

HAVE: Mapping[DefectKind, str] = {
    "undecodable": "cannot be decoded",
    "wrong type": "hold a value of another type than their column",
    "no prompt": "have no prompt",
    "missing side": "lack a response",
    "blank side": "have a blank response",
    "identical sides": "have the same response on both sides",
    "differing prompts": "have sides whose earlier turns differ, so that they answer different prompts",
    "no final assistant turn": "have a side that does not end with the assistant's turn",
    "unpaired": "have no other response to the same prompt to be paired with",
    "neither best nor worst": "hold a response that is neither the best nor the worst to its prompt",
    "tie": "are ties",
    "no preference": "do not say which response is preferred",
    "late column": "have a part of the prompt in a column that the first 1,000 rows lack, and that is not read with their form",
}
FIXES: Mapping[DefectKind, str] = {
    "undecodable": "write the file anew as UTF-8, one JSON object a line, or name the format by its ending",
    "wrong type": "give every row of a column the same type: text, or a list of messages with `role` and `content`",
    "no prompt": "add the request to every row in a column `prompt`, or name the column that holds it with"
    f" `{COLUMNS} prompt=NAME`",
    "missing side": "give every row both responses, or remove the rows that lack one",
    "blank side": "remove these rows, or fill in the response",
    "identical sides": "remove these rows: a pair of equal responses teaches nothing",
    "differing prompts": "let both sides of a row begin with the same turns, and differ in the last answer only",
    "no final assistant turn": "end both sides with a turn whose role is `assistant`",
    "unpaired": "give every prompt at least one desirable and one undesirable response (or two different scores)",
    "neither best nor worst": f"nothing needs fixing; `{RANKED} best-rest` pairs the best response with each other one",
    "tie": "nothing needs fixing: a tie is no preference, and is left out",
    "late column": "give the first row every column (such as `system` or `tools`), empty where it has nothing to say",
    "no preference": "write the preference as 0 or 1, A or B, true or false, or name its column with"
    f" `{COLUMNS} preference=NAME`",
}


def no_pairs(preferences: Preferences) -> str:
    """Why no row gave a pair, with the commonest defect, an example and the fix. To be called after a full pass."""
    rows, defects = preferences.rows, preferences.defects
    if not rows:
        return f"{preferences.origin} has no rows. Fix: name a file with at least one row"
    by_count = sorted(defects.items(), key=lambda item: -len(item[1]))
    counts = ", ".join(
        f"{len(numbers):,} {_what_they_have(kind, len(numbers))} ({kind})" for kind, numbers in by_count
    )
    kind = by_count[0][0]
    example = preferences.examples.get(kind)
    shown = f"; row {example.row} holds {example.value}" if example else ""
    the = f"none of the {rows:,} rows" if rows > 1 else "the one row"
    gives = "gives a pair" if rows > 1 else "gives no pair"
    return f"{the} of {preferences.origin} {gives} (read as {preferences.format}): {counts}{shown}. Fix: {FIXES[kind]}"


def remarked(remarks: Mapping[str, list[int]]) -> tuple[str, ...]:
    """Sentences on rows that were read, but not as they stand."""
    media = [
        f"{what} in {len(remarks[what]):,} rows" for what in ("images", "videos", "audio") if what in remarks
    ]
    sentences = []
    if media:
        sentences.append(
            f"There are {' and '.join(media)}: the text is read, and what it is about is not seen."
        )
    if "numbers read as text" in remarks:
        sentences.append(
            f"In {len(remarks['numbers read as text']):,} rows a response is a number, and is read as text."
        )
    if "pairs of a list left out" in remarks:
        rows = len(remarks["pairs of a list left out"])
        sentences.append(
            f"In {rows:,} rows some of the ranked responses are blank or equal to the best, and give no pair."
        )
    return tuple(sentences)


def left_out_first(rows: int, defects: Mapping[DefectKind, int]) -> str | None:
    """The sentence on rows left out, where these are so many that it has to come first; None where they are few."""
    left = sum(defects.values())
    if not rows or left < MANY * rows:
        return None
    by_count = sorted(defects.items(), key=lambda item: -item[1])
    counts = ", ".join(f"{count:,} {_what_they_have(kind, count)}" for kind, count in by_count)
    most = by_count[0][0]
    fix = FIXES[most]
    return (
        f"{left:,} of {rows:,} rows ({left / rows:.0%}) give no pair and are left out: {counts}. Everything below is said"
        f" of the rest alone. Fix: {fix}."
    )


def _what_they_have(kind: DefectKind, count: int) -> str:
    words = HAVE[kind]
    if count != 1:
        return words
    verb, _, rest = words.partition(" ")
    one = {"have": "has", "hold": "holds", "are": "is", "lack": "lacks", "do": "does", "cannot": "cannot"}[
        verb
    ]
    return f"{one} {rest}" if kind != "tie" else "is a tie"
