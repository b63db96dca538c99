"""The text-only rival: how far the words that a data set prefers are those of refusing. Needs no model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from backfire.influence.margins import Contrast
from backfire.records import said_by_assistant

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def wording_cosine(data: Sequence[Contrast], probes: Sequence[Contrast]) -> float:
    """Cosine of two bag-of-words differences: mean word counts of `plus` less `minus`, of the data and of the probes.

    NaN where one of them is nothing. It knows nothing of the policy, so what it predicts as well as influence does is
    explained by shared words.
    """
    ours, theirs = _difference(data), _difference(probes)
    product = sum(value * theirs.get(word, 0.0) for word, value in ours.items())
    lengths = sum(v * v for v in ours.values()) * sum(v * v for v in theirs.values())
    return product / lengths**0.5 if lengths > 0 else float("nan")


def _difference(contrasts: Iterable[Contrast]) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for contrast in contrasts:
        for texts, sign in ((contrast.plus, 1.0), (contrast.minus, -1.0)):
            for text in texts:
                for word, count in Counter(WORD.findall(said_by_assistant(text).lower())).items():
                    counts[word] += sign * count / len(texts)  # type: ignore[assignment]
    return dict(counts)
