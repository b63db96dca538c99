"""Predicted safety influence of the audited pairs: probes that are not among them, the data set's cosine, each pair's value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from backfire.answers.influence import ProbeInfluence, SafetyInfluence
from backfire.auditing.audited_pairs import AuditedPairs
from backfire.auditing.probes.folds import Split
from backfire.auditing.probes.probe import sampled
from backfire.auditing.probes.uncertainty import Values
from backfire.models.settings import MAX_LENGTH
from backfire.preferences import pairs_of
from backfire.records import Prompt
from backfire.texts import text_keys

if TYPE_CHECKING:
    from backfire.influence.probe_sets import ProbeSet, ProbeSets
    from backfire.influence.settings import PilotSettings, StatesSettings
    from backfire.judges.judge import Judge
    from backfire.models import LocalModel

Progress = Callable[[int, int], None]

IN_THE_DATA = "prompt is in the training data"
PARTS = 2
"""Drawing probes, reading pairs: equal parts of the progress."""


class InfluenceView(NamedTuple):
    """What influence adds to an answer, and to the file of single pairs."""

    answer: SafetyInfluence
    columns: Mapping[str, Values]
    """By the column's name, the value of every pair: [pairs], NaN where it was not read. Empty where there are no probes."""


def read_influence(
    model: LocalModel,
    audited: AuditedPairs,
    split: Split,
    most: int,
    source: Sequence[Prompt] | ProbeSets,
    *,
    judge: Judge | None,
    parameters: str,
    states: StatesSettings,
    pilot: PilotSettings | None,
    seed: int,
    each_pair: bool,
    plain: bool = False,
    max_length: int | None = MAX_LENGTH,
    announce: Callable[[str], None] | None = None,
    progress: Progress,
) -> InfluenceView:
    """Read at most `most` pairs of the sample, whole prompts; with `each_pair` also every pair of the sample by itself.

    asked: what `influence.read_probes` gave. Probe prompts that the data have as a last turn, letter case and white space aside, are
    not used, and counted.
    """
    from backfire.influence.cost import Planned, priced
    from backfire.influence.predicting import read_influence_of
    from backfire.influence.predictors.registry import PREDICTORS

    pairs, text = sampled(audited, split, most)
    rest = np.setdiff1d(audited.sample, pairs) if each_pair else np.zeros(0, dtype=np.int64)
    bodies = pairs_of(text)
    planned = Planned.of(bodies, len(rest), source, states=states, parameters=parameters, pilot=pilot)
    with priced(model, planned, announce, plain=plain, max_length=max_length) as price:
        probes = _probes(model, audited, source, judge, seed, states.cache, _part(progress, 0))
        if not probes.refusal.probes:
            return InfluenceView(_nothing(model, probes.refusal, parameters), {})
        place = np.searchsorted(audited.sample, rest)
        influence = read_influence_of(
            model,
            bodies,
            audited.rows[pairs],
            audited.groups[pairs],
            probes,
            others=pairs_of(audited.text.take(pa.array(place))),
            parameters=parameters,
            states=states,
            pilot=pilot,
            judge=judge,
            seed=seed,
            plain=plain,
            max_length=max_length,
            progress=_part(progress, 1),
        )
    columns: dict[str, Values] = {}
    values = {"safety_influence": (influence.values, influence.others)}
    values |= {PREDICTORS[name].column: (one.values, one.others) for name, one in influence.by_states.items()}
    for name, (of_pairs, of_others) in values.items():
        if np.isfinite(of_pairs).any():
            columns[name] = np.full(audited.pairs, np.nan)
            columns[name][pairs] = of_pairs
            if each_pair:
                columns[name][rest] = of_others
    return InfluenceView(influence.answer.model_copy(update={"cost": price.cost}), columns)


def _probes(
    model: LocalModel,
    audited: AuditedPairs,
    source: Sequence[Prompt] | ProbeSets,
    judge: Judge | None,
    seed: int,
    cache: Path | None,
    progress: Progress,
) -> ProbeSets:
    from backfire.influence.probes import ProbeSets, open_probes
    from backfire.influence.stored_parts import StoredParts

    known: set[str] = set()
    if not isinstance(source, ProbeSets):
        known = {prompt.id for prompt, among in zip(source, _among(source, audited), strict=True) if among}
    with StoredParts(cache).ledger() as ledger:
        sets = open_probes(
            model,
            source,
            judge=judge,
            training_prompts=known,
            seed=seed,
            ledger=ledger,
            progress=progress,
        )
    return _apart(sets, audited)


def _among(prompts: Sequence[Prompt], audited: AuditedPairs) -> list[bool]:
    """Which prompts' last turns the data have, in any pair, read or not."""
    keys = text_keys(pa.array([prompt.text for prompt in prompts], pa.large_string()))
    among: list[bool] = np.isin(keys, audited.last_turn_keys).tolist()
    return among


def _apart(sets: ProbeSets, audited: AuditedPairs) -> ProbeSets:
    """The same probes without those whose prompts the data have."""

    def one(probe_set: ProbeSet) -> ProbeSet:
        among = _among([probe.prompt for probe in probe_set.probes], audited)
        if not any(among):
            return probe_set
        left_out = {**probe_set.left_out, IN_THE_DATA: probe_set.left_out.get(IN_THE_DATA, 0) + sum(among)}
        others = tuple(probe for probe, out in zip(probe_set.probes, among, strict=True) if not out)
        return replace(probe_set, probes=others, left_out=left_out)

    return replace(
        sets,
        refusal=one(sets.refusal),
        benign=None if sets.benign is None else one(sets.benign),
        placebo=None if sets.placebo is None else one(sets.placebo),
    )


def _nothing(model: LocalModel, refusal: ProbeSet, parameters: str) -> SafetyInfluence:
    """The answer where no prompt gave a probe: undetermined, with what became of the prompts."""
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in refusal.left_out.items())
    why = "no prompt gave a refusal and a compliance" + (f" ({left_out})" if left_out else "")
    no_probes = ProbeInfluence(
        probes=0, asked=sum(refusal.asked.values()), coverage=0.0, sampled=0, undetermined=why
    )
    return SafetyInfluence(
        probes=0,
        policy=model.name,
        parameters=parameters,
        trained=0,
        pairs=0,
        shards=0,
        refusal=no_probes,
        strata={},
        limits="Nothing was measured.",
    )


def _part(progress: Progress, place: int) -> Progress:
    def advance(done: int, whole: int) -> None:
        progress(place * whole + done, PARTS * whole)

    return advance
