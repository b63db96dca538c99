"""n-gram features against Counter and logarithms, against scikit-learn, and whatever the slices."""

from __future__ import annotations

import itertools
from collections import Counter
from math import log, sqrt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from plain_texts import AWKWARD, alpaca, any_texts, arrow, broken, fold, words

from backfire.texts import Vocabulary
from backfire.texts.ngrams import BUCKETS, Units

UNITS: list[Units] = ["words", "characters"]


def plain_grams(text: str, units: Units) -> Counter[tuple[bytes, ...] | str]:
    lower = fold(text)
    if units == "characters":
        return Counter(lower[at : at + n] for n in (3, 4) for at in range(len(lower) - n + 1))
    held = words(lower)
    return Counter([(word,) for word in held]) + Counter(itertools.pairwise(held))


def plain_features(texts: list[str], units: Units, width: int) -> np.ndarray:
    """[texts, width], the columns in any order; `width` is lowered until no two n-grams tie for the last."""
    counts = [plain_grams(text, units) for text in texts]
    documents = Counter(gram for count in counts for gram in count)
    idf = {gram: log((1 + len(texts)) / (1 + n)) + 1 for gram, n in documents.items()}
    ranked = sorted(documents, key=lambda gram: -documents[gram] * idf[gram] ** 2)
    features = np.zeros((len(texts), min(width, len(ranked))))
    for row, count in enumerate(counts):
        weight = {gram: (1 + log(n)) * idf[gram] for gram, n in count.items()}
        norm = sqrt(sum(w * w for w in weight.values()))
        for column, gram in enumerate(ranked[: features.shape[1]]):
            features[row, column] = weight.get(gram, 0) / norm if norm else 0
    return features


@pytest.mark.parametrize("units", UNITS)
@settings(derandomize=True, max_examples=60)  # two n-grams share one of 2^20 buckets now and then
@given(any_texts)
def test_features_are_the_plain_ones(units: Units, texts: list[str]) -> None:
    texts = [*texts, *AWKWARD, "a a a b", "A  b-a'c", "a a b"]
    vocabulary = Vocabulary.of(arrow(texts), units, BUCKETS)
    features = vocabulary.features(arrow(texts))
    plain = plain_features(texts, units, BUCKETS)
    assert features.shape == plain.shape
    assert vocabulary.width == features.shape[1]
    np.testing.assert_allclose((features @ features.T).toarray(), plain @ plain.T, atol=2e-6)


@pytest.mark.parametrize(("units", "width"), [("words", 40), ("characters", 100)])
def test_the_heaviest_are_kept_and_norms_are_of_all(units: Units, width: int) -> None:
    texts = [" ".join(f"w{n}" for n in range(60) if k % (n + 1) == 0) + f" own{k}" for k in range(50)]
    counts = Counter(gram for text in texts for gram in plain_grams(text, units))
    weights = sorted(-n * (log(51 / (1 + n)) + 1) ** 2 for n in counts.values())
    while weights[width - 1] == weights[width]:
        width += 1
    features = Vocabulary.of(arrow(texts), units, width).features(arrow(texts))
    plain = plain_features(texts, units, width)
    assert features.shape == (50, width)
    np.testing.assert_allclose((features @ features.T).toarray(), plain @ plain.T, atol=2e-6)
    assert features.has_sorted_indices
    assert features.dtype == np.float32
    assert (features.multiply(features).sum(axis=1) <= 1 + 1e-6).all()


def test_words_agree_with_scikit_learn(real_data) -> None:  # type: ignore[no-untyped-def]
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = alpaca(real_data)[:60]
    other = TfidfVectorizer(sublinear_tf=True, analyzer=lambda text: plain_grams(text, "words").elements())
    plain = other.fit_transform(texts)
    features = Vocabulary.of(arrow(texts), "words", BUCKETS).features(arrow(texts))
    assert 0.99 * plain.shape[1] < features.shape[1] <= plain.shape[1]
    # Of 20,000 n-grams some 200 share a bucket with another.
    apart = np.abs((features @ features.T).toarray() - (plain @ plain.T).toarray())
    assert apart.max() < 0.02
    assert apart.mean() < 1e-3


@pytest.mark.parametrize("units", UNITS)
def test_features_do_not_hang_on_slices_or_neighbours(units: Units, real_data) -> None:  # type: ignore[no-untyped-def]
    texts = arrow([*alpaca(real_data)[:400], *AWKWARD])
    vocabulary = Vocabulary.of(texts, units, 500)
    again = Vocabulary.of([texts[:3], texts[3:3], texts[3:]], units, 500)
    assert np.array_equal(vocabulary.buckets, again.buckets)
    assert np.array_equal(vocabulary.rarity, again.rarity)
    whole = vocabulary.features(texts)
    for first, last in ((0, 1), (7, 7), (9, 300), (400, len(texts))):
        part = vocabulary.features(texts[first:last])
        assert (part != whole[first:last]).nnz == 0
        assert part.shape == (last - first, 500)
    chunked = pa.chunked_array([texts[:11], texts[11:]])
    assert (vocabulary.features(chunked) != whole).nnz == 0


def test_names_are_read_from_the_texts() -> None:
    texts = arrow(["The cat's ÉTÉ", "the cat's", "the cat's nap", "dog"])
    vocabulary = Vocabulary.of(texts, "words", 100)
    names = vocabulary.names(texts, range(vocabulary.width))
    assert sorted(names) == sorted(
        ["the", "cat's", "été", "nap", "dog", "the cat's", "cat's été", "cat's nap"]
    )
    features = vocabulary.features(arrow(["DOG"])).toarray()[0]
    assert [name for name, value in zip(names, features, strict=True) if value] == ["dog"]
    at = names.index("dog")
    assert vocabulary.names(texts[:3], [at, at]) == ["", ""]
    assert vocabulary.names(texts[:0], [at]) == [""]
    assert vocabulary.names(texts, []) == []


def test_names_of_characters_are_whole_characters() -> None:
    texts = arrow(["ab中😀é", "X\0Yz"])
    vocabulary = Vocabulary.of(texts, "characters", 100)
    names = vocabulary.names(texts, range(vocabulary.width))
    assert sorted(names) == sorted(["ab中", "b中😀", "中😀é", "ab中😀", "b中😀é", "x\0y", "\0yz", "x\0yz"])


@pytest.mark.parametrize("units", UNITS)
def test_texts_without_an_ngram(units: Units) -> None:
    nothing = arrow(["", "", "?"])
    vocabulary = Vocabulary.of(nothing, units, 10)
    assert vocabulary.width == 0
    assert vocabulary.features(arrow(["some words"])).shape == (1, 0)
    assert vocabulary.features(arrow([])).shape == (0, 0)
    full = Vocabulary.of(arrow(["some words", ""]), units, 10)
    assert full.features(nothing).nnz == 0
    assert full.features(arrow([])).shape == (0, full.width)
    assert Vocabulary.of([], units, 10).width == 0


@pytest.mark.parametrize("units", UNITS)
def test_bytes_that_are_no_utf8_pass(units: Units) -> None:
    rng = np.random.default_rng(0)
    texts = broken([rng.integers(0, 256, size).astype(np.uint8).tobytes() for size in range(200)])
    vocabulary = Vocabulary.of(texts, units, 300)
    features = vocabulary.features(texts)
    assert np.isfinite(features.data).all()
    assert len(vocabulary.names(texts, range(vocabulary.width))) == vocabulary.width
