"""What the tests of this room share: texts to try, and plain-Python readings of the same definitions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
from hypothesis import strategies as st

ODD = (
    "aAbzZ09_'\"-*#`|.!?,:; \t\n\r\0\x1c\x85\xa0\u2003\u3000éÉßẞİıſΣςДдỆệἈἀ中。ﬁ\u200b\u2019“”…—•😀\U0010ffff"
)
any_text = st.text(max_size=40) | st.text(alphabet=ODD, max_size=60)
any_texts = st.lists(any_text, max_size=12)

AWKWARD = [
    "",
    "\0",
    " ",
    "\n",
    "A",
    "é",
    "中",
    "\ud7ff\ue000",
    "a\0b",
    "x" * 300,
    "•",
    "\r\n",
    "😀" * 3,
    "É É",
]


def arrow(texts: list[str]) -> pa.Array:
    """As large_string, in a slice that begins at an offset."""
    return pa.array(["before É", *texts, "after"], pa.large_string())[1 : len(texts) + 1]


def broken(texts: list[bytes]) -> pa.Array:
    """Bytes that need not be UTF-8 as large_string, as a file may hold them."""
    return pa.Array.from_buffers(pa.large_string(), len(texts), pa.array(texts, pa.large_binary()).buffers())


def fold(text: str) -> str:
    """Lower case, where it is one character of the same range."""

    def one(letter: str) -> str:
        lower = letter.lower()
        ranges = (range(0x80), range(0x80, 0x800), range(0x1E00, 0x2000))
        same = len(lower) == 1 and any(ord(letter) in r and ord(lower) in r for r in ranges)
        return lower if same else letter

    return "".join(map(one, text))


def words(text: str) -> list[bytes]:
    return re.findall(rb"[A-Za-z0-9_'\x80-\xff]+", text.encode())


def alpaca(real_data: Path, name: str = "gpt4_1106_preview") -> list[str]:
    rows = json.loads((real_data / "alpaca-eval" / f"{name}.json").read_text(encoding="utf-8"))
    return [row["output"] for row in rows]
