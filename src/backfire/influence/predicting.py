"""First-order safety influence of a data set on a policy: what a step of training on it does to refusing.

At the first step of DPO policy and reference model are the same, so that its loss has the gradient -beta/2 d with
d = mean over pairs of grad [log p(chosen) - log p(rejected)] (Rafailov et al. 2023, eq. 7). With v the gradient of the mean
probe margin, log p(refusal) - log p(compliance) of the policy's own responses, the influence is the cosine of d and v.

Neighbours: TracIn (Pruthi et al. 2020) and LESS (Xia et al. 2024) score single training examples by such products;
truncated influence and LossDiff (arXiv 2510.13212) and DOG-DPO (arXiv 2606.07678) select preference pairs. Here the data
set as a whole is judged against the decision to refuse, with norms that do not depend on the number of pairs, an
interval, a placebo, and the other side of the trade (needless refusals).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from backfire.answers.influence import ProbeInfluence, SafetyInfluence
from backfire.errors import InputError, ModelError
from backfire.influence.encoded_probes import EncodedProbes, encoded_probes
from backfire.influence.estimates import align
from backfire.influence.gradients import Products, gradient_products
from backfire.influence.kept import KeptGradients
from backfire.influence.margins import Contrast, Encoded, Progress, probe_contrasts
from backfire.influence.own_answers import read_own_answers
from backfire.influence.parameters import trained
from backfire.influence.pilot_outcome import piloted
from backfire.influence.predictors.predictor import Measured
from backfire.influence.predictors.readings import Pairs, Probed, Readings
from backfire.influence.predictors.registry import measured
from backfire.influence.probe_answers import damage_of, probe_influence, too_little, without_gradients
from backfire.influence.probes import ProbeSets
from backfire.influence.settings import InfluenceSettings, PilotSettings, StatesSettings
from backfire.influence.shards import shards_of, whole_groups
from backfire.influence.stored_parts import StoredParts
from backfire.influence.two_pass import PairInfluence, along
from backfire.influence.word_cosine import wording_cosine
from backfire.judges import PhraseJudge
from backfire.models.failures import standing
from backfire.models.settings import MAX_LENGTH
from backfire.records import PairBody

if TYPE_CHECKING:
    from backfire.judges.judge import Judge
    from backfire.models import LocalModel

DATA_SHARDS = 20
NO_GRADIENTS = "none"
"""In the place of which parameters are trained: only activations are read."""
LIMITS = (
    "It is the direction of the first step, not an outcome, and no threshold separates safe from unsafe data. On nine"
    " held-out worlds of small organisms it ordered eleven data sets by what training did to attack success (Spearman -.70"
    " [-.84, -.56] within worlds) no better than bags of words did (-.66), and the seven usual recipes only weakly (-.38 [-.70,"
    " -.06]); a pilot of eight steps was better (-.85 and -.66). Those figures of the cosine read the first twentieth of each"
    " data set only, owing to a fault that is fixed since, and wait to be measured again. No real model was tried"
    " (docs/concepts/influence.md)."
)


def safety_influence(
    dataset: Any,
    policy: LocalModel | str | Path,
    probe_prompts: Any,
    settings: InfluenceSettings | None = None,
    *,
    judge: Judge | None = None,
    progress: Progress | None = None,
    announce: Callable[[str], None] | None = None,
    **everyday: Any,
) -> SafetyInfluence:
    """Predict, to first order and by a pilot, what DPO on a data set does to the policy's refusals.

    Args:
        dataset: preference data in any form that `backfire.audit` reads.
        policy: the model to be trained, or its reference.
        probe_prompts: harmful prompts, and benign ones if over-refusal is to be seen: a file, `organism:prompts/NAME`, a
            list of these or of Prompts, a file of (prompt, refusal, compliance), or ProbeSets.
        settings: everything else.
        judge: says which sampled responses refuse; by default the refusal phrases.
        announce: called with a sentence that says how long it will take and how much memory, before it begins.
        everyday: fields of `InfluenceSettings` by name, in the place of `settings` or over them, such as `pairs=200`,
            `pilot=8` or `columns={"prompt": "question"}`. A pilot is the better predictor, at the price of steps *
            batch_size pairs and the probes after each step.

    Raises:
        InputError: what cannot be read, an endpoint, or no usable pair or probe.
    """
    from backfire.influence.cost import Planned, priced
    from backfire.influence.probes import open_probes, read_probes
    from backfire.models.local_policy import open_local
    from backfire.preferences import open_preferences, pairs_of

    settings = InfluenceSettings.of(settings, **everyday)
    model = open_local(policy, lacks="gradients")
    conversations: list[PairBody] = []
    rows: list[int] = []
    data = open_preferences(dataset, **settings.reading.options())
    for block in data.blocks():
        conversations += pairs_of(block)
        rows += block["row"].to_pylist()
    ids = [prompt.id for prompt, _, _ in conversations]
    groups = np.unique(np.array(ids, dtype=object), return_inverse=True)[1].astype(np.int64)
    chosen = whole_groups(groups, settings.pairs, settings.seed)
    pairs = [conversations[i] for i in chosen]
    source = read_probes(probe_prompts)
    how: dict[str, Any] = {"plain": data.plain, "max_length": settings.max_length}
    planned = Planned.of(
        pairs, 0, source, states=settings.states, parameters=settings.parameters, pilot=settings.pilot
    )
    with priced(model, planned, announce, **how) as price:
        with StoredParts(settings.states.cache).ledger() as ledger:
            sets = open_probes(
                model, source, judge=judge, training_prompts=set(ids), seed=settings.seed, ledger=ledger
            )
        answer = safety_influence_of(
            model,
            pairs,
            np.array(rows, dtype=np.int64)[chosen],
            groups[chosen],
            sets,
            parameters=settings.parameters,
            beta=settings.beta,
            precondition=settings.precondition,
            states=settings.states,
            pilot=settings.pilot,
            judge=judge,
            seed=settings.seed,
            progress=progress,
            **how,
        )
    return answer.model_copy(update={"cost": price.cost})


def safety_influence_of(
    model: LocalModel,
    conversations: Sequence[PairBody],
    rows: NDArray[np.int64],
    groups: NDArray[np.int64],
    probes: ProbeSets,
    **settings: Any,
) -> SafetyInfluence:
    """`safety_influence` of (prompt, chosen, rejected) in memory, with the pairs that do the damage.

    rows: the pairs' row numbers, from 1. groups: their prompt groups, which are never divided over shards. settings:
    those of `read_influence_of`.
    """
    return read_influence_of(model, conversations, rows, groups, probes, **settings).answer


@dataclass(frozen=True, eq=False)
class InfluenceRead:
    """The answer, and the influence of each pair by itself."""

    answer: SafetyInfluence
    values: NDArray[np.float64]
    """Of the pairs that the answer is of: [pairs]; NaN where nothing fits the context, and without gradients."""
    others: NDArray[np.float64]
    """Of the other pairs that were asked for."""
    by_states: Mapping[str, Measured]
    """What the predictors by hidden states say of each pair, by the predictor's name."""


