"""Activation contrast: how far chosen responses lie from rejected ones along the policy's own direction of refusing.

Neighbours: projections of training data on difference-of-means directions (persona vectors, arXiv 2507.21509), and the attribution of
a DPO run's loss of refusals to its pairs by activations alone (arXiv 2602.11079).
"""

from __future__ import annotations

from backfire.influence.predictors.along_refusing import along_refusing, line_of, sentence_of
from backfire.influence.predictors.predictor import Measured, Numbers, Predictor
from backfire.influence.predictors.readings import Readings, SideStates, StatesOf


def _wants(readings: Readings) -> list[StatesOf]:
    return [StatesOf(readings.block.number)]


def _reduce(sides: SideStates) -> Numbers:
    (of,) = (of for of in sides.states if of.pool == "mean")
    return {"difference": sides.difference(of)}


def _conclude(readings: Readings, pairs: Numbers, others: Numbers) -> Measured:
    return along_refusing(readings, pairs["difference"], others["difference"])


ACTIVATION_CONTRAST = Predictor(
    "activation-contrast",
    what="activation contrast",
    highest="kept",
    sign="<",
    meaning="the whole interval of the activation contrast lies below X, from -1 to 1: chosen responses are nearer to the policy's"
    " compliances than rejected ones",
    wants=_wants,
    reduce=_reduce,
    conclude=_conclude,
    line=lambda predicted: line_of(predicted, "chosen less rejected"),
    sentences=lambda predicted: sentence_of(predicted, "Chosen and rejected responses", "rejected ones"),
)
