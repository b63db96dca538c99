"""Remains of chat templates, tokenisers and web pages that a response should not contain."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from backfire.texts.pieces import as_texts

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
    "### Instruction or ### Response": r"(?m)^[ \t]*###? ?(?:Instructions?|Response|Input|Output|"
    r"Human|User|Assistant|System)\b:?[ \t]*(?:$|:)",
    "Human: or Assistant: at the start of a line": r"(?m)^[ \t]*(?:Human|HUMAN|User|USER|Assistant|"
    r"ASSISTANT|SYSTEM|GPT|GPT4 Correct User|GPT4 Correct Assistant)\s?:",
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

_AT_AN_END = ("white space at the start", "white space at the end")
_INSIDE = "|".join(f"(?:{pattern})" for kind, pattern in _PATTERNS.items() if kind not in _AT_AN_END)

_MARKED = "|".join(f"(?:{_PATTERNS[kind]})" for kind in TEMPLATE_MARKS)


def debris(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether each text has each kind of debris: bool [texts, kinds], kinds in the order of DEBRIS.

    A text is free to speak of these things (code that splits at "</s>"), so a hit is a place to look at.
    One pass looks for all kinds at once; only the texts with some are looked at for each.
    """
    texts = as_texts(texts)
    found = np.zeros((len(texts), len(DEBRIS)), dtype=bool)
    with_some = np.flatnonzero(_matches(texts, _INSIDE))
    suspects = texts.take(pa.array(with_some))
    for column, (kind, pattern) in enumerate(_PATTERNS.items()):
        if kind in _AT_AN_END:
            found[:, column] = _matches(texts, pattern)
        elif len(with_some):
            found[with_some, column] = _matches(suspects, pattern)
    return found


def template_marks(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether each text has marks of a chat template: bool [texts, kinds], kinds in the order of TEMPLATE_MARKS."""
    texts = as_texts(texts)
    found = np.zeros((len(texts), len(TEMPLATE_MARKS)), dtype=bool)
    with_some = np.flatnonzero(_matches(texts, _MARKED))
    if len(with_some):
        suspects = texts.take(pa.array(with_some))
        for column, kind in enumerate(TEMPLATE_MARKS):
            found[with_some, column] = _matches(suspects, _PATTERNS[kind])
    return found


def _matches(texts: pa.Array, pattern: str) -> NDArray[np.bool_]:
    matched: NDArray[np.bool_] = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return matched
