"""What a trained judge reads of the text alone: cues of declining and, for harm, the words of prompt and response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backfire.judges.declining import CUES_ID, EXPECTED, NAMES, SIGNS, declining_cues
from backfire.judges.judge import readable
from backfire.judges.settings import What
from backfire.judges.word_features import WordFeatures, learn_words
from backfire.records import Prompt, Response

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Case = tuple[Prompt, Response]


@dataclass(frozen=True)
class TextFeatures:
    """Cues, then the words of the response and of the prompt where the judge reads words."""

    response_words: WordFeatures | None = None
    prompt_words: WordFeatures | None = None

    @property
    def names(self) -> list[str]:
        words = (("response", self.response_words), ("prompt", self.prompt_words))
        return [*NAMES, *(f"{of}: {term}" for of, seen in words if seen for term in seen.terms)]

    def of(self, cases: Sequence[Case]) -> Any:
        """[cases, len(names)]: dense without words, else scipy CSR."""
        return self.beside(declining_cues(answers(cases)), cases)

    def beside(self, cues: NDArray[np.float64], cases: Sequence[Case]) -> Any:
        """`of` with the cues already found."""
        if self.response_words is None or self.prompt_words is None:
            return cues
        from scipy.sparse import csr_matrix, hstack

        of_responses = self.response_words.of(answers(cases))
        of_prompts = self.prompt_words.of([prompt.text for prompt, _ in cases])
        return hstack([csr_matrix(cues), of_responses, of_prompts]).tocsr()

    def as_json(self) -> dict[str, Any]:
        """What of it a judge's file holds, beside the weights by name."""
        words = {"response": self.response_words, "prompt": self.prompt_words}
        return {"cues": CUES_ID, "idf": {of: seen.rarities for of, seen in words.items() if seen}}

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> TextFeatures:
        """The reverse of `as_json`. KeyError, TypeError or ValueError where something is amiss."""
        import numpy as np

        idf = content["idf"]
        if set(idf) not in (set(), {"response", "prompt"}):
            raise ValueError("idf of response and prompt, or of neither")
        words = {of: WordFeatures.of_rarities(rarities) for of, rarities in idf.items()}
        if not np.isfinite([r for of in words.values() for r in of.rarities.values()]).all():
            raise ValueError("an idf that is no number")
        return cls(words.get("response"), words.get("prompt"))


def answers(cases: Sequence[Case]) -> list[str]:
    """What follows the thoughts of each response."""
    return [readable(response.text).answer for _, response in cases]


class TextTable:
    """The labelled cases as text features. Words are learned on the cases that are trained on, and on no others."""

    strengths = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    """What C is chosen from: the inverse of the weight of half the squared norm, as scikit-learn has it."""

    def __init__(self, cases: Sequence[Case], what: What) -> None:
        self.cases, self.what = cases, what
        self.cues = declining_cues(answers(cases))

    def features(self, rows: Sequence[int]) -> TextFeatures:
        """The features that these rows teach."""
        if self.what == "refusal":
            return TextFeatures()
        known = [self.cases[row] for row in rows]
        return TextFeatures(learn_words(answers(known)), learn_words([prompt.text for prompt, _ in known]))

    def values(self, features: TextFeatures, rows: Sequence[int]) -> Any:
        """[rows, features]."""
        return features.beside(self.cues[list(rows)], [self.cases[row] for row in rows])

    def signs(self, width: int) -> NDArray[np.int8]:
        """The direction in which each weight may go: [features], +1, -1, or 0 for either."""
        import numpy as np

        signs = np.zeros(width, np.int8)
        signs[: len(SIGNS)] = np.array(SIGNS) * (1 if self.what == "refusal" else -1)
        return signs

    def expected(self, width: int) -> NDArray[np.float64]:
        """What the penalty draws each weight to: [features]."""
        import numpy as np

        expected = np.zeros(width)
        expected[: len(EXPECTED)] = np.array(EXPECTED) * (1 if self.what == "refusal" else -1)
        return expected
