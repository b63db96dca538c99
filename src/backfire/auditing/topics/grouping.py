"""Topics: groups of prompts that are asked about the same, found on a sample and given to every pair.

By words they are the components of a non-negative matrix factorisation of TF-IDF, begun from its singular vectors. Of the ways
tried on real prompts (docs/concepts/topics.md), it was the one whose groups stayed the same under another seed and a few more rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backfire.auditing.audited_pairs import Ints
from backfire.auditing.reading import PairsRead
from backfire.auditing.steps import Progress
from backfire.auditing.topics.prompt_words import asked_texts, word_counter

if TYPE_CHECKING:
    from backfire.models import Embedder

FEWEST_PROMPTS = 60
"""Fewer different prompts give no topics."""
MOST_TOPICS = 30
"""That are found where nobody says how many."""
FEWEST_OF_TOPIC = 5
"""A group of fewer prompts is no topic; they belong to none."""
NEAR = 0.05
"""The least cosine with a topic's words of a prompt that belongs to it."""
EMBEDDED_PROMPTS = 5_000
"""So many prompts are embedded at most; the others are given the topic whose words are theirs."""
MOST_TERMS = 3
UNLIKE = 0.01
"""By how much of itself the weight of a word may be raised, so that no two words weigh the same."""
ROUNDS = 200
STARTS = 10

Codes = NDArray[np.int16]


@dataclass(frozen=True)
class PromptTopics:
    """The topic of every pair."""

    codes: Codes
    """[pairs]: 1 is the topic with the most pairs; 0 is of none."""
    terms: tuple[tuple[str, ...], ...]
    """Of each topic from 1 on, the words that tell it from all others."""
    named: tuple[float, ...]
    """Of each topic, the share of its prompts that hold one of these words."""
    by: str
    prompts: int
    """Different prompts that they were found on."""
    reason: str | None = None
    """Why there are none."""


def usual_count(prompts: int) -> int:
    """How many topics are looked for among so many different prompts, where nobody says how many."""
    return int(min(MOST_TOPICS, max(4, round(prompts**0.5 / 2.5))))


def prompt_topics(
    pairs: PairsRead,
    encoder: Embedder | None,
    wanted: int | None,
    seed: int,
    progress: Progress | None = None,
) -> PromptTopics:
    """Find `wanted` topics among the different prompts of the sample, and give each pair the nearest one.

    The order of the rows does not matter.
    """
    audited = pairs.audited
    _, first, place = np.unique(audited.prompt_keys[audited.sample], return_index=True, return_inverse=True)
    asked = asked_texts(*(audited.text[name].combine_chunks() for name in ("prompt", "messages")))
    texts = asked.take(pa.array(first)).to_pylist()
    by = "words" if encoder is None else encoder.name
    if len(texts) < FEWEST_PROMPTS:
        return _none(
            audited.pairs, by, len(texts), f"{len(texts)} different prompts: fewer than {FEWEST_PROMPTS}"
        )
    count = wanted or usual_count(len(texts))
    try:
        counter, features = word_counter(texts)
    except ValueError:
        return _none(audited.pairs, by, len(texts), "the prompts have no words in common")
    if features.shape[1] <= count:
        few = f"the prompts have {features.shape[1]} words in common: too few for {count} topics"
        return _none(audited.pairs, by, len(texts), few)
    if encoder is None:
        profiles = _by_words(features, counter.get_feature_names_out().tolist(), count)
        codes = _nearest(features, profiles)
    else:
        codes, profiles = _by_vectors(encoder, texts, features, count, seed, progress)
    counts = np.bincount(codes, minlength=count + 1)
    codes[np.isin(codes, np.flatnonzero(counts < FEWEST_OF_TOPIC))] = 0
    of_pairs = np.zeros(audited.pairs, dtype=np.int16)
    if len(audited.sample) < audited.pairs:
        profiles[counts[1:] < FEWEST_OF_TOPIC] = 0
        of_pairs = _of_every_pair(pairs, counter, profiles)
    of_pairs[audited.sample] = codes[place]
    return _named(of_pairs, codes, features, counter.get_feature_names_out(), by)


