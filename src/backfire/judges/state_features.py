"""What a trained judge reads by a model: the mean hidden state of a response, behind its prompt, at one layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from backfire.errors import InputError
from backfire.judges.judge import Progress, readable
from backfire.judges.text_features import Case

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backfire.models import LocalModel

MAX_LENGTH = 512
"""Tokens of prompt and response that are read. What is longer loses its end."""
AT_ONCE = 64
DIGITS = 6


@dataclass(frozen=True)
class StateFeatures:
    """Standardised hidden states of a model at one layer."""

    reference: str
    """The model, as `open_model` names it."""
    model_id: str
    """The digest of the model that the judge was trained with. Another model at that place is an error."""
    layer: int
    """Counted as in transformers: 0 the embeddings, k the output of block k."""
    centre: NDArray[np.float64]
    """[hidden]: the mean of the states that it was trained on."""
    spread: NDArray[np.float64]
    """[hidden]: their standard deviation."""
    dtype: str = field(default="auto", compare=False)
    device: str | None = field(default=None, compare=False)
    opened: LocalModel | None = field(default=None, compare=False)
    """The model, where it is open already."""

    @property
    def names(self) -> list[str]:
        return [f"state {place}" for place in range(len(self.centre))]

    def of(self, cases: Sequence[Case]) -> NDArray[np.float64]:
        """[cases, hidden]; NaN where the model's context leaves nothing of the response."""
        return self.standardised(states_of(self.model, cases, self.layer))

    def standardised(self, states: NDArray[np.float64]) -> NDArray[np.float64]:
        return (states - self.centre) / self.spread

    @cached_property
    def model(self) -> LocalModel:
        """InputError where the model is another than the judge was trained with."""
        if self.opened is not None:
            return self.opened
        model = open_reader(self.reference, self.dtype, self.device)
        if model.id != self.model_id:
            raise InputError(
                f"the judge reads hidden states of {self.reference}, and what is there now is another model than the one that it "
                "was trained with: put that model there, or train the judge again"
            )
        return model

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.reference,
            "model_id": self.model_id,
            "layer": self.layer,
            "centre": self.centre.tolist(),
            "spread": self.spread.tolist(),
        }

    @classmethod
    def of_json(cls, content: dict[str, Any], *, dtype: str, device: str | None) -> StateFeatures:
        """The reverse of `as_json`. KeyError, TypeError or ValueError where something is amiss."""
        import numpy as np

        centre, spread = (np.array(content[name], np.float64) for name in ("centre", "spread"))
        layer, reference, model_id = content["layer"], content["model"], content["model_id"]
        if not (isinstance(layer, int) and isinstance(reference, str) and isinstance(model_id, str)):
            raise TypeError("a layer that is no number, or a model that is no text")
        if centre.ndim != 1 or centre.shape != spread.shape or not (spread > 0).all():
            raise ValueError("a centre and a spread that do not fit")
        if not (np.isfinite(centre).all() and np.isfinite(spread).all()):
            raise ValueError("a centre or a spread that is no number")
        return cls(reference, model_id, layer, centre, spread, dtype=dtype, device=device)


class StateTable:
    """The labelled cases as hidden states. They are read once; means and spreads are of the cases that are trained on."""

    strengths = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
    """What C is chosen from. States have hundreds of columns that depend on one another, so they want smaller ones than cues."""

    def __init__(
        self, model: LocalModel, reference: str, cases: Sequence[Case], progress: Progress | None
    ) -> None:
        self.model, self.reference = model, reference
        self.layer = chosen_layer(model.layers - 1)
        self.states = states_of(model, cases, self.layer, progress)

    def features(self, rows: Sequence[int]) -> StateFeatures:
        known = self.states[list(rows)]
        spread = known.std(axis=0).round(DIGITS)
        spread[spread == 0] = 1.0
        centre = known.mean(axis=0).round(DIGITS)
        return StateFeatures(self.reference, self.model.id, self.layer, centre, spread, opened=self.model)

    def values(self, features: StateFeatures, rows: Sequence[int]) -> NDArray[np.float64]:
        return features.standardised(self.states[list(rows)])

    def signs(self, width: int) -> NDArray[np.int8]:
        import numpy as np

        return np.zeros(width, np.int8)

    def expected(self, width: int) -> NDArray[np.float64]:
        import numpy as np

        return np.zeros(width)


def chosen_layer(blocks: int) -> int:
    """The layer that is read: two thirds of the way up, whatever the labels say.

    Middle and later blocks hold what a text means; the last ones turn to the next token.
    """
    return max(1, round(2 * blocks / 3))


def open_reader(reference: str, dtype: str, device: str | None) -> LocalModel:
    """A model whose hidden states can be read; InputError for an endpoint."""
    from backfire.models.local_policy import open_local
    from backfire.models.settings import Opening

    return open_local(reference, Opening.of(dtype=dtype, device=device), lacks="hidden states")


def states_of(
    model: LocalModel, cases: Sequence[Case], layer: int, progress: Progress | None = None
) -> NDArray[np.float64]:
    """The mean hidden state of each answer, behind its prompt in the model's template: float64 [cases, hidden].

    A case reads the same, whichever cases are read with it, but for rounding. NaN where nothing of the answer is left.
    """
    import warnings

    import numpy as np

    parts = []
    for start in range(0, len(cases), AT_ONCE):
        conversations = [
            (prompt, readable(response.text).answer) for prompt, response in cases[start : start + AT_ONCE]
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            states = model.hidden_states(conversations, [layer], max_length=MAX_LENGTH)
        parts.append(states[:, 0].astype(np.float64))
        if progress is not None:
            progress(min(start + AT_ONCE, len(cases)), len(cases))
    return np.concatenate(parts)
