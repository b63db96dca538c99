"""What a data set says beside the texts: who wrote a side, why it stopped, how it was drawn, what kind of prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backfire.preferences.schema import as_json

SOURCES = (
    ("chosen_source", "rejected_source"),
    ("chosen_model", "rejected_model"),
    ("source_chosen", "source_rejected"),
    ("model_chosen", "model_rejected"),
    ("chosen-model", "rejected-model"),
    ("chosen_model_name", "rejected_model_name"),
)
STOPS = (
    ("chosen_stop_reason", "rejected_stop_reason"),
    ("chosen_finish_reason", "rejected_finish_reason"),
)
DECODINGS = (("chosen_decoding", "rejected_decoding"),)


UNKNOWN_SOURCE = "unknown"
"""What folders of pairs hold for the source of a response of which nobody said who wrote it."""
GIVEN = "given"
"""What they hold for the stop reason of a response that they were handed, of which nobody said why it ends."""


def source_of(value: Any) -> str | None:
    """Who wrote a side, as text; None where nothing is said."""
    name = _name_of(value)
    return None if name == UNKNOWN_SOURCE else name


def stop_of(value: Any) -> str | None:
    """Why a side ends, as text; None where nothing is said."""
    name = _name_of(value)
    return None if name == GIVEN else name


def says_nothing(column: str, value: Any) -> bool:
    """Whether a cell of a column of provenance, by its name in a folder of pairs, is as good as empty."""
    if column.endswith("_source"):
        return source_of(value) is None
    if column.endswith("_stop_reason"):
        return stop_of(value) is None
    return value in (None, "", [], {}) or (column == "tags" and value == "{}")


def _name_of(value: Any) -> str | None:
    return None if value is None else str(value) or None


def decoding_of(value: Any) -> str | None:
    """The JSON of a decoding, given as an object or its JSON; other words are kept as {"stated as": ...}."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = {"stated as": value}
    return _object(value)


def tags_of(value: Any) -> str | None:
    """The JSON of tags, given as an object or its JSON; None where there are none, and for anything else, such as a list."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return (
        _object({str(k): v if isinstance(v, str) else as_json(v) for k, v in value.items()})
        if (isinstance(value, Mapping) and value and _plain(value))
        else None
    )


def _object(value: Any) -> str | None:
    return as_json(value, sort_keys=True) if isinstance(value, Mapping) and _plain(value) else None


def _plain(value: Mapping[Any, Any]) -> bool:
    """Whether JSON can hold it; what tables hold beside that, such as dates, is no decoding and no tag."""
    try:
        as_json(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
