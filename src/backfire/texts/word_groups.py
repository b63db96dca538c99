"""How many words of each text belong to small groups: languages, persons, hedges, warnings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backfire.texts.hashing import read_bytes
from backfire.texts.pieces import Piece
from backfire.texts.words import words_of

GROUPS: dict[str, str] = {
    "English function words": """
        the of and to in is that for with on are this be or as at by from it an was which can
        not will has have had but they their its these those there would should if than then
        also into about what when where who how all more most some any each other such only
        between through during after before been being were do does did so up out no
    """,
    "first person": "i i'm i'd i've i'll me my mine myself we we're we've our ours us",
    "second person": "you your yours you're you'll you've you'd yourself",
    "hedges": """
        may might could perhaps possibly likely seems seem appears maybe probably often usually
        sometimes unlikely suggests rather
    """,
    "connectives": """
        however thus hence moreover although though because since while instead overall finally
        firstly secondly first second lastly whereas
    """,
    "negations": """
        cannot can't don't doesn't didn't won't isn't aren't wasn't never nothing none neither
        nor shouldn't couldn't wouldn't without
    """,
    "words of warning": """
        illegal unlawful harmful danger unsafe ethical unethical safety legal risk risks risky
        caution warning violence abuse harm respect
    """,
    "function words of other languages": """
        der und das ist nicht ein eine mit sich auf für auch werden oder wird sind dem den zu
        von ich sie wie bei nach kann les des est dans une pour que qui vous pas sur avec sont
        cette aux nous mais ou et du le la los las el para por con como más pero del una não os
        ao são você em dos il di che per della gli è het een van niet zijn voor dat op ook maar
        y
    """,
}
"""Each word is of one group only. Words of more than eight bytes are not looked up."""

_MOST_BYTES = 8
_LOWER = np.uint64(0x2020202020202020)
_SLOTS = 1 << 16


def _codes() -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    groups = [(word, n) for n, words in enumerate(GROUPS.values(), 1) for word in words.split()]
    known = {word: n for word, n in groups if len(word.encode()) <= _MOST_BYTES}
    encoded = np.frombuffer(b"".join(word.encode().ljust(8, b"\0") for word in known), dtype="<u8")
    lengths = np.array([len(word.encode()) for word in known])
    return _lowered(encoded.astype(np.uint64), lengths), np.array(list(known.values()), dtype=np.uint8)


def _lowered(code: NDArray[np.uint64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """ASCII letters in lower case; other bytes of words change too, but no two words of GROUPS become one."""
    used = np.uint64(64) - (lengths.astype(np.uint64) << np.uint64(3))
    return code | (_LOWER >> used)


def _slots(code: NDArray[np.uint64], factor: np.uint64) -> NDArray[np.int64]:
    return ((code * factor) >> np.uint64(48)).astype(np.int64)


def _factor(codes: NDArray[np.uint64]) -> np.uint64:
    """An odd factor that gives each word a slot of its own."""
    factor = np.uint64(0x9E3779B97F4A7C15)
    while len(np.unique(_slots(codes, factor))) < len(codes):
        factor = factor * np.uint64(0xD1342543DE82EF95)
    return factor


_CODES, _GROUP_OF = _codes()
with np.errstate(over="ignore"):
    _FACTOR = _factor(_CODES)
_CODE_AT = np.zeros(_SLOTS, dtype=np.uint64)
_GROUP_AT = np.zeros(_SLOTS, dtype=np.uint8)
_CODE_AT[_slots(_CODES, _FACTOR)] = _CODES
_GROUP_AT[_slots(_CODES, _FACTOR)] = _GROUP_OF


def word_counts(piece: Piece) -> dict[str, NDArray[np.int64]]:
    """The words of each text, their bytes, and how many are of each group of GROUPS: each [texts]."""
    words = words_of(piece)
    code = _lowered(
        read_bytes(piece.data, words.starts, words.lengths), np.minimum(words.lengths, _MOST_BYTES)
    )
    slot = _slots(code, _FACTOR)
    known = (_CODE_AT[slot] == code) & (words.lengths <= _MOST_BYTES)
    at = np.flatnonzero(known)
    width = len(GROUPS) + 1
    owner = np.repeat(np.arange(len(piece)), np.diff(np.searchsorted(at, words.firsts)))
    flat = np.bincount(owner * width + _GROUP_AT[slot[at]], minlength=len(piece) * width)
    table = flat.reshape(-1, width)
    lengths = np.concatenate(([0], np.cumsum(words.lengths)))[words.firsts]
    counted = {name: table[:, number] for number, name in enumerate(GROUPS, start=1)}
    return {"words": words.counts, "bytes of words": np.diff(lengths), **counted}