def _by_words(features: Any, words: Sequence[str], count: int) -> NDArray[np.float32]:
    """How much each word belongs to each topic, rows of length 1: [topics, words].

    Prompts that were made by filling in templates are alike by symmetry: as many of them share one word as share another, and
    several groupings fit equally well. So each word's weight is raised by a part of UNLIKE that its letters give. Rounding, which
    differs between machines, then decides nothing.
    """
    from scipy.sparse import diags_array
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    raised = [1 + UNLIKE * crc32(word.encode()) / 2**32 for word in words]
    features = (features.astype(np.float64) @ diags_array(raised)).tocsr()
    of_texts, of_words = _first_guess(features, count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings(
            "ignore", "invalid value encountered in sqrt", RuntimeWarning
        )  # an error of 0, rounded
        model = NMF(count, init="custom", max_iter=ROUNDS, tol=1e-4)
        model.fit_transform(features, W=of_texts, H=of_words)
    return _of_length_1(model.components_)


def _first_guess(features: Any, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the factorisation begins: the positive or the negative parts of the singular vectors, whichever are the larger
    (Boutsidis and Gallopoulos 2008). scikit-learn's own first guess takes random projections, so that topics depend on a seed."""
    from scipy.sparse.linalg import svds

    left, values, right = svds(features, k=count, v0=np.ones(min(features.shape), dtype=features.dtype))
    order = np.argsort(-values)
    left, values, right = left[:, order].T, values[order], right[order]
    of_texts, of_words = np.zeros_like(left), np.zeros_like(right)
    for place in range(count):
        signs = [(np.maximum(sign * left[place], 0), np.maximum(sign * right[place], 0)) for sign in (1, -1)]
        sizes = [float(np.linalg.norm(u) * np.linalg.norm(v)) for u, v in signs]
        u, v = signs[int(np.argmax(sizes))]
        scale = np.sqrt(values[place] * max(sizes))
        of_texts[place] = scale * u / max(float(np.linalg.norm(u)), 1e-12)
        of_words[place] = scale * v / max(float(np.linalg.norm(v)), 1e-12)
    return np.ascontiguousarray(of_texts.T), of_words


def _by_vectors(
    encoder: Embedder, texts: list[str], features: Any, count: int, seed: int, progress: Progress | None
) -> tuple[Codes, NDArray[np.float32]]:
    """Topics by k-means of the encoder's vectors, and the words of each."""
    from sklearn.cluster import KMeans

    codes = np.zeros(len(texts), dtype=np.int16)
    few = np.arange(len(texts))
    if len(texts) > EMBEDDED_PROMPTS:
        few = np.sort(np.random.default_rng(seed).permutation(len(texts))[:EMBEDDED_PROMPTS])
    vectors = encoder.embed([texts[index] for index in few.tolist()], progress=progress)
    finite = np.isfinite(vectors).all(axis=1)
    grouped = KMeans(count, n_init=STARTS, random_state=seed % 2**32).fit_predict(vectors[finite])
    codes[few[finite]] = grouped + 1
    profiles = _of_length_1(np.stack([_mean_of(features[codes == topic + 1]) for topic in range(count)]))
    rest = np.setdiff1d(np.arange(len(texts)), few)
    if len(rest):
        codes[rest] = _nearest(features[rest], profiles)
    return codes, profiles


def _mean_of(features: Any) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = np.asarray(features.sum(axis=0), dtype=np.float32)[0] / max(
        1, features.shape[0]
    )
    return mean


def _of_length_1(rows: NDArray[Any]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)
    return scaled


def _nearest(features: Any, profiles: NDArray[np.float32]) -> Codes:
    """The topic whose words each prompt holds, from 1; 0 where it holds those of none."""
    cosines = features @ profiles.T
    return np.where(cosines.max(axis=1) >= NEAR, cosines.argmax(axis=1) + 1, 0).astype(np.int16)


def _of_every_pair(pairs: PairsRead, counter: Any, profiles: NDArray[np.float32]) -> Codes:
    """The topic of every pair, by one more pass over the text, a block at a time."""
    codes = np.zeros(pairs.audited.pairs, dtype=np.int16)
    start = 0
    for block in pairs.blocks():
        texts = asked_texts(block["prompt"], block["messages"]).to_pylist()
        codes[start : start + len(texts)] = _nearest(counter.transform(texts), profiles)
        start += len(texts)
    return codes


def _named(of_pairs: Codes, codes: Codes, features: Any, words: Any, by: str) -> PromptTopics:
    """The topics in their order, the largest first, with the words that tell each from all others."""
    counts = np.bincount(of_pairs)
    there = [topic for topic in np.unique(codes).tolist() if topic and counts[topic]]
    held = features.copy()
    held.data = np.ones_like(held.data)
    overall = np.asarray(held.sum(axis=0))[0]
    named = {}
    for topic in there:
        inside = held[codes == topic]
        hits = np.asarray(inside.sum(axis=0))[0]
        rate = hits / inside.shape[0]
        beside = (overall - hits + 0.5) / (held.shape[0] - inside.shape[0] + 1)
        gain = rate * np.log(np.maximum(rate, 1e-9) / beside)
        best = np.argsort(-gain, kind="stable")[:MOST_TERMS]
        best = best[gain[best] > 0]
        share = float(np.mean(np.asarray(inside[:, best].sum(axis=1)) > 0)) if len(best) else 0.0
        named[topic] = (tuple(str(words[index]) for index in best), share)
    order = sorted(there, key=lambda topic: (-int(counts[topic]), named[topic][0]))
    number = np.zeros(int(max(counts.size, codes.max() + 1)), dtype=np.int16)
    number[order] = np.arange(1, len(order) + 1)
    return PromptTopics(
        number[of_pairs],
        tuple(named[topic][0] for topic in order),
        tuple(named[topic][1] for topic in order),
        by,
        len(codes),
        None if order else "no group of prompts has words of its own",
    )


def _none(pairs: int, by: str, prompts: int, reason: str) -> PromptTopics:
    return PromptTopics(np.zeros(pairs, dtype=np.int16), (), (), by, prompts, reason)


def rows_order(rows: Ints, values: NDArray[np.float64] | None) -> Ints:
    """Indices of pairs, those that push most away from refusing first, else in the order of the rows; unread ones last."""
    if values is None:
        return np.argsort(rows, kind="stable")
    return np.lexsort((rows, np.where(np.isfinite(values), values, np.inf)))