@dataclass(frozen=True, eq=False)
class _Gradients:
    """What the gradients give: products of shards, each pair's influence, and which parameters they are of."""

    products: Products
    each: PairInfluence
    others: NDArray[np.float64]
    how: str
    trained: int


def read_influence_of(
    model: LocalModel,
    conversations: Sequence[PairBody],
    rows: NDArray[np.int64],
    groups: NDArray[np.int64],
    probes: ProbeSets,
    *,
    others: Sequence[PairBody] = (),
    parameters: str = "auto",
    beta: float = 0.1,
    precondition: Literal["adam"] | None = None,
    states: StatesSettings | None = None,
    pilot: PilotSettings | int | None = None,
    judge: Judge | None = None,
    keep: Path | None = None,
    seed: int = 0,
    plain: bool = False,
    max_length: int | None = MAX_LENGTH,
    progress: Progress | None = None,
) -> InfluenceRead:
    """`safety_influence_of` with each pair's own value, also of `others`, which the answer is not of.

    judge: of the pilot's answers, by default the refusal phrases. keep: a folder for what is computed, so that the next data set
    is read against the same policy and probes at a fraction of the price (`kept.KeptGradients`), and a prediction that was
    interrupted goes on where it was (`stored_parts`). plain, max_length: how the pairs are rendered, as in training; probes always
    go through the chat template.
    """
    if not conversations or not probes.refusal.probes:
        what = "no pairs" if not conversations else "no probe: no prompt gave a refusal and a compliance"
        raise InputError(f"safety influence of {model.name}: {what}; {dict(probes.refusal.left_out) or ''}")
    how: dict[str, Any] = {"plain": plain, "max_length": max_length}
    whole = Pairs.of(model, conversations, **how)
    pairs = whole.encoded
    if not pairs.usable.any():
        raise InputError(f"no pair fits the context of {model.name}")
    parts = shards_of(groups, DATA_SHARDS, seed)
    sets = encoded_probes(model, probes, len(parts), seed)
    failed: dict[str, str] = {}
    states = states or StatesSettings()
    own = None if states.own_answers is None else read_own_answers(states.own_answers, model)
    folder = states.cache if keep is None else keep
    readings = Readings(
        model,
        whole,
        rows,
        groups,
        parts,
        Pairs.of(model, others, **how) if others else None,
        {
            name: Probed(one.probe_set, one.encoded, one.parts, too_little(one.probe_set, None))
            for name, one in sets.items()
        },
        judge or PhraseJudge(),
        own_answers=own,
        parts_stored=StoredParts(folder),
        **how,
    )
    by_states = measured(readings, states.names, failed)
    gradients = None
    with nullcontext() if pilot is None and not by_states else standing(failed, "influence"):
        if parameters != NO_GRADIENTS:
            gradients = _gradients(
                model,
                conversations,
                others,
                pairs,
                parts,
                sets,
                parameters=parameters,
                precondition=precondition,
                stored=None if folder is None else KeptGradients(folder, seed),
                seed=seed,
                progress=progress,
                how=how,
            )
    pilot_outcome = None
    if pilot is not None:
        pilot_settings = PilotSettings(steps=pilot) if isinstance(pilot, int) else pilot
        trained_by = "auto" if parameters == NO_GRADIENTS else parameters
        with standing(failed, "pilot"):
            pilot_outcome = piloted(
                model,
                conversations,
                probes.refusal,
                pilot_settings,
                trained_by,
                judge,
                seed,
                stored=StoredParts(folder),
                **how,
            )
    if gradients is None and pilot_outcome is None and not by_states:
        raise ModelError("; ".join(failed.values()))
    beside = {
        "policy": model.name,
        "pairs": int(pairs.usable.sum()),
        "wording": _finite(
            wording_cosine(
                [Contrast(p, (c,), (r,)) for p, c, r in conversations], probe_contrasts(probes.refusal)
            )
        ),
        "predictors": {name: one.answer for name, one in by_states.items()} or None,
        "pilot": pilot_outcome,
        "failed": failed or None,
        "limits": LIMITS,
    }
    nothing = np.full(len(conversations), np.nan), np.full(len(others), np.nan)
    if gradients is None:
        why = failed.get("influence", "gradients were not asked for (parameters none)")
        answer = without_gradients(probes.refusal, parameters, why, beside)
    else:
        answer = _answer(gradients, sets, rows, len(parts), beta, precondition, beside)
    return InfluenceRead(
        answer,
        nothing[0] if gradients is None else gradients.each.values,
        nothing[1] if gradients is None else gradients.others,
        by_states,
    )


