"""What a predictor by hidden states is: what it reads of each pair, what it concludes, and how that is said, in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from backfire.answers.influence import Predicted
from backfire.influence.settings import PredictorName

if TYPE_CHECKING:
    from backfire.influence.predictors.readings import Readings, SideStates, StatesOf

Numbers = Mapping[str, NDArray[np.floating]]
"""What is left of each pair, by name: [pairs, ...]."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The answer, and what is known of each pair by itself."""

    answer: Predicted
    values: NDArray[np.float64]
    """Of the pairs that the answer is of: [pairs]; NaN where nothing fits the context."""
    others: NDArray[np.float64]
    """Of the other pairs that were asked for."""


@dataclass(frozen=True)
class Predictor:
    """A predictor: a data set in, a number with its interval out, and a number for each pair."""

    name: PredictorName
    """As options and conditions name it."""
    what: str
    """Its name in prose, such as `activation contrast`."""
    highest: Literal["kept", "left out"]
    """Which end of it a filter keeps."""
    sign: Literal["<", ">"]
    """On which side of its bound the condition of `audit` holds."""
    meaning: str
    """When the condition holds."""
    wants: Callable[[Readings], Sequence[StatesOf]]
    """The states of both sides that it reads."""
    reduce: Callable[[SideStates], Numbers]
    """What it needs of some pairs. It depends on nothing but these, so that it can be stored."""
    conclude: Callable[[Readings, Numbers, Numbers], Measured]
    """From what it needs of the pairs, and of the other pairs."""
    line: Callable[[Predicted], str]
    """What the terminal and the page say."""
    sentences: Callable[[Predicted], Sequence[str]]
    """What the conclusion says."""
    needs_probes: bool = True

    @property
    def column(self) -> str:
        """Of the file of single pairs."""
        return self.name.replace("-", "_")

    @property
    def condition(self) -> str:
        return f"{self.name}{self.sign}X"

    def holds(self, predicted: Predicted, bound: float) -> bool | None:
        """Whether the whole interval lies beyond the bound; None where there is no number."""
        if predicted.value is None:
            return None
        return predicted.value.high < bound if self.sign == "<" else predicted.value.low > bound
