"""The second step of an audit: probes of the text, and what the policy says of the pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backfire.answers.as_trained import AsTrained
from backfire.answers.audit import NotRun, OnPolicyness
from backfire.auditing.audited_pairs import Ints
from backfire.auditing.findings.as_trained import as_trained
from backfire.auditing.findings.influence_reading import InfluenceView, read_influence
from backfire.auditing.findings.policy_reading import PolicyView, read_policy
from backfire.auditing.inputs import Inputs
from backfire.auditing.probes.family import corrected
from backfire.auditing.probes.probe import MeasuredProbe
from backfire.auditing.probes.text_probes import Words, text_probes
from backfire.auditing.reading import PairsRead
from backfire.auditing.settings import AuditSettings
from backfire.auditing.steps import Steps
from backfire.models.failures import standing

if TYPE_CHECKING:
    from backfire.models import LocalModel


@dataclass(frozen=True)
class Measurements:
    """What was measured. A part that failed is None, and `failed` says why."""

    probes: tuple[MeasuredProbe, ...]
    not_run: tuple[NotRun, ...]
    words: Words | None
    trained: AsTrained | None
    tokens: Ints | None
    """Of either side, as the policy is trained on them: [pairs, 2]."""
    on_policyness: OnPolicyness | None
    influence: InfluenceView | None
    failed: Mapping[str, str]
    """Reasons by the name of the part."""


@dataclass(frozen=True)
class _OfPolicy:
    """What the policy says of the pairs."""

    trained: AsTrained | None
    tokens: Ints | None
    view: PolicyView
    influence: InfluenceView | None
    failed: Mapping[str, str]


def measure(
    pairs: PairsRead, inputs: Inputs, settings: AuditSettings, steps: Steps, *, each_pair: bool
) -> Measurements:
    """Fit the probes of the text, then let the policy read the pairs, if there is one.

    each_pair: whether the influence of every pair by itself is wanted, too.
    """
    text = text_probes(pairs.audited, pairs.split, pairs.blocks, inputs.encoder, steps)
    if inputs.policy is None:
        return Measurements(
            corrected(text.probes), text.not_run, text.words, None, None, None, None, failed={}
        )
    of_policy = _of_policy(inputs.policy, pairs, inputs, settings, steps, each_pair=each_pair)
    view, not_run = of_policy.view, text.not_run
    if view.reason is not None:
        not_run = (*not_run, NotRun(probe="hidden", reason=view.reason))
    return Measurements(
        probes=corrected(text.probes if view.probe is None else (*text.probes, view.probe)),
        not_run=not_run,
        words=text.words,
        trained=of_policy.trained,
        tokens=of_policy.tokens,
        on_policyness=view.on_policyness,
        influence=of_policy.influence,
        failed=of_policy.failed,
    )


def _of_policy(
    policy: LocalModel,
    pairs: PairsRead,
    inputs: Inputs,
    settings: AuditSettings,
    steps: Steps,
    *,
    each_pair: bool,
) -> _OfPolicy:
    """Its tokens, its states and likelihoods, and the predicted influence; one that fails leaves the others standing."""
    trained, tokens, view, influence = None, None, PolicyView(None, None, None), None
    failed: dict[str, str] = {}
    plain, max_length = pairs.data.plain, settings.max_length
    with steps.step("tokens", 2), standing(failed, "tokens"):
        trained, tokens = as_trained(policy, pairs.blocks(), plain=plain, max_length=max_length)
    with steps.step("policy", 12) as part, standing(failed, "policy"):
        view = read_policy(policy, pairs.audited, pairs.split, settings.policy_pairs, plain, max_length, part)
    if inputs.probes is not None and pairs.audited.pairs:
        with steps.step("influence", 12) as part, standing(failed, "influence"):
            influence = read_influence(
                policy,
                pairs.audited,
                pairs.split,
                settings.policy_pairs,
                inputs.probes,
                judge=inputs.judge,
                parameters=settings.parameters,
                states=settings.states,
                pilot=settings.pilot,
                seed=settings.seed,
                each_pair=each_pair,
                plain=plain,
                max_length=max_length,
                announce=steps.announce,
                progress=part,
            )
    if influence is not None:
        failed |= influence.answer.failed or {}
    return _OfPolicy(trained, tokens, view, influence, failed)
