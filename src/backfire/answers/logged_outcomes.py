"""What every sample of another tool's log came to, as outcomes that can be compared."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfire.answers.outcomes import Checkpoint, checkpoint_of
from backfire.errors import InputError, setting
from backfire.logs import SampleLog, read_sample_logs

SAMPLE = "sample"
Outcomes = dict[str, bool | None]


def read_logged(path: Path, threshold: float | None = None) -> Checkpoint:
    """A model's logs as a checkpoint: a task is a set of prompts, and a score is a judge.

    A score of 1 is a hit and one of 0 is none. Of other numbers, those from `threshold` on are hits. A sample without a score is
    unscored. A log that backfire wrote gives the sets, judges and prompts of its attack.

    Raises:
        InputError: no log, logs of two models, a log without scores, or a score that needs a threshold.
    """
    logs = read_sample_logs(path)
    if (models := sorted({log.model for log in logs})) and len(models) > 1:
        raise InputError(f"{path} holds logs of several models ({', '.join(models)}): name the logs of one")
    if len(logs) == 1 and logs[0].attack is not None:
        return _attacked(logs[0])
    sets, clusters = {}, {}
    for log in logs:
        for name, count in log.not_numbers.items():
            warnings.warn(
                f"{log.path}: the score {name} is no single number in {count} samples, and is not compared",
                stacklevel=3,
            )
        keyed = log.by_key()
        names = list(dict.fromkeys(name for one in keyed.values() for name in one.scores))
        if not names:
            raise InputError(
                f"{log.path} has no score that is a number: score it (`inspect score`), or judge its responses by "
                "`backfire judge file`"
            )
        sets[log.task] = {
            name: {key: _hit(log, name, one.scores.get(name), threshold) for key, one in keyed.items()}
            for name in names
        }
        if any(one.epoch > 1 for one in log.samples):
            clusters[log.task] = {key: key.rpartition("#")[0] for key in keyed}
    return Checkpoint(
        name=logs[0].model,
        sets=sets,
        attacks=frozenset(),
        scored=frozenset(sets),
        clusters=clusters,
        unit=SAMPLE,
        settings={} if len(logs) > 1 else logs[0].settings,
    )


def _hit(log: SampleLog, name: str, value: float | None, threshold: float | None) -> bool | None:
    if value is None:
        return None
    if threshold is not None:
        return value >= threshold
    if value not in (0.0, 1.0):
        raise InputError(
            f"{log.path}: the score {name} is {value:g} for a sample, which is neither 1 nor 0: say by {setting('threshold')} from "
            "which number on it counts as a hit"
        )
    return value == 1.0


def _attacked(log: SampleLog) -> Checkpoint:
    """The attack whose log this is, as `backfire attack --json` would give it."""
    about: Mapping[str, Any] = log.attack or {}
    outcomes: dict[str, dict[str, Outcomes]] = {}
    for one in log.samples:
        place, prompt = one.about.get("set"), one.about.get("prompt_id")
        if not isinstance(place, str) or not isinstance(prompt, str):
            raise InputError(
                f"{log.path}: the sample {one.id} does not say its set and prompt: write the log anew by `backfire attack --inspect`"
            )
        for name, value in one.scores.items():
            judged = outcomes.setdefault(place, {}).setdefault(name, {})
            judged[prompt] = None if value is None else value == 1.0
    together = about.get("together") or {}
    return checkpoint_of(log.path, {**about, "outcomes": {**outcomes, **dict(together)}}, log.model)
