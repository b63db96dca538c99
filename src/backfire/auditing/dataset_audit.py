"""`audit`: one data set in, one report out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backfire.auditing.conclusion import conclude
from backfire.auditing.confounds import confounds
from backfire.auditing.contrast import decisions, safety_contrast
from backfire.auditing.old_folds import prompt_groups, sample_groups
from backfire.auditing.formats import recognise
from backfire.auditing.hidden import hidden_features, middle_layer, open_policy
from backfire.auditing.labelled_pair import LabelledPair
from backfire.auditing.ngrams import ngram_features
from backfire.auditing.report import AuditReport
from backfire.auditing.rows import open_rows
from backfire.auditing.separability import FEWEST_PAIRS, Rung, Split, make_split, rung
from backfire.auditing.sources import source_leak
from backfire.auditing.surface import NAMES, length_features, surface_features
from backfire.errors import InputError

if TYPE_CHECKING:
    from backfire.models import EndpointModel, LocalModel

PENALTY = 0.3
"""L2 penalty of every probe, on features whose rows have mean squared norm 1: log odds of a typical row have
a prior variance of 1 / PENALTY. Fixed; never chosen by the labels it is tested on."""

MATCHED_NGRAMS = 3000
"""The n-gram rung is refitted on decision-matched pairs up to so many pairs; above, it would double the time."""

Progress = Callable[[int, int], None]
"""Called with the steps done and their number in all."""

Matrix = NDArray[np.floating]


class _Stages:
    """Names and times the steps, and tells whoever watches."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.progress = total, progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.seconds[name] = perf_counter() - start
        if self.progress is not None:
            self.progress(len(self.seconds), self.total)


def audit(
    dataset: Any,
    *,
    policy: LocalModel | EndpointModel | str | None = None,
    source_columns: tuple[str, str] | None = None,
    max_pairs: int | None = None,
    seed: int = 0,
    controls: int = 19,
    folds: int = 5,
    progress: Progress | None = None,
) -> AuditReport:
    """Say what the label of a preference data set encodes.

    Args:
        dataset: a JSONL, JSON, CSV, TSV or Parquet file, a `save_to_disk` folder, a folder with train.parquet, a
            hub name, or a `datasets.Dataset`; in TRL's standard or conversational form with or without a prompt
            column, or as Anthropic HH transcripts.
        policy: the model to be trained, or its reference: adds the rung of its hidden states. An endpoint is refused.
        source_columns: the columns that say who wrote chosen and rejected; by default `chosen_source` and
            `rejected_source`, or `chosen_model` and `rejected_model`, where they are there.
        max_pairs: audit a random sample of so many pairs, prompts kept whole.
        seed: of the folds, the swaps and the sample. The order of the rows does not matter.
        controls: label swaps that each probe is refitted on.
        folds: of the cross-validation, grouped by prompt.
        progress: called with (steps done, steps).

    Raises:
        InputError: what cannot be read or mapped, by name. Defective rows are counted in the report instead.
    """
    if controls < 1 or folds < 2 or (max_pairs is not None and max_pairs < FEWEST_PAIRS):
        raise InputError(
            f"controls {controls}, folds {folds}, max_pairs {max_pairs}: at least 1, 2 and {FEWEST_PAIRS} are needed"
        )
    model = None if policy is None else open_policy(policy)
    stages = _Stages(9 if model is None else 10, progress)
    with stages.step("reading"):
        rows = open_rows(dataset)
        form, columns, usable, defects = recognise(rows, source_columns)
    with stages.step("grouping prompts"):
        pairs, groups, left_out = _sampled(usable, max_pairs, seed)
        split = make_split(groups, folds, controls, seed)
    texts = [p.chosen for p in pairs] + [p.rejected for p in pairs]
    kinds: list[tuple[str, str, bool, Callable[[], Matrix]]] = [
        ("length", "log of characters", True, lambda: length_features(texts)),
        ("surface", f"{len(NAMES)} features of layout and wording", True, lambda: surface_features(texts)),
        ("ngrams", "TF-IDF of word 1-2-grams and byte 3-4-grams", False, lambda: ngram_features(texts)),
    ]
    if model is not None:
        layer = middle_layer(model)
        about = f"{model.name}, layer {layer}, mean over the response's tokens"
        kinds.append(("hidden", about, True, lambda: np.vstack(hidden_features(model, pairs, layer))))
    with stages.step("decisions"):
        decided = decisions(pairs)
        same = np.array([c == r for c, r in decided], dtype=bool)
    ladder: list[Rung] = []
    matched: list[Rung] = []
    for name, about, dense, features_of in kinds:
        with stages.step(name):
            enough = len(pairs) >= FEWEST_PAIRS
            both = features_of() if enough else np.zeros((2 * len(pairs), 0))
            ladder.append(_climb(name, about, both, split, folds, dense, np.ones(len(pairs), dtype=bool)))
            if same.all():
                matched.append(ladder[-1])
            elif dense or len(pairs) <= MATCHED_NGRAMS:
                matched.append(_climb(name, about, both, split, folds, dense, same))
    with stages.step("sources"):
        leak = source_leak(pairs, split, folds, PENALTY)
    with stages.step("confounds"):
        found = confounds(pairs)
    with stages.step("conclusion"):
        contrast = safety_contrast(pairs, decided)
        conclusion = conclude(len(pairs), ladder, leak, contrast, found, [] if same.all() else matched)
    return AuditReport(
        dataset=rows.origin,
        format=form,
        rows=rows.total,
        pairs=len(pairs),
        left_out=left_out,
        prompts=len(np.unique(split.groups)),
        defects=tuple(defects),
        separability=tuple(ladder),
        decision_matched=tuple(matched),
        source_leak=leak,
        confounds=found,
        safety_contrast=contrast,
        conclusion=conclusion,
        settings={
            "seed": seed,
            "controls": controls,
            "folds": folds,
            "max_pairs": max_pairs,
            "penalty": PENALTY,
            "policy": None if model is None else model.name,
            "columns": {what: list(names) for what, names in columns.items()},
        },
        seconds=stages.seconds,
    )


def _sampled(
    usable: list[LabelledPair], max_pairs: int | None, seed: int
) -> tuple[list[LabelledPair], list[str], int]:
    groups = prompt_groups(usable)
    if max_pairs is None or len(usable) <= max_pairs:
        return usable, groups, 0
    kept = sample_groups(groups, max_pairs, seed)
    return [usable[i] for i in kept], [groups[i] for i in kept], len(usable) - len(kept)


def _climb(
    name: str, about: str, both: Matrix, split: Split, folds: int, dense: bool, wanted: NDArray[np.bool_]
) -> Rung:
    """One rung on the wanted pairs; those without a finite feature (a response that did not fit) are left out."""
    chosen, rejected = both[: len(wanted)], both[len(wanted) :]
    finite = np.isfinite(chosen).all(axis=1) & np.isfinite(rejected).all(axis=1)
    kept = np.flatnonzero(wanted & finite)
    return rung(
        name,
        about,
        chosen[kept],
        rejected[kept],
        split.subset(kept),
        folds=folds,
        penalty=PENALTY,
        dense=dense,
    )
