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

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from backfire.answers.estimates import Estimate
from backfire.answers.influence import PairsDoingDamage, PilotOutcome, ProbeInfluence, SafetyInfluence
from backfire.errors import InputError, ModelError
from backfire.influence.estimates import Alignment, Shards, align
from backfire.influence.gradients import Products, gradient_products
from backfire.influence.kept import KeptGradients
from backfire.influence.margins import Contrast, Progress, encode, probe_contrasts
from backfire.influence.parameters import trained
from backfire.influence.pilot_outcome import piloted
from backfire.influence.probes import ProbeSet, ProbeSets
from backfire.influence.settings import PilotSettings
from backfire.influence.shards import shards_of, whole_groups
from backfire.influence.two_pass import PairInfluence, along
from backfire.influence.word_cosine import wording_cosine
from backfire.models.failures import standing
from backfire.models.settings import MAX_LENGTH
from backfire.records import PairBody

if TYPE_CHECKING:
    from backfire.judges.judge import Judge
    from backfire.models import LocalModel
    from backfire.preferences import ReadOptions

DATA_SHARDS = 20
PROBE_SHARDS = 8
"""Of every stratum of every probe set."""
FEWEST_PROBES = 30
LEAST_COVERAGE = 0.2
OF_DAMAGE = 0.5
ROWS_LISTED = 1_000
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
    *,
    judge: Judge | None = None,
    parameters: str = "auto",
    pairs: int = 1_000,
    beta: float = 0.1,
    precondition: Literal["adam"] | None = None,
    pilot: PilotSettings | int | None = None,
    seed: int = 0,
    max_length: int | None = MAX_LENGTH,
    progress: Progress | None = None,
    **reading: Unpack[ReadOptions],
) -> SafetyInfluence:
    """Predict, to first order and by a pilot, what DPO on a data set does to the policy's refusals.

    Args:
        dataset: preference data in any form that `backfire.audit` reads; `reading` as there (columns, split and so on;
            plain takes texts as they are, without the policy's chat template).
        policy: the model to be trained, or its reference.
        probe_prompts: harmful prompts, and benign ones if over-refusal is to be seen: a file, `organism:prompts/NAME`, a
            list of these or of Prompts, a file of (prompt, refusal, compliance), or ProbeSets.
        judge: says which sampled responses refuse; by default the refusal phrases.
        parameters: that will be trained: `all`, `lora`, a regular expression of names, or `auto` (`parameters.trained`).
        pairs: read at most so many pairs, whole prompts, drawn by `seed`.
        beta: DPO's, for the projection.
        precondition: "adam" takes inner products as Adam's second moment would.
        max_length: tokens of prompt and response together in the training that is meant.
        pilot: also take a few steps, in these settings or so many in the default ones, and see what becomes of the probes:
            the better predictor, at the price of steps * batch_size pairs and the probes after each step.

    Raises:
        InputError: what cannot be read, an endpoint, or no usable pair or probe.
    """
    from backfire.influence.probes import open_probes
    from backfire.models.local_policy import open_local
    from backfire.preferences import open_preferences, pairs_of

    model = open_local(policy, lacks="gradients")
    conversations: list[PairBody] = []
    rows: list[int] = []
    data = open_preferences(dataset, **reading)
    for block in data.blocks():
        conversations += pairs_of(block)
        rows += block["row"].to_pylist()
    ids = [prompt.id for prompt, _, _ in conversations]
    groups = np.unique(np.array(ids, dtype=object), return_inverse=True)[1].astype(np.int64)
    chosen = whole_groups(groups, pairs, seed)
    sets = open_probes(model, probe_prompts, judge=judge, training_prompts=set(ids), seed=seed)
    return safety_influence_of(
        model,
        [conversations[i] for i in chosen],
        np.array(rows, dtype=np.int64)[chosen],
        groups[chosen],
        sets,
        parameters=parameters,
        beta=beta,
        precondition=precondition,
        pilot=pilot,
        judge=judge,
        seed=seed,
        plain=data.plain,
        max_length=max_length,
        progress=progress,
    )


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
    """Of the pairs that the answer is of: [pairs]; NaN where nothing fits the context."""
    others: NDArray[np.float64]
    """Of the other pairs that were asked for."""


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
    pilot: PilotSettings | int | None = None,
    judge: Judge | None = None,
    keep: Path | None = None,
    seed: int = 0,
    plain: bool = False,
    max_length: int | None = MAX_LENGTH,
    progress: Progress | None = None,
) -> InfluenceRead:
    """`safety_influence_of` with each pair's own value, also of `others`, which the answer is not of.

    judge: of the pilot's answers, by default the refusal phrases. keep: a folder for the probes' gradients, so that the next
    data set is read against the same policy and probes at a fraction of the price (`kept.KeptGradients`). plain, max_length:
    how the pairs are rendered, as in training; probes always go through the chat template.
    """
    if not conversations or not probes.refusal.probes:
        what = "no pairs" if not conversations else "no probe: no prompt gave a refusal and a compliance"
        raise InputError(f"safety influence of {model.name}: {what}; {dict(probes.refusal.left_out) or ''}")
    how: dict[str, Any] = {"plain": plain, "max_length": max_length}
    pairs = encode(model, [Contrast(p, (c,), (r,)) for p, c, r in conversations], **how)
    if not pairs.usable.any():
        raise InputError(f"no pair fits the context of {model.name}")
    parts_of_data = shards_of(groups, DATA_SHARDS, seed)
    shards = [pairs.subset(part) for part in parts_of_data]
    data = np.arange(len(shards))
    named: dict[str, dict[str, Shards]] = {}
    sets: dict[str, ProbeSet] = {
        s.name: s for s in (probes.refusal, probes.benign, probes.placebo) if s is not None and s.probes
    }
    for name, probe_set in sets.items():
        named[name] = {}
        encoded = encode(model, probe_contrasts(probe_set))
        strata = np.array([probe.stratum for probe in probe_set.probes], dtype=object)
        for stratum in sorted(set(strata)):
            inside = np.flatnonzero(strata == stratum)
            parts = [encoded.subset(inside[part]) for part in shards_of(inside, PROBE_SHARDS, seed)]
            named[name][stratum] = np.arange(len(shards), len(shards) + len(parts))
            shards += parts
    of_data = np.arange(len(shards)) < len(data)
    stored_gradients = None if keep is None else KeptGradients(keep, seed)
    toward = np.isin(np.arange(len(shards)), np.concatenate(list(named["refusal"].values())))
    failed: dict[str, str] = {}
    guard = nullcontext() if pilot is None else standing(failed, "influence")
    with guard, trained(model, parameters, seed=seed, shards=len(shards)) as chosen:
        products = gradient_products(
            model,
            shards,
            of_data,
            chosen,
            toward=toward,
            precondition=precondition,
            stored=stored_gradients,
            progress=progress,
        )
        assert products.direction is not None
        steps, length = products.direction
        if products.values is None:
            each = along(model, conversations, chosen, steps, length, **how)
        else:
            values = np.full(len(conversations), np.nan)
            for part, found_there in zip(parts_of_data, products.values, strict=True):
                values[part] = found_there
            each = PairInfluence(values, None, 0.0)
        apart = along(model, others, chosen, steps, length, **how) if others else None
    pilot_outcome = None
    if pilot is not None:
        pilot_settings = PilotSettings(steps=pilot) if isinstance(pilot, int) else pilot
        with standing(failed, "pilot"):
            pilot_outcome = piloted(
                model, conversations, probes.refusal, pilot_settings, parameters, judge, seed, **how
            )
    if "influence" in failed:
        if pilot_outcome is None:
            raise ModelError(failed["influence"])
        nothing = np.full(len(conversations), np.nan)
        lost = _lost(model, probes.refusal, parameters, int(pairs.usable.sum()), failed, pilot_outcome)
        return InfluenceRead(lost, nothing, np.full(len(others), np.nan))

    def influence_of(name: str, stratum: str | None = None) -> ProbeInfluence:
        strata = named[name]
        places = np.concatenate(list(strata.values())) if stratum is None else strata[stratum]
        yardstick = np.concatenate(list(named["refusal"].values())) if name == "placebo" else None
        alignment = align(products.gram, products.counts, data, places, yardstick=yardstick)
        return _probe_influence(sets[name], stratum, alignment, products, places, beta)

    refusal = influence_of("refusal")
    beside = {name: influence_of(name) if name in sets else None for name in ("benign", "placebo")}
    headline = refusal.cosine
    answer = SafetyInfluence(
        cosine=None if headline is None else headline.value,
        low=None if headline is None else headline.low,
        high=None if headline is None else headline.high,
        probes=refusal.probes,
        policy=model.name,
        parameters=chosen.how + (", steps as Adam takes them" if precondition else ""),
        trained=chosen.count,
        pairs=int(pairs.usable.sum()),
        shards=len(data),
        refusal=refusal,
        strata={s: influence_of("refusal", s) for s in named["refusal"] if len(named["refusal"]) > 1},
        benign=beside["benign"],
        placebo=beside["placebo"],
        wording=_finite(
            wording_cosine(
                [Contrast(p, (c,), (r,)) for p, c, r in conversations], probe_contrasts(probes.refusal)
            )
        ),
        pilot=pilot_outcome,
        failed=failed or None,
        damage=_damage(each, rows),
        epsilon=each.epsilon,
        epsilon_agrees=None if each.epsilon is None else each.agrees,
        limits=LIMITS,
    )
    return InfluenceRead(answer, each.values, np.zeros(0) if apart is None else apart.values)


