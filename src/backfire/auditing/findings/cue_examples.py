"""The place in a text where a cue shows, with what stands around it."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from backfire.judges import REFUSAL_PHRASES
from backfire.texts import CUES
from backfire.texts.word_groups import GROUPS

AROUND = 60
"""Characters quoted on either side of a cue."""
CUT = "…"

_BETWEEN = r"\x00-&(-/:-@\[-^`{-\x7f"
_WORD, _GAP = f"[^{_BETWEEN}]", f"[{_BETWEEN}]+"
"""As `texts` splits words: ASCII letters, digits, `_`, `'` and everything beyond ASCII are of words."""
_PLACES: dict[str, str] = {
    "blank lines": r"\n[ \t]*\n",
    "indented lines": r"(?m)^[ \t]+\S",
    "lines that end in a colon": r":[ \t]*(?:\n|\Z)",
    "lines": r"\n",
    "list items": r"(?m)^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]",
    "numbered items": r"(?m)^[ \t]*\d{1,3}[.)][ \t]",
    "headings": r"(?m)^[ \t]*#{1,6} ",
    "bold marks": r"\*\*",
    "lines that open in bold": r"(?m)^[ \t]*(?:(?:[-*+•]|\d{1,3}[.)])[ \t]+)?\*\*",
    "code blocks": r"```",
    "code block left open": r"```",
    "backticks": r"`",
    "table rows": r"(?m)^[ \t]*\|",
    "quoted lines": r"(?m)^[ \t]*>",
    "reasoning block": r"<[/|]{0,2}\w*?think\w*?\|?>|\[/?THINK\]|<\|?channel\|?>|assistantfinal",
    "links": r"https?://|www\.|\]\(",
    "commas": ",",
    "full stops": r"\.",
    "exclamation marks": "!",
    "question marks": r"\?",
    "colons": ":",
    "semicolons": ";",
    "quotation marks": '"',
    "apostrophes": "'",
    "curly quotes": "[‘’“”]",
    "brackets": r"\(",
    "hyphens": "-",
    "dashes": "[–—]| - ",
    "slashes": "/",
    "ellipses": r"\.\.\.|…",
    "emoji": "[\U0001f000-\U0001ffff]",
    "digits": r"\d",
}
"""Surface cues that show at a place of their own; openers are quoted from the start, closers at the end."""


def quoted(text: str, cue: str, probe: str) -> str:
    """The first place of the cue in the text and AROUND characters on either side; else how the text begins."""
    pattern = _pattern(cue, probe)
    place = pattern.search(text) if pattern else None
    if place is not None:
        start, end = place.span()
    elif probe == "surface" and _families()[cue] == "closer":
        start = end = len(text)
    else:
        start = end = 0
    first, last = max(0, start - AROUND), min(len(text), end + AROUND)
    if start == end == 0:
        last = min(len(text), 2 * AROUND)
    if start == end == len(text):
        first = max(0, len(text) - 2 * AROUND)
    return (CUT if first else "") + text[first:last] + (CUT if last < len(text) else "")


def phrases_of_two(texts: list[str]) -> set[tuple[str, str]]:
    """Every two words in lower case that follow one another in a text."""
    words, phrases = re.compile(f"{_WORD}+"), set[tuple[str, str]]()
    for text in texts:
        words_of_text = words.findall(text.lower())
        phrases.update(pairwise(words_of_text))
    return phrases


@cache
def _pattern(cue: str, probe: str) -> re.Pattern[str] | None:
    if probe == "words":
        words = _GAP.join(re.escape(word) for word in cue.split())
        return re.compile(f"(?<!{_WORD}){words}(?!{_WORD})", re.IGNORECASE)
    if cue == "refusal phrase":
        return re.compile("|".join(re.escape(phrase).replace("'", "['’‘]") for phrase in REFUSAL_PHRASES))
    if cue in GROUPS:
        return re.compile(
            rf"(?<!{_WORD})(?:{'|'.join(map(re.escape, GROUPS[cue].split()))})(?!{_WORD})", re.IGNORECASE
        )
    return re.compile(_PLACES[cue]) if cue in _PLACES else None


@cache
def _families() -> dict[str, str]:
    return {cue.name: cue.family for cue in CUES}
