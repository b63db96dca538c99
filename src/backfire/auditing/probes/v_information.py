"""Pointwise V-information of each pair: how easily its label is told from its two texts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.audited_pairs import Ints

Values = NDArray[np.float64]

STEPS = 12
SETTLED = 1e-6
"""Newton's steps of a labelling end below this; the next one would be about its square."""


def bits_of(margins: Values, folds: Ints) -> tuple[Values, Values]:
    """Bits of each pair under each labelling [pairs, labellings], and their slope by the first one's margins [pairs].

    PVI = -log2 g[0](y) + log2 g[x](y) (Ethayarajh, Choi and Swayamdipta 2022, eq. 4). Without the texts either side is
    as likely, 1 bit. With them, p = 1 / (1 + exp(-a margin)), where the one number a >= 0 is fitted by maximum
    likelihood on the held-out margins of the other folds: a probe that tells nothing gets 0 bits, not fewer.
    At most 1; below 0 where the probe takes the rejected side for the chosen one.
    """
    slopes = np.empty((int(folds.max()) + 1, margins.shape[1]))
    for k in range(len(slopes)):
        slopes[k] = _slope(margins[folds != k])
    scale = slopes[folds]
    logits = scale * margins
    bits = 1 - np.logaddexp(0, -logits) / np.log(2)
    by_margin = scale[:, 0] / (1 + np.exp(np.clip(logits[:, 0], -60, 60))) / np.log(2)
    return bits, by_margin


def _slope(margins: Values) -> Values:
    """argmax over a >= 0 of sum log sigmoid(a margin), for each column; Newton steps, at most twice as far each time."""
    size = np.sqrt(np.mean(margins**2, axis=0))
    unit = np.ascontiguousarray((margins / np.where(size > 0, size, 1)).T)
    slope = np.zeros(len(unit))
    moving = np.arange(len(unit))
    for _ in range(STEPS):
        now, values = slope[moving], unit[moving]
        wrong = 1 / (1 + np.exp(np.clip(now[:, None] * values, -60, 60)))
        gradient = np.sum(values * wrong, axis=1) - PRIOR * now
        curvature = np.sum(values**2 * (wrong - wrong**2), axis=1) + PRIOR
        slope[moving] = np.clip(now + gradient / curvature, 0, 2 * now + 1)
        moving = moving[np.abs(slope[moving] - now) > SETTLED * (1 + now)]
        if not len(moving):
            break
    return np.where(size > 0, slope / np.where(size > 0, size, 1), 0)


PRIOR = 0.1
"""Curvature of a Gaussian prior on a in units of the margins' size, so that separable margins have a finite slope."""
