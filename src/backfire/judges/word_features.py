"""Words and pairs of words of a text, weighted by how rare they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

FEWEST = 2
"""Texts that a term must occur in to be kept."""


@dataclass(frozen=True)
class WordFeatures:
    """The terms of a set of texts with their inverse document frequencies (sublinear tf-idf, rows of length 1)."""

    rarities: Mapping[str, float]
    """Term to inverse document frequency, in the order of the columns."""

    @classmethod
    def of_rarities(cls, rarities: Mapping[str, float]) -> WordFeatures:
        return cls({str(term): float(rarity) for term, rarity in rarities.items()})

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(self.rarities)

    def of(self, texts: Sequence[str]) -> Any:
        """scipy CSR [texts, terms]."""
        if not self.rarities:
            from scipy.sparse import csr_matrix

            return csr_matrix((len(texts), 0))
        return self._vectorizer.transform(texts)

    @cached_property
    def _vectorizer(self) -> Any:
        import numpy as np

        vectorizer = _vectorizer(vocabulary=list(self.terms))
        vectorizer.idf_ = np.array(list(self.rarities.values()))
        return vectorizer


def learn_words(texts: Sequence[str]) -> WordFeatures:
    """The words and pairs of words that occur in at least `FEWEST` of the texts; there may be none."""
    if not _repeated(texts):
        return WordFeatures({})
    fitted = _vectorizer(min_df=FEWEST).fit(texts)
    return WordFeatures(dict(zip(fitted.get_feature_names_out().tolist(), fitted.idf_.tolist(), strict=True)))


def _repeated(texts: Sequence[str]) -> bool:
    words = _vectorizer().build_tokenizer()
    texts_of = Counter(word for text in texts for word in set(words(text.lower())))
    return any(count >= FEWEST for count in texts_of.values())


_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Kana and Chinese characters: written without spaces, so each is a word of its own."""


def _vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    word = rf"(?u)[{_UNSPACED}]|(?<![^\W{_UNSPACED}])[^\W{_UNSPACED}](?:'*[^\W{_UNSPACED}])*"
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=word, **options)
