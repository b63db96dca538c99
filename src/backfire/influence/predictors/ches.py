"""CHES, the centered hidden embedding similarity of a pair's two sides (Razin et al. 2024, arXiv 2410.08847, definition 2).

h_k is the last layer's state from which token k of a response is predicted. CHES = <sum h+, sum h-> - |sum h+|^2, and its
length-normalised form has means in the place of sums. Where it is high, the two sides look alike from inside the model, and DPO
tends to make the chosen response less likely while it makes the rejected one less likely still: likelihood displacement.

It depends on the scale of a model's states. For a data set it is therefore given as *likeness*, <m+, m-> / |m+|^2, m being means: the
length-normalised CHES over |m+|^2, plus 1. At 1 the sides are the same. It says nothing of safety by itself: only where both sides
refuse, what both lose may go to compliance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backfire.answers.estimates import Estimate
from backfire.answers.influence import Predicted
from backfire.answers.numerals import band, shown_rows
from backfire.answers.phrases import estimate_text
from backfire.influence.margins import Contrast
from backfire.influence.predictors.predictor import Measured, Numbers, Predictor
from backfire.influence.predictors.readings import Readings, SideStates, StatesOf
from backfire.records import given_response, said_by_assistant
from backfire.statistics.clusters import clustered_mean

NEARLY_THE_SAME = 0.8
"""The least share of words that two nearly identical responses have in common, of all words of the two."""
ROWS_LISTED = 1_000
MOST_ROWS = 10
"""Row numbers that a sentence names."""
ENOUGH = 0.01
"""The least share of pairs in which displacement is to be expected that the conclusion speaks of."""


def _wants(readings: Readings) -> list[StatesOf]:
    return [StatesOf(readings.last, "predicting")]


def reduce(sides: SideStates) -> Numbers:
    """CHES of each pair, its length-normalised form, and the likeness of the two sides, from either of them."""
    (of,) = (of for of in sides.states if of.pool == "predicting")
    plus, minus = np.moveaxis(sides.states[of].astype(np.float64), 1, 0)
    product = (plus * minus).sum(axis=1)
    own, others = (plus * plus).sum(axis=1), (minus * minus).sum(axis=1)
    lengths = sides.tokens
    return {
        "ches": lengths[:, 0] * lengths[:, 1] * product - lengths[:, 0] ** 2 * own,
        "ches_normalised": product - own,
        "likeness": product / own,
        "swapped": product / others,
    }


def _conclude(readings: Readings, pairs: Numbers, others: Numbers) -> Measured:
    likeness = np.asarray(pairs["likeness"], dtype=np.float64)
    refuse, same = refuse_both(readings, readings.pairs.contrasts), nearly_same(readings.pairs.contrasts)
    either = (refuse | same) & np.isfinite(likeness)
    placebo = None
    if "placebo" in readings.probes:
        of_probes = readings.of_probes("placebo", _wants(readings), reduce)["likeness"]
        placebo = _mean(np.asarray(of_probes, dtype=np.float64), np.arange(len(of_probes)))
    usual = np.nanmedian(likeness) if placebo is None else placebo.value
    expected = np.flatnonzero(either & (likeness >= usual))
    highest_first = expected[np.argsort(-likeness[expected], kind="stable")]
    means = {
        "sides_swapped": _mean(np.asarray(pairs["swapped"], dtype=np.float64), readings.groups),
        "both_refuse": _mean(likeness[refuse], readings.groups[refuse]),
        "nearly_identical": _mean(likeness[same], readings.groups[same]),
    }
    value = _mean(likeness, readings.groups)
    answer = Predicted(
        pairs=int(np.isfinite(likeness).sum()),
        value=value,
        placebo=placebo,
        undetermined=None if value is not None else "fewer than two prompts have a pair that could be read",
        layer=readings.last,
        layers=readings.last,
        numbers={name: mean for name, mean in means.items() if mean is not None},
        counts={
            "both_refuse": int(refuse.sum()),
            "nearly_identical": int(same.sum()),
            "displacement_expected": len(expected),
        },
        rows=tuple(int(row) for row in readings.rows[highest_first][:ROWS_LISTED]),
    )
    return Measured(
        answer, *(np.asarray(some["ches_normalised"], dtype=np.float64) for some in (pairs, others))
    )


def refuse_both(readings: Readings, contrasts: Sequence[Contrast]) -> NDArray[np.bool_]:
    """Whether the judge says of both sides that they refuse: [pairs]."""
    from backfire.judges import decide

    def refuses(contrast: Contrast, side: int) -> bool:
        text = said_by_assistant((contrast.plus, contrast.minus)[side][0])
        response = given_response(contrast.prompt, "given", text, index=side)
        return decide(readings.judge, contrast.prompt, response).refuses is True

    return np.array([refuses(one, 0) and refuses(one, 1) for one in contrasts], dtype=bool)


def nearly_same(contrasts: Sequence[Contrast]) -> NDArray[np.bool_]:
    """Whether the two sides have nearly all words in common: [pairs]."""

    def words(one: Contrast, side: int) -> Counter[str]:
        return Counter(said_by_assistant((one.plus, one.minus)[side][0]).lower().split())

    def overlap(one: Contrast) -> float:
        plus, minus = words(one, 0), words(one, 1)
        return (plus & minus).total() / max(1, (plus | minus).total())

    return np.array([overlap(one) >= NEARLY_THE_SAME for one in contrasts], dtype=bool)


def _mean(values: NDArray[np.float64], groups: NDArray[np.int64]) -> Estimate | None:
    mean, low, high = clustered_mean(values, groups)
    return Estimate(value=mean, low=low, high=high) if np.isfinite([mean, low, high]).all() else None


def _line(predicted: Predicted) -> str:
    if predicted.value is None:
        return f"likeness of the two sides (CHES): undetermined: {predicted.undetermined}"
    value, counts = predicted.value, predicted.counts or {}
    parts = [band(value.value, value.low, value.high, 2)]
    if predicted.placebo is not None:
        placebo = predicted.placebo
        parts.append(f"two samples of one decision {band(placebo.value, placebo.low, placebo.high, 2)}")
    expected = counts.get("displacement_expected", 0)
    rows = f" (row {shown_rows(predicted.rows, MOST_ROWS, expected)})" if predicted.rows else ""
    return (
        f"likeness of the two sides in the last hidden states, 1 where they are the same (CHES): {', '.join(parts)}; both sides refuse"
        f" in {counts.get('both_refuse', 0):,} pairs and are nearly identical in {counts.get('nearly_identical', 0):,}; likelihood"
        f" displacement is to be expected in {expected:,}{rows}"
    )


def _sentences(predicted: Predicted) -> list[str]:
    """Nothing, where no pairs are such that both sides may lose."""
    counts, value = predicted.counts or {}, predicted.value
    expected = counts.get("displacement_expected", 0)
    if value is None or expected < max(1, ENOUGH * predicted.pairs):
        return []
    refusing = counts.get("both_refuse", 0)
    safety = (
        " Where both refuse, what both lose may go to compliance (arXiv 2410.08847)."
        if refusing
        else " None of them is a pair of two refusals, so that it says nothing of safety."
    )
    return [
        f"In {expected:,} of {predicted.pairs:,} pairs (rows {shown_rows(predicted.rows, MOST_ROWS, expected)}) training may make the"
        f" chosen response less likely, too (likelihood displacement): both sides refuse or are nearly identical, and they look alike"
        f" in the policy's last hidden states. Of all pairs the likeness is {estimate_text(value)}, where 1 is the same.{safety}"
    ]


CHES = Predictor(
    "ches",
    what="length-normalised CHES",
    highest="left out",
    sign=">",
    meaning="the whole interval of the likeness of the two sides in the last hidden states (CHES) lies above X, from 0 to below 1",
    wants=_wants,
    reduce=reduce,
    conclude=_conclude,
    line=_line,
    sentences=_sentences,
    needs_probes=False,
)
