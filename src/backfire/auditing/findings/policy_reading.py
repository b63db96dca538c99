"""The policy's own view: hidden states of every layer, and how likely it finds either side, in one forward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backfire.answers.audit import Mean, OnPolicyness
from backfire.answers.estimates import Layer
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.probes.folds import Split, too_few
from backfire.auditing.probes.held_out import measure
from backfire.auditing.probes.probe import MeasuredProbe, measure_probe, sampled
from backfire.auditing.probes.uncertainty import Values, clustered_mean
from backfire.preferences import pairs_of

if TYPE_CHECKING:
    from backfire.models import LocalModel


class PolicyView(NamedTuple):
    """What the policy adds to an answer. `probe` is None where too few pairs could be read: `reason` says so."""

    probe: MeasuredProbe | None
    reason: str | None
    on_policyness: OnPolicyness | None


def middle_layer(layers: int) -> int:
    """The block half way up, layer 0 being the embeddings; fixed beforehand, for the best layer would leak the label."""
    return layers // 2


def read_policy(
    model: LocalModel,
    audited: AuditedPairs,
    split: Split,
    most: int,
    plain: bool = False,
    max_length: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PolicyView:
    """Read at most `most` pairs of the sample, whole prompts, as they are trained on.

    Pairs that the template refuses, or of which `max_length` leaves nothing, are left out and counted as cut.
    """
    places, text = sampled(audited, split, most)
    every = pairs_of(text)
    usable = np.flatnonzero(model.render(every, plain=plain, max_length=max_length, strict=False).trained)
    if not len(usable):
        return PolicyView(None, "no pair can be rendered for the policy", None)
    pairs, left = places[usable], len(places) - len(usable)
    rendered = model.render([every[k] for k in usable], plain=plain, max_length=max_length, strict=False)
    reading = model.read(rendered, progress=progress)
    read = np.isfinite(reading.logps).reshape(2, -1).all(axis=0)
    finite = np.flatnonzero(read)
    sides = np.concatenate([finite, finite + len(pairs)])
    division = split.subset(pairs[finite])
    per_token = reading.logps[sides] / reading.tokens[sides]
    on_policyness = None
    if len(finite) > 1:
        on_policyness = _on_policyness(model.name, per_token, left + len(pairs) - len(finite), division)
    if reason := too_few(division):
        return PolicyView(None, reason, on_policyness)
    states = reading.states[sides]
    layer = middle_layer(states.shape[1])
    about = f"{model.name}, layer {layer} of {states.shape[1] - 1}, mean over the response's tokens"
    probe = measure_probe("hidden", about, states[:, layer].astype(np.float32), pairs[finite], audited, split)
    layers = tuple(_layer(k, states[:, k], division) for k in range(states.shape[1]))
    answer = probe.answer.model_copy(update={"layers": layers})
    return PolicyView(probe._replace(answer=answer), None, on_policyness)


def _layer(number: int, states: Any, split: Split) -> Layer:
    area = measure(states.astype(np.float32), split).auroc
    return Layer(
        layer=number, auroc=area.value, low=area.low, high=area.high, control=area.control["control"]
    )


def _on_policyness(name: str, per_token: Values, cut: int, split: Split) -> OnPolicyness:
    pairs = len(per_token) // 2
    chosen, rejected = per_token[:pairs], per_token[pairs:]

    def mean(values: Values) -> Mean:
        value, low, high = clustered_mean(values, split.groups)
        return Mean(mean=value, low=low, high=high)

    gap = chosen - rejected
    swapped = split.swapped_sums(gap) / pairs
    at_least = int(np.count_nonzero(np.abs(swapped) >= abs(gap.mean()) - 1e-12))
    p = (1 + at_least) / (1 + len(swapped))
    between = mean(gap).model_copy(update={"control": float(swapped.mean()), "p": p})
    return OnPolicyness(
        policy=name, pairs=pairs, cut=cut, chosen=mean(chosen), rejected=mean(rejected), gap=between
    )
