"""Messages that a table holds as text: JSON, Python's spelling of a list (as pandas writes it), and numpy's."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from typing import Any

from backfire.preferences.schema import Unusable
from backfire.preferences.turns import SPOKEN, turns_of

LARGEST = 1 << 20
"""Characters of a text that is read as Python's; a longer one is none."""
DEEPEST = 40
"""Brackets within brackets in such a text."""
NEARLY_ALL = 0.9
_KNOWN = (*SPOKEN, "tool", "function", "ipython")
_LIST = re.compile(r"\s*(?:array\()?\[")
_OBJECT = re.compile(r"\s*\{")
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ARRAY = re.compile(r"array\(")
_TYPE = re.compile(r",\s*dtype=[\w<>.]+\s*\)")
_WORDS = (
    (re.compile(r"\b(?:null|nan)\b"), "None"),
    (re.compile(r"\btrue\b"), "True"),
    (re.compile(r"\bfalse\b"), "False"),
)
_BETWEEN = re.compile(r"([}\]])(\s+)(?=[{\[])")


def value_in(text: str) -> Any:
    """The list or object that a text spells, in JSON or in Python's or numpy's way; None for any other text."""
    if not (_LIST.match(text) or _OBJECT.match(text)):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _of_python(text)
    return value if isinstance(value, (list, dict)) else None


def _of_python(text: str) -> Any:
    if len(text) > LARGEST or _deep(text):
        return None
    for spelled in (text, _as_python(text)):
        try:
            return ast.literal_eval(spelled.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return None


def _deep(text: str) -> bool:
    depth = 0
    for piece in re.findall(r"[\[{(]|[\]})]", _STRING.sub("''", text)):
        depth += 1 if piece in "[{(" else -1
        if depth > DEEPEST:
            return True
    return False


def _as_python(text: str) -> str:
    """numpy's spelling as Python's: no `array(..., dtype=object)`, and commas between items that it parts by line breaks.

    What stands in quotes is not touched.
    """
    pieces, at = [], 0
    for quoted in _STRING.finditer(text):
        pieces += [_plain(text[at : quoted.start()]), quoted.group()]
        at = quoted.end()
    return "".join([*pieces, _plain(text[at:])])


def _plain(between: str) -> str:
    text = _TYPE.sub("", _ARRAY.sub("", between)) if "array" in between or "dtype" in between else between
    for word, spelled in _WORDS:
        text = word.sub(spelled, text)
    return _BETWEEN.sub(r"\1,\2", text)


def is_messages(value: Any) -> bool:
    """Whether a value is a message with one of the known roles, or a list of such."""
    turns = value if isinstance(value, list) else [value]
    try:
        return all(turn.role in _KNOWN for turn in turns_of(turns))
    except Unusable:
        return False


def holds_messages(texts: Iterable[str]) -> bool:
    """Whether nearly all texts of a column that are not blank spell messages: answers that are JSON arrays do not."""
    filled = [text for text in texts if text.strip()]
    if not filled:
        return False
    hits = 0
    for number, text in enumerate(filled, 1):
        value = value_in(text)
        hits += value is not None and is_messages(value)
        if number - hits > (1 - NEARLY_ALL) * len(filled):
            return False
    return True


def holds_lists(texts: Iterable[str]) -> bool:
    """Whether nearly all texts of a column that are not blank spell a list or an object."""
    filled = [text for text in texts if text.strip()]
    return bool(filled) and sum(value_in(text) is not None for text in filled) >= NEARLY_ALL * len(filled)
