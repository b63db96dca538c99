"""What users ask for in their prompts, as text and as counted words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_CHARACTERS = 1_000
"""A longer prompt is read so far: what is asked stands at the beginning, and documents follow."""
RARE = 1e-3
"""A word in fewer prompts than this share makes no topic."""
FEWEST_WITH_WORD = 3
COMMON = 0.4
"""A word in more prompts than this share tells no topics apart."""
WORD = r"(?u)\b[^\W\d_][^\W\d_']+\b"
"""Two letters and more, of any alphabet."""
_BEFORE_FIRST = r"(?s)\A(?:system: .*?\n\n)?user: "
_BETWEEN = r"(?s)\n\nassistant: .*?\n\nuser: "

ASKING = frozenset(
    """
    able advantages analyse analyze answer answers argue ask asked asking assess assume based benefits best better big brainstorm
    briefly build calculate cant choose classify come common compare compile compose cons consequences consider construct contrast
    correct create day debate define demonstrate describe design detailed determine develop devise did different difference
    disadvantages discuss does doesn don dont draft effective effects essay estimate evaluate evidence example examples examine explain
    explore find following generate gets getting give given going good got great hello help hey hi idea ideas identify illustrate im
    implications include information instructions investigate isn justify just kind kinds know let like list ll long look looking lot
    make making many mean means method methods name need new obtain offer ok okay old outline people person pieces place places plan
    please possible propose pros provide question questions quick re really reason reasons regarding request research right said say
    saying sentence short sort start step steps strategies suggest suggestions summarize support sure talk talking techniques tell
    thank thanks thing things think time times tips try trying type types use used using ve want wanted way ways what whats word words
    work write writing yeah yes
    """.split()
)
"""Words with which something is asked for, whatever it is. They make no topic."""


def asked_texts(prompts: pa.Array, messages: pa.Array) -> pa.Array:
    """What the user says in each prompt, without a system turn and the assistant's turns, cut at MOST_CHARACTERS."""
    bare = pc.replace_substring_regex(prompts, _BETWEEN, "\n")
    bare = pc.replace_substring_regex(bare, _BEFORE_FIRST, "", max_replacements=1)
    return pc.utf8_slice_codeunits(pc.if_else(messages.is_valid(), bare, prompts), 0, MOST_CHARACTERS)


def word_counter(texts: Sequence[str]) -> tuple[Any, Any]:
    """A fitted TF-IDF of the words that tell prompts apart, and its features of these texts: CSR [texts, words].

    Raises ValueError where no word is left.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

    counter = TfidfVectorizer(
        sublinear_tf=True,
        min_df=max(FEWEST_WITH_WORD, round(RARE * len(texts))),
        max_df=COMMON,
        stop_words=sorted(ENGLISH_STOP_WORDS | ASKING),
        token_pattern=WORD,
        dtype=np.float32,
    )
    return counter, counter.fit_transform(texts)