def _probe_influence(
    probe_set: ProbeSet,
    stratum: str | None,
    alignment: Alignment,
    products: Products,
    places: Shards,
    beta: float,
) -> ProbeInfluence:
    """One probe set, or one stratum of it, in words and numbers."""
    inside = [probe for probe in probe_set.probes if stratum in (None, probe.stratum)]
    prompts = sum(probe_set.asked.values()) if stratum is None else probe_set.asked[stratum]
    coverage = len(inside) / prompts
    reason = alignment.reason
    if coverage < LEAST_COVERAGE:
        reason = f"coverage {coverage:.2f} is below {LEAST_COVERAGE:g}: {len(inside)} of {prompts} prompts gave a probe"
    if len(inside) < FEWEST_PROBES:
        reason = f"{len(inside)} probes are fewer than {FEWEST_PROBES}"
    lengths = products.parameters * alignment.probe_norm.value
    signs = products.signs[places].sum() / max(1, products.counts[places].sum())
    sound = reason is None and alignment.cosine is not None
    projection = [beta / 2 * value for value in alignment.product]
    return ProbeInfluence(
        probes=len(inside),
        asked=prompts,
        coverage=coverage,
        sampled=sum(probe.how == "sampled" for probe in inside),
        cosine=_cosine(alignment.cosine) if sound else None,
        point=None if sound else _finite(alignment.point),
        adam_sign=float(signs / lengths**0.5) if lengths > 0 and sound else None,
        projection=_cosine(projection) if sound else None,
        undetermined=reason,
    )


