"""A number for each pair: from an array, from an audit's per-pair file, or measured here."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backfire.errors import InputError, ModelError
from backfire.pairs import Pair
from backfire.repairing.filtering import Values

if TYPE_CHECKING:
    from backfire.influence import ProbeSet
    from backfire.judges import Judge
    from backfire.models import LocalModel

INFLUENCE, EASE = "safety_influence", "v_information"
PARTS = 20
"""Of the pairs, whole groups of prompts together."""


def values_of(given: Any, rows: Sequence[int], column: str) -> Values:
    """[pairs], NaN where there is none: of an array in the pairs' order, or of a file's column joined by its `row`; the
    pairs of one row, as ranked lists give them, in their order.

    Raises:
        InputError: another length, a file without these columns, more lines of a row than it has pairs, or no row in
            common.
    """
    if not isinstance(given, (str, Path)):
        values = np.asarray(given, dtype=np.float64)
        if values.shape != (len(rows),):
            raise InputError(
                f"{column}: an array of shape {values.shape} for {len(rows)} pairs: give one number a pair"
            )
        return values
    from backfire.tables import read_rows

    table = read_rows(given)
    if not table or not {"row", column} <= table[0].keys():
        there = ", ".join(table[0]) if table else "none"
        raise InputError(
            f"{given} has no columns row and {column} (its columns: {there}): write it by `backfire audit --per-pair`"
        )
    pairs_of_row = Counter(rows)
    by_row: dict[tuple[int, int], float] = {}
    seen: Counter[int] = Counter()
    for line in table:
        row = int(line["row"])
        seen[row] += 1
        if seen[row] > max(1, pairs_of_row[row]):
            raise InputError(
                f"{given} has row {row} {seen[row]} times, and the data set has {pairs_of_row[row]} pairs of that row: it is no"
                " per-pair file of this data set"
            )
        value = line[column]
        by_row[row, seen[row]] = float("nan") if value in (None, "") else float(value)
    if not seen.keys() & pairs_of_row.keys():
        raise InputError(f"{given} and the data set have no row in common: it is of another data set")
    met: Counter[int] = Counter()
    joined: list[float] = []
    for row in rows:
        met[row] += 1
        joined.append(by_row.get((row, met[row]), float("nan")))
    return np.array(joined, dtype=np.float64)


def probes_for(
    model: LocalModel, pairs: Sequence[Pair], probe_prompts: Any, *, judge: Judge, seed: int
) -> ProbeSet:
    """Stored probes as they are; of prompts, the policy's own, those that are among the pairs' prompts left out."""
    from backfire.influence.probes import open_probes

    known = {pair.prompt.id for pair in pairs}
    sets = open_probes(model, probe_prompts, judge=judge, training_prompts=known, seed=seed)
    if not sets.refusal.probes:
        raise InputError(
            f"no probe of {model.name}'s refusals: {dict(sets.refusal.left_out)}; give other probe prompts"
        )
    return sets.refusal


def measured_influence(
    model: LocalModel,
    pairs: Sequence[Pair],
    probes: ProbeSet,
    *,
    seed: int,
    plain: bool,
    max_length: int | None,
    progress: Callable[[int, int], None] | None,
) -> Values:
    """First-order influence of each pair on the policy's refusals, in nats per unit step (`influence.pair_influence`)."""
    from backfire.influence.two_pass import pair_influence

    conversations = [pair.body for pair in pairs]
    return pair_influence(
        model, conversations, probes, seed=seed, plain=plain, max_length=max_length, progress=progress
    ).values


def measured_by_states(
    model: LocalModel,
    pairs: Sequence[Pair],
    probes: ProbeSet | None,
    name: str,
    *,
    judge: Judge,
    seed: int,
    plain: bool,
    max_length: int | None,
    progress: Callable[[int, int], None] | None,
) -> Values:
    """What a predictor by hidden states says of each pair, the higher the better."""
    from backfire.influence.encoded_probes import encoded_probes
    from backfire.influence.predictors.readings import Pairs, Probed, Readings
    from backfire.influence.predictors.registry import PREDICTORS, measured
    from backfire.influence.probe_sets import ProbeSets
    from backfire.influence.shards import shards_of

    predictor = PREDICTORS[name]
    if probes is None and predictor.needs_probes:
        raise InputError(
            f"{predictor.what} is measured along the policy's own refusals: give probe prompts and the policy, or the audit's"
            " per-pair file as influence"
        )
    groups = np.unique([pair.prompt.id for pair in pairs], return_inverse=True)[1].astype(np.int64)
    parts = shards_of(groups, PARTS, seed)
    sets = {} if probes is None else encoded_probes(model, ProbeSets(probes), len(parts), seed)
    whole = Pairs.of(model, [pair.body for pair in pairs], plain, max_length)
    readings = Readings(
        model,
        whole,
        np.arange(1, len(pairs) + 1),
        groups,
        parts,
        None,
        {key: Probed(one.probe_set, one.encoded, one.parts, None) for key, one in sets.items()},
        judge,
        plain=plain,
        max_length=max_length,
        progress=progress,
    )
    failed: dict[str, str] = {}
    by_name = measured(readings, [name], failed)
    if name not in by_name:
        raise ModelError("; ".join(failed.values()))
    return higher_is_better(by_name[name].values, name)


def higher_is_better(values: Values, name: str) -> Values:
    """The values of a predictor, turned round where a filter leaves out its upper end."""
    from backfire.influence.predictors.registry import PREDICTORS

    return values if PREDICTORS[name].highest == "kept" else -values


def measured_ease(dataset: Any, rows: Sequence[int], **reading: Any) -> Values:
    """How easily each pair is told apart: V-information in bits, of the audit's most informative probe."""
    from backfire.auditing import audit

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ease.parquet"
        report = audit(dataset, per_pair=file, **reading)
        if not file.is_file():
            why = "; ".join(f"{n.probe}: {n.reason}" for n in report.not_run)
            raise InputError(
                f"the audit has no probe that reads every pair, so that none has an ease ({why})"
            )
        return values_of(file, rows, EASE)
