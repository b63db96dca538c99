"""The rungs of the ladder that need no model to be trained: length, surface cues, words, characters, embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.answers.audit import NotRun
from backfire.auditing.audited_pairs import Collected, Ints
from backfire.auditing.probes.folds import Split, too_few
from backfire.auditing.probes.measure import SPARSE_CONTROL_PAIRS
from backfire.auditing.probes.probe import Climbed, climb, sampled
from backfire.auditing.probes.second_pass import everywhere
from backfire.auditing.steps import Steps
from backfire.preferences import Preferences
from backfire.texts import CUES, Vocabulary

if TYPE_CHECKING:
    from backfire.models import Embedder

WORDS = 1 << 18
"""Columns of the word n-grams: all of them, in all but the largest samples."""
CHARACTERS = 1 << 17
CHARACTER_PAIRS = 2_000
EMBEDDED_PAIRS = 5_000
LENGTH = next(index for index, cue in enumerate(CUES) if cue.name == "length")


def text_rungs(
    collected: Collected,
    split: Split,
    data: Preferences,
    chosen: Ints | None,
    steps: Steps,
    ladder: list[Climbed],
    not_run: list[NotRun],
) -> tuple[Vocabulary, Any]:
    """Length, surface cues and words, on all pairs; gives the words of the sample too."""
    every = np.arange(collected.pairs)
    with steps.step("length"):
        lengths = collected.cues[:, LENGTH : LENGTH + 1]
        ladder.append(
            climb("length", "logarithm of the number of characters", lengths, every, collected, split)
        )
    with steps.step("surface", 2):
        about = f"{len(CUES)} cues of layout and wording"
        ladder.append(climb("surface", about, collected.cues, every, collected, split))
    with steps.step("words", 4):
        sides = [collected.text[side] for side in ("chosen", "rejected")]
        vocabulary = Vocabulary.of(
            pa.chunked_array([c for side in sides for c in side.chunks]), "words", WORDS
        )
        words = _both(vocabulary, collected.text)
        if reason := too_few(split.subset(collected.sample)):
            not_run.append(NotRun(rung="words", reason=reason))
            return vocabulary, words
        about = f"TF-IDF of {vocabulary.width:,} words and pairs of words"
        if len(collected.sample) == collected.pairs:
            ladder.append(climb("words", about, words, every, collected, split))
            return vocabulary, words
        within = split.subset(collected.sample).part(SPARSE_CONTROL_PAIRS)
        few = words[np.concatenate([within, within + len(collected.sample)])]
        part = climb("words", about, few, collected.sample[within], collected, split)
        blocks = data.blocks() if chosen is None else _only(data.blocks(), chosen)
        ladder.append(everywhere(part, words, vocabulary, blocks, collected, split))
    return vocabulary, words


def _both(vocabulary: Vocabulary, text: pa.Table) -> Any:
    from scipy import sparse

    return sparse.vstack([vocabulary.features(text[side]) for side in ("chosen", "rejected")], format="csr")


def _only(blocks: Iterator[pa.RecordBatch], kept: Ints) -> Iterator[pa.RecordBatch]:
    """The kept pairs (indices, ascending) of all blocks."""
    start = 0
    for block in blocks:
        low, high = np.searchsorted(kept, [start, start + len(block)])
        if high > low:
            yield block.take(pa.array(kept[low:high] - start))
        start += len(block)


def character_rung(
    collected: Collected, split: Split, steps: Steps, ladder: list[Climbed], not_run: list[NotRun]
) -> None:
    with steps.step("characters", 4):
        pairs, text = sampled(collected, split, CHARACTER_PAIRS)
        if reason := too_few(split.subset(pairs)):
            not_run.append(NotRun(rung="characters", reason=reason))
            return
        sides = pa.chunked_array([c for side in ("chosen", "rejected") for c in text[side].chunks])
        vocabulary = Vocabulary.of(sides, "characters", CHARACTERS)
        about = f"TF-IDF of {vocabulary.width:,} strings of 3 and 4 characters"
        ladder.append(climb("characters", about, _both(vocabulary, text), pairs, collected, split))


def embedding_rung(
    encoder: Embedder,
    collected: Collected,
    split: Split,
    steps: Steps,
    ladder: list[Climbed],
    not_run: list[NotRun],
) -> None:
    with steps.step("embeddings", 4) as part:
        pairs, text = sampled(collected, split, EMBEDDED_PAIRS)
        texts = [value for side in ("chosen", "rejected") for value in text[side].to_pylist()]
        vectors: NDArray[np.float32] = encoder.embed(texts, progress=part)
        finite = np.isfinite(vectors).all(axis=1).reshape(2, -1).all(axis=0)
        kept = np.flatnonzero(finite)
        if reason := too_few(split.subset(pairs[kept])):
            not_run.append(NotRun(rung="embeddings", reason=reason))
            return
        sides = np.concatenate([kept, kept + len(pairs)])
        about = f"{encoder.name}, {vectors.shape[1]} numbers a response"
        ladder.append(climb("embeddings", about, vectors[sides], pairs[kept], collected, split))
