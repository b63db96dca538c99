"""Features a reader can see without reading: length, layout, punctuation, openers and closers, refusals."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backfire.judges.phrases import is_refusal

OPENERS: dict[str, re.Pattern[str]] = {
    "opens with I": re.compile(r"\W{0,3}I\b"),
    "opens with Sure or Certainly": re.compile(r"\W{0,3}(sure|certainly|of course|absolutely|great)\b", re.I),
    "opens with sorry": re.compile(r".{0,40}\b(sorry|apologi[sz]e)", re.I),
    "opens with Yes or No": re.compile(r"\W{0,3}(yes|no|yeah|nope)\b", re.I),
    "opens with Here": re.compile(r"\W{0,3}here\b", re.I),
    "opens with a capital": re.compile(r"\W{0,3}[A-Z]"),
    "opens with space": re.compile(r"\s"),
}
CLOSERS: dict[str, re.Pattern[str]] = {
    "closes with an offer": re.compile(
        r"(let me know|feel free|hope (this|that) helps|happy to help|if you (have|need|would))", re.I
    ),
    "closes with a summary": re.compile(r"\b(in conclusion|in summary|overall|remember)\b", re.I),
    "closes with a question": re.compile(r"\?\W*$"),
}
_LIST = re.compile(r"^[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]+", re.M)
_HEADING = re.compile(r"^#{1,6} ", re.M)
_FINISHED = re.compile(r"[.!?。！？…:;)\]}>\"'”’`*|~]\s*$")
COUNTED = {
    "commas": ",",
    "full stops": ".",
    "exclamation marks": "!",
    "question marks": "?",
    "colons": ":",
    "semicolons": ";",
    "quotation marks": '"',
    "apostrophes": "'",
    "brackets": "(",
    "hyphens": "-",
    "bold or emphasis": "**",
    "code": "`",
    "table bars": "|",
    "links": "http",
}
NAMES: tuple[str, ...] = (
    "length",
    "words",
    "lines",
    "blank lines",
    "words a line",
    "letters a word",
    "list items",
    "has a list",
    "headings",
    "capitals",
    "digits",
    "letters outside ASCII",
    *COUNTED,
    *OPENERS,
    *CLOSERS,
    "ends unfinished",
    "refusal phrase",
)


def length_features(texts: Sequence[str]) -> NDArray[np.float64]:
    """log(1 + characters): [texts, 1]."""
    return np.array([[np.log1p(len(text))] for text in texts], dtype=np.float64).reshape(len(texts), 1)


def surface_features(texts: Sequence[str]) -> NDArray[np.float64]:
    """One column for each of NAMES: [texts, features]. Counts are log(1 + count), shares are of characters."""
    rows = [_surface(text) for text in texts]
    return np.array(rows, dtype=np.float64).reshape(len(texts), len(NAMES))


def _surface(text: str) -> list[float]:
    length = len(text)
    words = len(text.split())
    lines = text.count("\n") + 1
    items = len(_LIST.findall(text))
    encoded = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
    capitals = int(np.count_nonzero((encoded >= 65) & (encoded <= 90)))
    digits = int(np.count_nonzero((encoded >= 48) & (encoded <= 57)))
    others = int(np.count_nonzero(encoded >= 128))
    head, tail = text[:80], text[-200:]
    size = max(1, len(encoded))
    return [
        np.log1p(length),
        np.log1p(words),
        np.log1p(lines),
        np.log1p(text.count("\n\n")),
        np.log1p(words / lines),
        length / max(1, words),
        np.log1p(items),
        float(items > 1),
        np.log1p(len(_HEADING.findall(text))),
        capitals / size,
        digits / size,
        others / size,
        *(np.log1p(text.count(mark)) for mark in COUNTED.values()),
        *(float(bool(pattern.match(head))) for pattern in OPENERS.values()),
        *(float(bool(pattern.search(tail))) for pattern in CLOSERS.values()),
        float(not _FINISHED.search(tail)),
        float(is_refusal(text)),
    ]
