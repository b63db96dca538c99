"""Every predictor by hidden states: a new one is its module, its name in `settings.PredictorName`, and a line here."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import NamedTuple

from backfire.influence.margins import Progress
from backfire.influence.predictors.activation_contrast import ACTIVATION_CONTRAST
from backfire.influence.predictors.ches import CHES
from backfire.influence.predictors.predictor import Measured, Numbers, Predictor
from backfire.influence.predictors.projection_difference import PROJECTION_DIFFERENCE
from backfire.influence.predictors.readings import Pairs, Readings, SideStates, StatesOf, reduced
from backfire.models.failures import standing

PREDICTORS: Mapping[str, Predictor] = {
    one.name: one for one in (ACTIVATION_CONTRAST, PROJECTION_DIFFERENCE, CHES)
}
"""By name, in the order in which the conclusion, the terminal and the page name them."""


STATES = "states"
"""The part of an answer that fails where the hidden states cannot be read."""


class _Wanted(NamedTuple):
    """A predictor and the states that it reads."""

    predictor: Predictor
    states: Sequence[StatesOf]


def measured(
    readings: Readings, names: Sequence[str], failed: MutableMapping[str, str]
) -> dict[str, Measured]:
    """What each predictor says. All of them share one pass over the pairs; one that fails leaves the others standing."""
    wanted: list[_Wanted] = []
    for name, predictor in PREDICTORS.items():
        if name in names:
            with standing(failed, name):
                wanted.append(_Wanted(predictor, predictor.wants(readings)))
    left: dict[str, tuple[Numbers, Numbers]] = {}
    with standing(failed, STATES):
        of_pairs = _read(readings, wanted, readings.pairs, readings.progress)
        further = readings.others
        of_others = None if further is None else _read(readings, wanted, further)
        left = {
            name: (numbers, _none(numbers) if of_others is None else of_others[name])
            for name, numbers in of_pairs.items()
        }
    answers: dict[str, Measured] = {}
    for predictor, _ in wanted:
        if predictor.name in left:
            with standing(failed, predictor.name):
                answers[predictor.name] = predictor.conclude(readings, *left[predictor.name])
    return answers


def _read(
    readings: Readings, wanted: Sequence[_Wanted], pairs: Pairs, progress: Progress | None = None
) -> dict[str, Numbers]:
    """What every predictor needs of each pair, by predictor."""
    states = list(dict.fromkeys(of for one in wanted for of in one.states))

    def reduce(sides: SideStates) -> Numbers:
        return {
            f"{predictor.name}/{name}": values
            for predictor, own in wanted
            for name, values in predictor.reduce(
                SideStates(sides.contrasts, {of: sides.states[of] for of in own}, sides.tokens)
            ).items()
        }

    if not wanted:
        return {}
    what = ", ".join(one.predictor.name for one in wanted)
    flat = reduced(readings.model, pairs, states, reduce, what, readings.parts_stored, progress)
    return {
        predictor.name: {
            name.partition("/")[2]: values
            for name, values in flat.items()
            if name.partition("/")[0] == predictor.name
        }
        for predictor, _ in wanted
    }


def _none(numbers: Numbers) -> Numbers:
    """The same of no pairs."""
    return {name: values[:0] for name, values in numbers.items()}
