"""Remains of chat templates, tokenisers and web pages that a response should not contain."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from backfire.texts.matching import has
from backfire.texts.pieces import as_texts
from backfire.texts.remains import PARTS, REMAINS, ROLES, without_code

_PATTERNS: dict[str, str] = {
    "ChatML marks": r"<\|im_(?:start|end|sep)\|>",
    "Llama 3 marks": r"<\|(?:begin_of_text|end_of_text|start_header_id|"
    r"end_header_id|eot_id|eom_id|python_tag)\|>",
    "Gemma marks": r"<(?:start|end)_of_turn>|<(?:bos|eos)>",
    "NeMo marks": r"<extra_id_[0-2]>",
    "other <|...|> tokens": r"<\|(?:endoftext|endofprompt|end_of_turn|end|user|assistant|system|prompter|"
    r"tool|message|channel|start|return|pad|sep|image|video_pad|"
    r"fim_\w{1,12}|\w{0,20}_?token_?\w{0,20})\|>|<｜[^<>\n]{1,60}｜>",
    "[INST] marks": r"\[/?INST\]|<</?SYS>>",
    "<s> or </s>": r"</?s>",
    "padding or unknown tokens": r"<pad>|\[PAD\]|<unk>|\[UNK\]|"
    r"\[CLS\]|\[SEP\]|\[EOS\]|\[BOS\]|<mask>|\[MASK\]",
    "### Instruction or ### Response": rf"(?m)^[ \t]*###? ?(?:Instructions|{PARTS})\b:?[ \t]*(?:$|:)",
    "Human: or Assistant: at the start of a line": rf"(?m)^[ \t]*{ROLES}",
    "Self-Instruct marks": r"(?m)<noinput>|^[ \t]*\d{1,3}\. (?:Instruction|Input|Output):|^###?[ \t]*\d{0,3}\.?\s*\z",
    "broken encoding": r"Ã[\x{80}-\x{bf}\x{152}-\x{178}\x{2c6}"
    r"\x{2dc}\x{2018}-\x{2122}]|â€|Â[\x{a0}-\x{bf}]|ï»¿|ï¿½",
    "replacement character": "\ufffd",
    "control characters": r"[\x00-\x08\x0b\x0e-\x1f\x7f]",
    "zero-width or byte-order marks": r"[\x{200b}\x{2060}\x{feff}]",
    "HTML entities": r"&(?:amp|lt|gt|quot|apos|nbsp|#[0-9]{1,6}|#x[0-9a-fA-F]{1,6});",
    "HTML line breaks": r"(?i)<br ?/?>",
    "white space at the start": r"\A\s",
    "white space at the end": r"\s\z",
}
"""Where each kind may stand. `remains.REMAINS` says of some kinds when such a place is natural text after all."""

DEBRIS: tuple[str, ...] = tuple(_PATTERNS)
"""The kinds, in the order of the columns."""

TEMPLATE_MARKS: tuple[str, ...] = (
    "ChatML marks",
    "Llama 3 marks",
    "Gemma marks",
    "NeMo marks",
    "other <|...|> tokens",
    "[INST] marks",
    "<s> or </s>",
    "padding or unknown tokens",
    "### Instruction or ### Response",
    "Human: or Assistant: at the start of a line",
)
"""The kinds that a chat template leaves; in prompts, the other kinds are the users' own."""

WHITE_SPACE = ("white space at the start", "white space at the end")
"""The kinds that are no character too many but one at an end, which most readers take off."""

_INSIDE = "|".join(f"(?:{pattern})" for kind, pattern in _PATTERNS.items() if kind not in WHITE_SPACE)
_MARKED = "|".join(f"(?:{_PATTERNS[kind]})" for kind in TEMPLATE_MARKS)
_IN_CODE_TOO = (
    "broken encoding",
    "replacement character",
    "control characters",
    "zero-width or byte-order marks",
)
"""Kinds that nobody writes on purpose, in code neither."""


def debris(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether each text has each kind of debris: bool [texts, kinds], kinds in the order of DEBRIS.

    What stands in code, between backticks, is not looked at, but for broken characters. Neither is natural text that
    looks like a remain, such as a recipe's heading `### Instructions:` or a scripted dialogue (`remains`).
    One pass looks for all kinds at once; only the texts with some are looked at for each.
    """
    texts = as_texts(texts)
    hits = np.zeros((len(texts), len(DEBRIS)), dtype=bool)
    with_some = np.flatnonzero(has(texts, _INSIDE))
    suspects = _Suspects(texts.take(pa.array(with_some)))
    for column, kind in enumerate(DEBRIS):
        if kind in WHITE_SPACE:
            hits[:, column] = has(texts, _PATTERNS[kind])
        elif len(with_some):
            hits[with_some, column] = suspects.have(kind)
    return hits


def template_remains(
    texts: pa.Array | pa.ChunkedArray, marked: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Whether each prompt has remains of a chat template: bool [texts, kinds], kinds in the order of TEMPLATE_MARKS.

    The kinds are told from natural text as `debris` tells them. marked: `template_marks` of these texts, where they are
    known already.
    """
    texts = as_texts(texts)
    hits = np.zeros((len(texts), len(TEMPLATE_MARKS)), dtype=bool)
    with_some = np.flatnonzero(template_marks(texts) if marked is None else marked)
    if len(with_some):
        suspects = _Suspects(texts.take(pa.array(with_some)))
        for column, kind in enumerate(TEMPLATE_MARKS):
            hits[with_some, column] = suspects.have(kind)
    return hits


def template_marks(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether each text has anything that a chat template may have written, natural or not: bool [texts]."""
    return has(as_texts(texts), _MARKED)


def longest_between_marks(texts: pa.Array | pa.ChunkedArray) -> list[str]:
    """Of each text the longest part between what a chat template may have written: most likely what somebody asked."""
    parts = pc.split_pattern_regex(as_texts(texts), _MARKED).to_pylist()
    return [max(of_one, key=len) for of_one in parts]


class _Suspects:
    """Texts that may have debris, with and without their code."""

    def __init__(self, texts: pa.Array) -> None:
        self._texts = texts
        self._prose = without_code(texts)

    def have(self, kind: str) -> NDArray[np.bool_]:
        """Whether each has debris of this kind: [texts]."""
        looked_at = self._texts if kind in _IN_CODE_TOO else self._prose
        hits = has(looked_at, _PATTERNS[kind])
        remains = REMAINS.get(kind)
        if remains is not None and hits.any():
            some = np.flatnonzero(hits)
            hits[some] = remains(looked_at.take(pa.array(some)))
        return hits
