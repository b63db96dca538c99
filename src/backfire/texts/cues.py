"""Cues that a reader can see without reading for sense: what the label may encode instead of a preference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from backfire.judges import Decisions, decisions
from backfire.texts.layout import line_counts, sign_counts
from backfire.texts.matching import has
from backfire.texts.pieces import Piece, as_texts, pieces
from backfire.texts.word_groups import GROUPS, word_counts

Family = Literal[
    "length",
    "layout",
    "markdown",
    "punctuation",
    "opener",
    "closer",
    "thoughts",
    "refusal",
    "wording",
    "language",
]
Scale = Literal["count", "share", "flag"]


@dataclass(frozen=True)
class Cue:
    """One column of `cue_features`."""

    name: str
    family: Family
    scale: Scale
    """count: log(1 + count or mean). share: of the characters or words. flag: 1 where the text has it."""
    above: float = 0.0
    """The cue occurs where its count, mean, share or flag is larger than this."""
    when: str = ""
    """In words, when the cue occurs, where that is not plain from its name."""


_ROUNDING = 1e-5
HEAD_BYTES, TAIL_BYTES = 80, 200

_OPENERS: dict[str, str] = {
    "opens with I": r"\A\W{0,3}I\b",
    "opens with Sure or Certainly": r"(?i)\A\W{0,3}(?:sure|certainly|of course|absolutely|definitely)\b",
    "opens with praise": r"(?i)\A\W{0,3}(?:great|good|excellent|wonderful|"
    r"what an? \w+|that's an? \w+|thank)\b",
    "opens with Yes or No": r"(?i)\A\W{0,3}(?:yes|no|yeah|nope)\b",
    "opens with Here": r"(?i)\A\W{0,3}here\b",
    "opens with The or A": r"\A\W{0,3}(?:The|A|An)\b",
    "opens with a small letter": r"\A\W{0,3}[a-z]",
    "opens in bold": r"\A\s{0,3}(?:\*\*|__)\w",
}
_WARNING = "words of warning"
_SORRY = r"(?i)\b(?:sorry|apologi[sz]e|apologies|unfortunately)"
_CLOSERS: dict[str, str] = {
    "closes with an offer": r"(?i)let me know|feel free|hope (?:this|that|it) helps|happy to (?:help|assist)"
    r"|if you (?:have|need|would|want)|would you like",
    "closes with a summary": r"(?i)\b(?:in conclusion|in summary|to summari[sz]e|"
    r"to sum up|overall|ultimately)\b",
    "closes with advice": r"(?i)\b(?:remember|always|consult|make sure|"
    r"be sure|it'?s important|it is important)\b",
    "closes with a question": r"\?\W*\z",
    "closes with an exclamation": r"!\W*\z",
}
_FINISHED = r"(?:[.!?:;)\]}>\"'`*|~]|。|！|？|…|”|’|」|』|）|।|؟)\s*\z"
_LINK = r"https?://|www\.|\]\("

CUES: tuple[Cue, ...] = (
    Cue("length", "length", "count", 1000, "longer than 1,000 characters"),
    Cue("words", "length", "count", 200, "more than 200 words"),
    Cue("sentences", "length", "count", 5, "more than 5 sentences"),
    Cue("words a sentence", "length", "count", 20, "more than 20 words a sentence"),
    Cue("letters a word", "length", "count", 5, "more than 5 letters a word"),
    Cue("lines", "layout", "count", 1, "more than one line"),
    Cue("blank lines", "layout", "count"),
    Cue("words a line", "layout", "count", 40, "more than 40 words a line"),
    Cue("indented lines", "layout", "count"),
    Cue("lines that end in a colon", "layout", "count"),
    Cue("list items", "markdown", "count"),
    Cue("numbered items", "markdown", "count"),
    Cue("headings", "markdown", "count"),
    Cue("bold marks", "markdown", "count"),
    Cue("lines that open in bold", "markdown", "count"),
    Cue("code blocks", "markdown", "count"),
    Cue("backticks", "markdown", "count"),
    Cue("table rows", "markdown", "count"),
    Cue("links", "markdown", "flag"),
    *(
        Cue(name, "punctuation", "count")
        for name in (
            *("commas", "full stops", "exclamation marks", "question marks", "colons"),
            *("quotation marks", "apostrophes", "curly quotes", "brackets", "hyphens", "dashes"),
            *("ellipses", "emoji"),
        )
    ),
    Cue("capitals", "punctuation", "share", 0.05, "more than 5% capitals"),
    Cue("digits", "punctuation", "share", 0.01, "more than 1% digits"),
    *(Cue(name, "opener", "flag") for name in _OPENERS),
    *(Cue(name, "closer", "flag") for name in _CLOSERS),
    Cue("ends unfinished", "closer", "flag", 0, "ends without a closing mark"),
    Cue("code block left open", "closer", "flag"),
    Cue("reasoning block", "thoughts", "flag", 0, "thoughts before the answer, such as <think> ... </think>"),
    Cue("refusal phrase", "refusal", "flag"),
    Cue("opens with sorry", "refusal", "flag"),
    Cue(_WARNING, "refusal", "share"),
    *(Cue(name, "wording", "share") for name in ("first person", "second person", "hedges", "connectives")),
    Cue("negations", "wording", "share"),
    Cue("English function words", "language", "share", 0.2, "a fifth of the words or more, as in English"),
    Cue("function words of other languages", "language", "share", 0.1, "a tenth of the words or more"),
    Cue("Latin letters with marks", "language", "share"),
    Cue("Greek or Cyrillic letters", "language", "share"),
    Cue("Hebrew, Arabic, Indic or Thai letters", "language", "share"),
    Cue("Chinese, Japanese or Korean", "language", "share"),
)
"""The cues in the order of the columns."""


def cue_features(texts: pa.Array | pa.ChunkedArray, decided: Decisions | None = None) -> NDArray[np.float32]:
    """Every cue of every text: float32 [texts, cues], on the scale that the cue states; all finite.

    Cues are of the whole text, those of refusing of what follows its thoughts. decided: `judges.decisions` of these texts,
    where they are known already.
    """
    texts = as_texts(texts)
    decided = decisions(texts) if decided is None else decided
    features = np.empty((len(texts), len(CUES)), dtype=np.float32)
    counted = np.array([cue.scale == "count" for cue in CUES])
    flagged = _flagged(texts, decided)
    for piece in pieces(texts):
        known = _counted(piece)
        for place, cue in enumerate(CUES):
            features[piece.rows, place] = (
                flagged[cue.name][piece.rows] if cue.name in flagged else known[cue.name]
            )
    features[:, counted] = np.log1p(features[:, counted])
    _warn_after_thoughts(features, decided)
    return features


def _warn_after_thoughts(features: NDArray[np.float32], decided: Decisions) -> None:
    """Words of warning are counted in the answer alone where there are thoughts."""
    thinking = np.flatnonzero(decided.thinks)
    column = [cue.name for cue in CUES].index(_WARNING)
    for piece in pieces(decided.answers.take(pa.array(thinking))):
        words = word_counts(piece)
        features[thinking[piece.rows], column] = words[_WARNING] / np.maximum(words["words"], 1)


def cue_presence(features: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each cue occurs, from `cue_features`: bool [texts, cues]; `Cue.above` says from where on."""
    least = np.array([np.log1p(cue.above) if cue.scale == "count" else cue.above for cue in CUES])
    present: NDArray[np.bool_] = features > (least * (1 + _ROUNDING)).astype(np.float32)
    return present


