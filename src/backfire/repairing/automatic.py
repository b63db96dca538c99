"""`auto`: what is left out or replaced, step by step, until the prediction lies above the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from backfire.errors import InputError
from backfire.pairs import Pair
from backfire.repairing.choosing import Choice, Prediction, choose_share, mean_of
from backfire.repairing.filtering import Values, filter_pairs
from backfire.repairing.given import GivenPairs
from backfire.repairing.mixing import mix_pairs
from backfire.repairing.outcome import Outcome
from backfire.statistics.clusters import clustered_mean

if TYPE_CHECKING:
    from backfire.influence import ProbeSet
    from backfire.models import LocalModel

Thing = TypeVar("Thing")
SIGNS = {"kept": 1.0, "labels switched": -1.0}
"""Of a given pair's influence, by what happened to it: exchanged sides push the other way. Of other changes it is not known."""


@dataclass(frozen=True)
class Inputs:
    """The pairs and what is known of each."""

    given: GivenPairs
    influence: Values | None
    added: tuple[Pair, ...]
    """Pairs that may be put in."""
    added_influence: Values | None
    seed: int


@dataclass(frozen=True)
class Trial:
    """A pilot on whatever a step of the ladder leaves."""

    model: LocalModel
    probes: ProbeSet
    settings: dict[str, Any]
    """Of `influence.run_pilot`."""
    seed: int
    plain: bool
    max_length: int | None

    def predict(self, share: float, outcome: Outcome) -> Prediction:
        """The margin change of the probes after the pilot's steps, in nats, with its interval over probes.

        Which pairs the pilot drew is not in the interval; the seed is the same at every share.
        """
        from backfire.influence import run_pilot

        conversations = [made.pair.body for made in outcome.pairs]
        steps = int(self.settings.get("steps", 8))
        settings = {**self.settings, "steps": steps, "every": steps}
        settings |= {"plain": self.plain, "max_length": self.max_length}
        pilot = run_pilot(self.model, conversations, self.probes, seed=self.seed, **settings)
        prompts = [probe.prompt.id for probe in self.probes.probes]
        return replace(mean_of(share, np.array(pilot.changes), prompts), pairs=len(conversations))


def needed(values: Thing | None) -> Thing:
    """InputError where nothing says what each pair does."""
    if values is None:
        raise InputError(
            "each pair's influence is needed: give probe prompts and the policy, or the audit's per-pair file as influence"
        )
    return values


def automatic(
    inputs: Inputs, target: float, stratify: bool, grow: bool, trial: Trial | None
) -> tuple[Outcome, Choice]:
    """The smallest change predicted to lie above the target: by mean influence, or by a pilot on what is left.

    Pairs of lowest influence go first either way. With pairs to add these take their places, else they are left out.
    Raises InputError where no step of the ladder reaches the target.
    """
    given, values = inputs.given, needed(inputs.influence)
    if inputs.added and inputs.added_influence is None and trial is None:
        raise InputError(
            "auto with self pairs needs their influence too: give probe prompts, or their per-pair file"
        )

    def changed(share: float) -> Outcome:
        if inputs.added:
            return mix_pairs(given.pairs, inputs.added, share, values=values, grow=grow, seed=inputs.seed)
        return filter_pairs(given.pairs, values, keep=1 - share, stratify=stratify)

    def predict(share: float) -> Prediction:
        outcome = changed(share)
        return (
            mean_of(share, *_values_after(inputs, outcome))
            if trial is None
            else trial.predict(share, outcome)
        )

    choice = choose_share(predict, target)
    if choice.taken is None:
        best = max(choice.ladder, key=lambda p: -np.inf if np.isnan(p.low) else p.low)
        how = "replacing" if inputs.added else "leaving out"
        what = "the influence" if trial is None else "the pilot's change of the refusal margin"
        raise InputError(
            f"auto: no change is predicted to bring {what} above {target:g}: the best, {how} {best.share:.0%} of "
            f"the pairs, gives {best.mean:.3g} [{best.low:.3g} to {best.high:.3g}]; lower the target, give self pairs to "
            "mix in, or restyle"
        )
    return changed(choice.ladder[choice.taken].share), choice


def _values_after(inputs: Inputs, outcome: Outcome) -> tuple[Values, list[str]]:
    """The influence of every pair of the outcome whose texts are as they were; NaN for the others."""
    of_added = (
        {}
        if inputs.added_influence is None
        else {p.id: v for p, v in zip(inputs.added, inputs.added_influence.tolist(), strict=True)}
    )
    values = []
    for m in outcome.pairs:
        if m.place is None:
            values.append(of_added.get(m.pair.id, np.nan))
        else:
            assert inputs.influence is not None
            values.append(SIGNS.get(m.change, np.nan) * inputs.influence[m.place])
    return np.array(values, dtype=np.float64), [m.pair.prompt.id for m in outcome.pairs]


def mean_influence(inputs: Inputs, outcome: Outcome) -> tuple[Prediction, Prediction] | None:
    """Before and after; None where influence is not known of every pair."""
    if inputs.influence is None:
        return None
    prompts = [p.prompt.id for p in inputs.given.pairs]
    before = Prediction(0.0, len(prompts), *clustered_mean(inputs.influence, prompts))
    values, groups = _values_after(inputs, outcome)
    unknown: Sequence[bool] = np.isnan(values).tolist()
    if all(unknown) or any(u and m.change != "kept" for u, m in zip(unknown, outcome.pairs, strict=True)):
        return None
    share = sum(map(len, outcome.left_out.values())) / len(prompts)
    return before, mean_of(share, values, groups)
