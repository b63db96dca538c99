"""The probes that need no model to be trained: length, surface cues, words, characters, sentence embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.answers.audit import NotRun
from backfire.auditing.audited_pairs import AuditedPairs, Ints
from backfire.auditing.probes.folds import Split, too_few
from backfire.auditing.probes.held_out import SPARSE_CONTROL_PAIRS
from backfire.auditing.probes.probe import MeasuredProbe, measure_probe, sampled
from backfire.auditing.probes.second_pass import on_all_pairs
from backfire.auditing.steps import Progress, Steps
from backfire.texts import CUES, Vocabulary

if TYPE_CHECKING:
    from backfire.models import Embedder

WORDS = 1 << 18
"""Columns of the word n-grams: all of them, in all but the largest samples."""
CHARACTERS = 1 << 17
CHARACTER_PAIRS = 2_000
EMBEDDED_PAIRS = 5_000
LENGTH = next(index for index, cue in enumerate(CUES) if cue.name == "length")
TEXT_PROBES = ("length", "surface", "words", "characters")
EMBEDDINGS = "embeddings"

Blocks = Callable[[], Iterator[pa.RecordBatch]]
"""A pass over the text of all audited pairs."""


class Words(NamedTuple):
    """The word n-grams of the pairs whose text is kept."""

    vocabulary: Vocabulary
    features: Any
    """CSR [2 * sample, width], chosen rows first."""


@dataclass(frozen=True)
class TextProbes:
    """Every probe of the text, measured or with the reason why not; and the features that shortcuts are sought in."""

    probes: tuple[MeasuredProbe, ...]
    not_run: tuple[NotRun, ...]
    words: Words | None
    """None where there are too few pairs for any probe."""


def text_probes(
    audited: AuditedPairs, split: Split, blocks: Blocks, encoder: Embedder | None, steps: Steps
) -> TextProbes:
    """Measure length, surface cues, words and characters, and an encoder's vectors where there is one."""
    names = (*TEXT_PROBES, *((EMBEDDINGS,) if encoder is not None else ()))
    if reason := too_few(split):
        return TextProbes((), tuple(NotRun(probe=name, reason=reason) for name in names), None)
    results: list[MeasuredProbe | NotRun] = []
    with steps.step("length"):
        results.append(_length(audited, split))
    with steps.step("surface", 2):
        results.append(_surface(audited, split))
    with steps.step("words", 4):
        words = words_of(audited)
        results.append(_words(words, audited, split, blocks))
    with steps.step("characters", 4):
        results.append(_characters(audited, split))
    if encoder is not None:
        with steps.step(EMBEDDINGS, 4) as part:
            results.append(_embeddings(encoder, audited, split, part))
    return TextProbes(
        tuple(one for one in results if isinstance(one, MeasuredProbe)),
        tuple(one for one in results if isinstance(one, NotRun)),
        words,
    )


def words_of(audited: AuditedPairs) -> Words:
    """The word n-grams of the sample."""
    sides = [audited.text[side] for side in ("chosen", "rejected")]
    vocabulary = Vocabulary.of(pa.chunked_array([c for side in sides for c in side.chunks]), "words", WORDS)
    return Words(vocabulary, _both_sides(vocabulary, audited.text))


def _length(audited: AuditedPairs, split: Split) -> MeasuredProbe:
    lengths = audited.cues[:, LENGTH : LENGTH + 1]
    about = "logarithm of the number of characters"
    return measure_probe("length", about, lengths, np.arange(audited.pairs), audited, split)


def _surface(audited: AuditedPairs, split: Split) -> MeasuredProbe:
    about = f"{len(CUES)} cues of layout and wording"
    return measure_probe("surface", about, audited.cues, np.arange(audited.pairs), audited, split)


def _words(words: Words, audited: AuditedPairs, split: Split, blocks: Blocks) -> MeasuredProbe | NotRun:
    if reason := too_few(split.subset(audited.sample)):
        return NotRun(probe="words", reason=reason)
    about = f"TF-IDF of {words.vocabulary.width:,} words and pairs of words"
    if len(audited.sample) == audited.pairs:
        return measure_probe("words", about, words.features, np.arange(audited.pairs), audited, split)
    within = split.subset(audited.sample).part(SPARSE_CONTROL_PAIRS)
    few = words.features[np.concatenate([within, within + len(audited.sample)])]
    part = measure_probe("words", about, few, audited.sample[within], audited, split)
    return on_all_pairs(part, words.features, words.vocabulary, blocks(), audited, split)


def _characters(audited: AuditedPairs, split: Split) -> MeasuredProbe | NotRun:
    pairs, text = sampled(audited, split, CHARACTER_PAIRS)
    if reason := too_few(split.subset(pairs)):
        return NotRun(probe="characters", reason=reason)
    sides = pa.chunked_array([c for side in ("chosen", "rejected") for c in text[side].chunks])
    vocabulary = Vocabulary.of(sides, "characters", CHARACTERS)
    about = f"TF-IDF of {vocabulary.width:,} strings of 3 and 4 characters"
    return measure_probe("characters", about, _both_sides(vocabulary, text), pairs, audited, split)


def _embeddings(
    encoder: Embedder, audited: AuditedPairs, split: Split, progress: Progress
) -> MeasuredProbe | NotRun:
    pairs, text = sampled(audited, split, EMBEDDED_PAIRS)
    texts = [value for side in ("chosen", "rejected") for value in text[side].to_pylist()]
    vectors: NDArray[np.float32] = encoder.embed(texts, progress=progress)
    finite: Ints = np.flatnonzero(np.isfinite(vectors).all(axis=1).reshape(2, -1).all(axis=0))
    if reason := too_few(split.subset(pairs[finite])):
        return NotRun(probe=EMBEDDINGS, reason=reason)
    sides = np.concatenate([finite, finite + len(pairs)])
    about = f"{encoder.name}, {vectors.shape[1]} numbers a response"
    return measure_probe(EMBEDDINGS, about, vectors[sides], pairs[finite], audited, split)


def _both_sides(vocabulary: Vocabulary, text: pa.Table) -> Any:
    from scipy import sparse

    return sparse.vstack([vocabulary.features(text[side]) for side in ("chosen", "rejected")], format="csr")