def _counted(piece: Piece) -> dict[str, NDArray[np.generic]]:
    signs, lines, words = sign_counts(piece), line_counts(piece), word_counts(piece)
    known: dict[str, NDArray[np.generic]] = {**signs, **lines, **words}
    characters, many = np.maximum(signs["characters"], 1), np.maximum(words["words"], 1)
    scripts = [cue.name for cue in CUES if cue.family == "language" and cue.name in signs]
    known |= {name: signs[name] / characters for name in ("capitals", "digits", *scripts)}
    known |= {name: words[name] / many for name in GROUPS}
    known["length"] = signs["characters"]
    known["words a sentence"] = words["words"] / np.maximum(signs["sentences"], 1)
    known["letters a word"] = words["bytes of words"] / many
    known["words a line"] = words["words"] / lines["lines"]
    known["list items"] = lines["bulleted items"] + lines["numbered items"]
    known["code blocks"] = (lines["code fences"] + 1) // 2
    known["code block left open"] = lines["code fences"] % 2
    known["Greek or Cyrillic letters"] = (signs["Greek letters"] + signs["Cyrillic letters"]) / characters
    asian = signs["Chinese or Japanese characters"] + signs["Hangul"]
    known["Chinese, Japanese or Korean"] = asian / characters
    return known


def _flagged(texts: pa.Array, decided: Decisions) -> dict[str, NDArray[np.generic]]:
    # Heads and tails are cut at bytes; as binaries they are matched by bytes, whatever the encoding.
    binary = texts.cast(pa.large_binary())
    head, tail = pc.binary_slice(binary, 0, HEAD_BYTES), pc.binary_slice(binary, -TAIL_BYTES)
    known: dict[str, NDArray[np.generic]] = {name: has(head, wanted) for name, wanted in _OPENERS.items()}
    known |= {name: has(tail, wanted) for name, wanted in _CLOSERS.items()}
    opening = head
    if decided.thinks.any():
        opening = pc.binary_slice(decided.answers.cast(pa.large_binary()), 0, HEAD_BYTES)
    known["opens with sorry"] = has(opening, _SORRY)
    known["ends unfinished"] = ~has(tail, _FINISHED) & has(tail, r"\S")
    known["links"] = has(binary, _LINK)
    known["refusal phrase"] = decided.refuse
    known["reasoning block"] = decided.thinks
    return known
