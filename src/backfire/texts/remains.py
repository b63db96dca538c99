"""What a template left, told from natural text that looks like it: a recipe's heading, a scripted dialogue, HTML."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from backfire.texts.matching import counts, has

Flags = NDArray[np.bool_]

_SPOKEN = r"(?:(?:system|user|assistant): )?"
"""Dialogues are written with a role before each turn (`preferences.SCHEMA`); a turn's start is what follows."""
_START = rf"(?:\A|\n\n){_SPOKEN}\s*"
_FIRST = rf"\A{_SPOKEN}\s*"
_END = r"\s*\z"

PARTS = r"(?:Instruction|Response|Input|Output|Human|User|Assistant|System)"
"""What a heading of a template is called."""
_HEADING_LEFT = "|".join(
    (
        # An answer that begins with the mark of its own turn, or ends with the mark of the next one.
        rf"{_FIRST}###? ?(?:Instruction|Response|Human|Assistant) ?:",
        rf"(?m:^)[ \t]*###? ?{PARTS} ?:?{_END}",
        # A further turn.
        r"(?m:^)[ \t]*### ?(?:Human|Assistant|User|System) ?:",
        r"(?s)(?m:^)[ \t]*###? ?Instruction ?:.*^[ \t]*###? ?Response ?:",
    )
)

ROLES = (
    r"(?:Human|HUMAN|User|USER|Assistant|ASSISTANT|SYSTEM|GPT|GPT4 Correct User|GPT4 Correct Assistant)\s?:"
)
"""Who speaks, as templates write it before a turn."""
_ROLE_LINE = rf"(?m)^[ ]?{ROLES}"
_ANY_SPEAKER = (
    r"(?m)^[ ]?[\*_\[(]{0,3}[A-Z][\w.'-]{0,20}(?: [A-Z0-9][\w.'-]{0,20}){0,2}[\*_\])]{0,3}\s?:[ \t]+\S"
)
_INTRODUCED = (
    r"(?i:\b(?:dialog(?:ue)?|script|scene|transcript|sketch|role-?play|interview|conversation between)s?\b)"
    rf"(?:[^\n]*\n){{1,4}}\s*{ROLES}"
    rf"|(?i:\b(?:example|sample)s?\b)[^\n]*\n\s*{ROLES}|:[ \t*]*\n\s*{ROLES}"
)
_AFTER_A_ROLE = rf"(?s)(?m:^)[ ]?{ROLES}(?P<rest>.*)"
_DIALOGUE = 3
"""From so many turns on, a text that begins with one is a dialogue."""

_HTML = r"(?i)</?(?:p|b|i|u|em|strong|h[1-6]|div|span|a|html|head|body|ul|ol|li|td|tr|th|table|img|code|pre|del|strike|form|input|button|label|title)\b[^<>\n]*>"
_TABLE = r"(?m)^[ \t]*\|.*\|"
_OF_TOKENS = r"(?i)\b(?:sub)?tokens?\b|tokeni[sz]|\bBERT\b|vocabular|padding|\bmasked\b|placeholder"
_STRUCK = r"<s>[^<]*</s>"


def without_code(texts: pa.Array) -> pa.Array:
    """The texts without what stands in closed code blocks and between backticks."""
    fenced = pc.match_substring(texts, "`").to_numpy(zero_copy_only=False)
    if not fenced.any():
        return texts
    prose = pc.replace_substring_regex(texts, r"(?s)```.*?```", "")
    return pc.replace_substring_regex(prose, r"`[^`\n]*`", "")


def _headings(texts: pa.Array) -> Flags:
    """A template's mark such as `### Response:`; not a heading with something below it, such as `### Instructions:`."""
    return has(texts, _HEADING_LEFT)


def _roles(texts: pa.Array) -> Flags:
    """A role's mark with a turn of a chat behind it; not the lines of a dialogue that the answer tells."""
    marks = counts(texts, _ROLE_LINE)
    begins = has(texts, _FIRST + ROLES)
    rest = pc.fill_null(pc.struct_field(pc.extract_regex(texts, _AFTER_A_ROLE), "rest"), "")
    others = counts(rest, _ANY_SPEAKER) > counts(rest, _ROLE_LINE + r"[ \t]+\S")
    dialogue = np.where(begins, marks >= _DIALOGUE, has(texts, _INTRODUCED))
    remains: Flags = (begins | (marks > 0)) & ~others & ~dialogue
    return remains


def _struck(texts: pa.Array) -> Flags:
    """A mark of a text's beginning or end; not words that are struck out, as in HTML."""
    bare = pc.replace_substring_regex(texts, _STRUCK, "")
    at_an_end = has(bare, rf"{_START}<s>|</s>{_END}|</s>\s*<s>")
    return at_an_end | (has(bare, r"</?s>") & ~has(texts, _HTML))


def _padding(texts: pa.Array) -> Flags:
    """Tokens that fill or stand for something; not talk of them."""
    repeated = has(texts, r"(?:(?:<pad>|\[PAD\]|<unk>|\[UNK\])\s*){2}")
    return repeated | ~has(texts, _OF_TOKENS)


def _page_marks(texts: pa.Array) -> Flags:
    """Marks of a web page in plain prose; not in an answer that is HTML, or in a table's cells."""
    return ~has(texts, _HTML) & ~has(texts, _TABLE)


def _self_instruct(texts: pa.Array) -> Flags:
    """Tasks after the answer, as Self-Instruct numbers them; not a list whose items are called input and output."""
    number = r"(?m)^[ \t]*\d{1,3}\. "
    return (
        has(texts, r"<noinput>")
        | has(texts, rf"(?s){number}Instruction:.*{number}(?:Input|Output):")
        | has(texts, rf"{number}(?:Input|Output):[ \t]*\n")
        | has(texts, r"\n###?[ \t]*\n\d{1,3}\. Instruction:|\n###?[ \t]*\d{0,3}\.?\s*\z")
    )


REMAINS: dict[str, Callable[[pa.Array], Flags]] = {
    "### Instruction or ### Response": _headings,
    "Human: or Assistant: at the start of a line": _roles,
    "<s> or </s>": _struck,
    "padding or unknown tokens": _padding,
    "Self-Instruct marks": _self_instruct,
    "HTML entities": _page_marks,
    "HTML line breaks": _page_marks,
}
"""By kind of debris, which of the texts that have such a mark have it left over."""
