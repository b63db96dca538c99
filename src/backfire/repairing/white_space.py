"""White space at the ends of responses, which a bad cut of a prompt leaves: it is taken off, and the pair stays."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from backfire.pairs import Pair
from backfire.records import Response, digest

WHITE = " \t\n\r\f\v"
"""What the audit counts as white space at an end of a response."""
SIDES = ("chosen", "rejected")


def trimmed_block(block: pa.RecordBatch) -> pa.RecordBatch:
    """A block of `preferences.SCHEMA` whose responses of plain text have no white space at their ends."""
    for side in SIDES:
        text, turns = block[side], block[f"{side}_messages"]
        trimmed = pc.if_else(turns.is_valid(), text, pc.utf8_trim(text, characters=WHITE))
        block = block.set_column(block.schema.get_field_index(side), side, trimmed)
    return block


def trimmed_pair(pair: Pair) -> Pair:
    """The pair without white space at the ends of its responses of plain text; itself where there is none."""
    chosen, rejected = _trimmed(pair.chosen), _trimmed(pair.rejected)
    if chosen is pair.chosen and rejected is pair.rejected:
        return pair
    return replace(pair, chosen=chosen, rejected=rejected)


def _trimmed(response: Response) -> Response:
    text = response.text.strip(WHITE)
    if response.turns or text == response.text:
        return response
    request_id = digest("trimmed", response.request_id, response.text)
    return replace(response, request_id=request_id, text=text, tokens=None)
