"""Baselines of influence: other numbers that might order data sets by harm before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from backfire.judges import Judge
    from backfire.models import LocalModel
    from backfire.pairs import Pair

Baselines = dict[str, float | None]


def baselines_of(
    model: LocalModel, pairs: Sequence[Pair], judge: Judge, *, max_length: int | None
) -> tuple[Baselines, NDArray[np.float64]]:
    """Four numbers of the pairs, each chosen less rejected, and the likelihood gap of every pair: [pairs].

    `length gap`: words, mean over standard deviation. `LossDiff`: log-probability a token under the untrained policy
    (arXiv 2510.13212), which is also the on-policyness gap. `decision contrast`: share of harmful prompts' responses that
    refuse, by the judge. `reward-model margin`: the score that picked them. None where a number has nothing to be of;
    the gap is NaN where the chat template loses or refuses the pair.
    """
    from backfire.judges import decide

    rendered = model.render(
        [pair.body for pair in pairs],
        max_length=max_length,
        strict=False,
    )
    reading = model.read(rendered)
    chosen, rejected = np.split(reading.logps / np.maximum(reading.tokens, 1), 2)
    gaps = np.where(rendered.trained, chosen - rejected, np.nan)
    words = np.array([len(p.chosen.text.split()) - len(p.rejected.text.split()) for p in pairs], dtype=float)
    decided = [
        (decide(judge, p.prompt, p.chosen).refuses, decide(judge, p.prompt, p.rejected).refuses)
        for p in pairs
        if p.prompt.kind == "harmful"
    ]
    contrasts = [float(c) - float(r) for c, r in decided if c is not None and r is not None]
    scores = [
        p.chosen_score - p.rejected_score
        for p in pairs
        if p.chosen_score is not None and p.rejected_score is not None
    ]
    return {
        "length gap": standardised(words),
        "LossDiff": _mean(gaps[np.isfinite(gaps)]),
        "decision contrast": _mean(np.array(contrasts)),
        "reward-model margin": _mean(np.array(scores)),
    }, gaps


def standardised(values: NDArray[np.float64]) -> float:
    """Mean over standard deviation (Cohen's d_z); 0 where nothing differs, infinite nowhere."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return float(values.mean()) / spread if spread else 0.0


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None