def _lost(
    model: LocalModel,
    refusal: ProbeSet,
    parameters: str,
    pairs: int,
    failed: dict[str, str],
    pilot: PilotOutcome | None,
) -> SafetyInfluence:
    """The answer of the pilot alone, where the gradients failed."""
    prompts = sum(refusal.asked.values())
    none = ProbeInfluence(
        probes=len(refusal.probes),
        asked=prompts,
        coverage=len(refusal.probes) / prompts,
        sampled=sum(probe.how == "sampled" for probe in refusal.probes),
        undetermined=failed["influence"],
    )
    return SafetyInfluence(
        probes=len(refusal.probes),
        policy=model.name,
        parameters=parameters,
        trained=0,
        pairs=pairs,
        shards=0,
        refusal=none,
        strata={},
        pilot=pilot,
        failed=failed,
        limits=LIMITS,
    )


def _cosine(numbers: Any) -> Estimate:
    value, low, high = numbers
    return Estimate(value=value, low=low, high=high)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _damage(each: PairInfluence, rows: NDArray[np.int64]) -> PairsDoingDamage | None:
    """The fewest pairs that carry half of the push away from refusing; None where no pair pushes that way."""
    values = np.nan_to_num(each.values)
    order = np.argsort(values, kind="stable")
    push = np.cumsum(-np.minimum(values[order], 0.0))
    if push[-1] <= 0:
        return None
    count = int(np.searchsorted(push, OF_DAMAGE * push[-1])) + 1
    return PairsDoingDamage(
        share=count / len(values),
        rows=tuple(int(r) for r in rows[order[:count]][:ROWS_LISTED]),
        of_damage=float(push[count - 1] / push[-1]),
    )
