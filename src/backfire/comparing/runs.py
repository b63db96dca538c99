"""What `compare` reads (attacks, other tools' logs, or a run) with what is known of their prompts; and every row that they give."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backfire.answers import Checkpoint, read_cells, read_checkpoint
from backfire.answers.comparisons import Difference, Differences
from backfire.answers.logged_outcomes import read_logged
from backfire.answers.outcomes import AttackedCell
from backfire.comparing.differences import adjust, compare_checkpoints, compare_recipes, compare_wrappers
from backfire.comparing.matching import Tags, cell_pairs, one_sided
from backfire.comparing.settings import CompareSettings
from backfire.errors import BackfireError, InputError
from backfire.evaluation import NO_BENIGN
from backfire.logs import is_sample_log
from backfire.prompts import prompts_of

Pairs = list[tuple[Checkpoint, Checkpoint]]
CALLER = 4
"""Frames from a warning here to whoever called `compare`."""


def compare(
    runs: str | Path | Sequence[str | Path], settings: CompareSettings | None = None, **keywords: Any
) -> Differences:
    """Compare policies on the same prompts: the rows of every claim, each claim corrected by Holm's method.

    What differs between two attacks beside the policy, and what stands on one side only, is warned of.

    Args:
        runs: a study's run folder; or two or more files of `backfire attack --json`, the first of which is compared with
            every other. In their place may stand logs that other tools wrote: Inspect logs (.eval, .json), and files or folders
            of the samples of `lm_eval --log_samples`. Samples are paired by what they ask.

    Raises:
        InputError: files that are no attacks, different prompts, or nothing in common.
    """
    settings = CompareSettings.of(settings, **keywords)
    paths = [Path(one) for one in ([runs] if isinstance(runs, (str, Path)) else runs)]
    rows: list[Difference] = []
    if len(paths) == 1 and paths[0].is_dir():
        cells = read_cells(paths[0])
        rows += compare_recipes(cells, baseline=settings.baseline)
        pairs = _of_cells(cells, settings.baseline)
    elif len(paths) > 1 and all(path.is_file() or is_sample_log(path) for path in paths):
        pairs = _of_files(paths, settings)
    else:
        raise InputError(
            "give one run folder, or two or more files of `backfire attack --json`, of Inspect (.eval) or of `lm_eval --log_samples`"
        )
    known: dict[tuple[tuple[str, str], ...], Tags] = {}
    for one, other in pairs:
        sets = tuple(sorted(one.references.items()))
        if sets not in known:
            known[sets] = _tags(dict(sets), settings)
        rows += _of_checkpoints(one, other, known[sets], settings)
    return Differences(adjust(rows))


def _of_cells(cells: Sequence[AttackedCell], baseline: str) -> Pairs:
    paired = cell_pairs(cells, baseline)
    there = {other.id for _, other in paired}
    if left := [cell.id for cell in cells if cell.recipe != baseline and cell.id not in there]:
        _warn(f"left out, for there is no {baseline} of their checkpoint, world and seed: {', '.join(left)}")
    return [(one.checkpoint, other.checkpoint) for one, other in paired]


def _of_files(paths: Sequence[Path], settings: CompareSettings) -> Pairs:
    read = [
        read_logged(path, settings.threshold) if is_sample_log(path) else read_checkpoint(path)
        for path in paths
    ]
    first, *others = _distinct(read, paths)
    for other in others:
        _same_settings(first, other)
        _one_sided(first, other)
    return [(first, other) for other in others]


def _of_checkpoints(
    one: Checkpoint, other: Checkpoint, tags: Tags, settings: CompareSettings
) -> list[Difference]:
    cluster = settings.cluster
    rows = compare_checkpoints(one, other, tags, cluster=cluster, seed=settings.seed)
    if cluster not in (None, "prompt"):
        for name in dict.fromkeys(row.prompts for row in rows if row.unit == "prompt"):
            _warn(f"{name}: no prompt has {cluster!r}, so each is a unit of its own")
    return [*rows, *compare_wrappers(one, other, tags)]


def _distinct(checkpoints: list[Checkpoint], runs: Sequence[Path]) -> list[Checkpoint]:
    """Checkpoints under their files' names where two are of one model."""
    names = [one.name for one in checkpoints]
    if len(set(names)) == len(names):
        return checkpoints
    return [replace(one, name=str(run)) for one, run in zip(checkpoints, runs, strict=True)]


def _same_settings(one: Checkpoint, other: Checkpoint) -> None:
    for key in one.settings.keys() & other.settings.keys():
        if one.settings[key] != other.settings[key]:
            _warn(
                f"{key} differs: {one.settings[key]} in {one.name}, {other.settings[key]} in {other.name}; "
                "the difference is that of the setting, too"
            )
    for judge in one.judges.keys() & other.judges.keys():
        if one.judges[judge] != other.judges[judge]:
            _warn(
                f"the judge {judge} is not the same in {one.name} and {other.name} (its model, words or threshold differ): "
                "the difference is that of the judge, too"
            )
    apart = sorted(
        name for name in one.methods.keys() & other.methods.keys() if one.methods[name] != other.methods[name]
    )
    if apart:
        _warn(f"other parameters of {', '.join(apart)} in {one.name} than in {other.name}")
    if one.together and other.together and one.methods != other.methods:
        _warn(f"any attack is not compared: {one.name} and {other.name} met different attacks")


def _one_sided(one: Checkpoint, other: Checkpoint) -> None:
    if left := one_sided(one, other):
        _warn(f"on one side only, and not compared: {', '.join(left)}")
    both = [name for name in one.sets if name in other.sets]
    if both and all(one.harm(name) for name in both):
        _warn(NO_BENIGN)


def _tags(sets: Mapping[str, str], settings: CompareSettings) -> Tags:
    """What is known of the prompts: from the files named, and from those the attacks name where they are there."""
    tags: dict[str, Mapping[str, str]] = {}
    reading = settings.reading.model_dump()
    for reference in sets.values():
        if not reference.startswith("organism:") and not Path(reference).is_file():
            continue
        try:
            tags |= {prompt.id: prompt.tags for prompt in prompts_of(reference, **reading)}
        except BackfireError:
            continue  # a run's set of another name; its prompts then stand alone, or `cluster` says what is missing
    for file in settings.prompts:
        tags |= {prompt.id: prompt.tags for prompt in prompts_of(file, **reading)}
    return tags


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=CALLER)
