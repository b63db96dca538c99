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


def name_of(value: Any) -> str | None:
    """A source or a stop reason as text; None where nothing is said."""
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
    """The JSON of tags, given as an object or its JSON; None for anything else, such as a list of topics."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return (
        _object({str(k): v if isinstance(v, str) else as_json(v) for k, v in value.items()})
        if (isinstance(value, Mapping) and _plain(value))
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