def _gradients(
    model: LocalModel,
    conversations: Sequence[PairBody],
    others: Sequence[PairBody],
    pairs: Encoded,
    parts: list[NDArray[np.int64]],
    sets: dict[str, EncodedProbes],
    *,
    parameters: str,
    precondition: Literal["adam"] | None,
    stored: KeptGradients | None,
    seed: int,
    progress: Progress | None,
    how: dict[str, Any],
) -> _Gradients:
    """Gradients of the pairs' and the probes' margins, shard by shard, and each pair along the probes' direction."""
    shards = [pairs.subset(part) for part in parts]
    shards += [one.encoded.subset(part) for one in sets.values() for part in one.parts]
    numbers = np.arange(len(shards))
    with trained(model, parameters, seed=seed, shards=len(shards)) as chosen:
        products = gradient_products(
            model,
            shards,
            numbers < len(parts),
            chosen,
            toward=np.isin(numbers, sets["refusal"].places),
            precondition=precondition,
            stored=stored,
            progress=progress,
        )
        assert products.direction is not None
        steps, length = products.direction
        if products.values is None:
            each = along(model, conversations, chosen, steps, length, **how)
        else:
            values = np.full(len(conversations), np.nan)
            for part, found_there in zip(parts, products.values, strict=True):
                values[part] = found_there
            each = PairInfluence(values, None, 0.0)
        apart = along(model, others, chosen, steps, length, **how).values if others else np.zeros(0)
    return _Gradients(products, each, apart, chosen.how, chosen.count)


def _answer(
    gradients: _Gradients,
    sets: dict[str, EncodedProbes],
    rows: NDArray[np.int64],
    data_shards: int,
    beta: float,
    precondition: str | None,
    beside: dict[str, Any],
) -> SafetyInfluence:
    """The answer of the gradients, with what stands beside it."""
    products, each, data = gradients.products, gradients.each, np.arange(data_shards)

    def influence_of(name: str, stratum: str | None = None) -> ProbeInfluence | None:
        if name not in sets:
            return None
        probes = sets[name]
        places = probes.places if stratum is None else probes.strata[stratum]
        yardstick = sets["refusal"].places if name == "placebo" else None
        alignment = align(products.gram, products.counts, data, places, yardstick=yardstick)
        return probe_influence(probes.probe_set, stratum, alignment, products, places, beta)

    refusal = influence_of("refusal")
    assert refusal is not None
    headline, kinds = refusal.cosine, sets["refusal"].strata
    by_kind = {name: influence_of("refusal", name) for name in kinds if len(kinds) > 1}
    return SafetyInfluence(
        cosine=None if headline is None else headline.value,
        low=None if headline is None else headline.low,
        high=None if headline is None else headline.high,
        probes=refusal.probes,
        parameters=gradients.how + (", steps as Adam takes them" if precondition else ""),
        trained=gradients.trained,
        shards=data_shards,
        refusal=refusal,
        strata={name: one for name, one in by_kind.items() if one is not None},
        benign=influence_of("benign"),
        placebo=influence_of("placebo"),
        damage=damage_of(each, rows),
        epsilon=each.epsilon,
        epsilon_agrees=None if each.epsilon is None else each.agrees,
        **beside,
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
