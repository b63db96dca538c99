"""Decoding ends: sides of which one is cut at the token limit give the label away by how they end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from backfire.errors import InputError
from backfire.pairs import Pair
from backfire.records import Response, digest
from backfire.repairing.outcome import Outcome, RepairedPair, outcome_of

Ends = Literal["drop", "cut"]


def match_ends(pairs: Sequence[Pair], how: Ends) -> Outcome:
    """Make both sides of every pair end alike, where one is truncated and the other is not.

    Args:
        how: `drop` leaves such pairs out; `cut` shortens both sides to the word count of the shorter one, so that
            both end within a sentence (stop reason `length`). Where the cut sides are equal, the pair is left out.
    """
    if how not in ("drop", "cut"):
        raise InputError(f"match ends {how!r}: use drop or cut")
    repaired_pairs, left_out = [], []
    for place, pair in enumerate(pairs):
        if pair.chosen.truncated == pair.rejected.truncated:
            repaired_pairs.append(RepairedPair(pair, "kept", "both sides end alike", place))
        elif how == "drop":
            left_out.append(("one side is truncated and the other is not", place))
        elif pair.chosen.turns or pair.rejected.turns:
            left_out.append(("one side is truncated and calls of tools cannot be cut", place))
        else:
            words = min(len(pair.chosen.text.split()), len(pair.rejected.text.split()))
            cut = replace(
                pair,
                chosen=cut_to(pair.chosen, words),
                rejected=cut_to(pair.rejected, words),
                chosen_score=None,
                rejected_score=None,
            )
            if cut.chosen.text.split() == cut.rejected.text.split():
                left_out.append(("the sides are equal where the truncated one ends", place))
            else:
                why = f"one side was truncated: both were cut to {words} words"
                repaired_pairs.append(RepairedPair(cut, "response cut", why, place))
    return outcome_of(repaired_pairs, left_out)


def cut_to(response: Response, words: int) -> Response:
    """The response's first `words` words, their white space as it was; itself where it has no more."""
    matches = list(re.finditer(r"\S+", response.text))
    if len(matches) <= words and response.truncated:
        return response
    text = response.text[: matches[words - 1].end()] if words else ""
    request_id = digest("cut", response.request_id, response.text, words)
    return replace(response, request_id=request_id, text=text, stop_reason="length", tokens=None)
