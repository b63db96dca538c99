"""Inspect's logs (.eval and .json), read by inspect-ai itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.logs.sample_log import LoggedSample, SampleLog
from backfire.records import digest

TOOL = "Inspect"
OURS = "backfire"
"""The key of a log's metadata below which backfire says what the attack was."""
LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""Inspect's own reading of scores that are no numbers: correct, incorrect, partial, no answer."""


def inspect_ai() -> Any:
    """The package `inspect_ai.log`.

    Raises:
        InputError: inspect-ai is not installed.
    """
    try:
        import inspect_ai.log as log
    except ImportError as error:
        raise InputError(
            f"Inspect's logs are read and written by inspect-ai, which is not there ({error}): pip install 'backfire[inspect]'"
        ) from error
    return log


def read_inspect_log(path: Path) -> SampleLog:
    """Read a log.

    Raises:
        InputError: inspect-ai is not installed or cannot read the file, or the log holds no samples.
    """
    log = inspect_ai()
    try:
        whole = log.read_eval_log(
            path.absolute().as_posix(), resolve_attachments="core", exclude_fields={"events", "store"}
        )
    except Exception as error:  # inspect-ai raises what its zip, JSON and schema readers raise
        raise InputError(
            f"{path} is no log that inspect-ai {_version()} reads ({_short(error)}): upgrade by `pip install -U inspect-ai` if a "
            "newer one wrote it, or run the evaluation again"
        ) from error
    if not whole.samples:
        raise InputError(
            f"{path} holds no samples (its status is {whole.status}): give the whole log and not its header, of an evaluation that "
            "logged its samples"
        )
    not_numbers: Counter[str] = Counter()
    samples = [_sample(one, not_numbers) for one in whole.samples]
    attack = (whole.eval.metadata or {}).get(OURS)
    generation = whole.eval.model_generate_config.model_dump(exclude_none=True)
    settings: dict[str, Any] = {"generation": generation, "task arguments": whole.eval.task_args}
    return SampleLog(
        path,
        TOOL,
        whole.eval.task,
        whole.eval.model,
        samples,
        settings if attack is None else {},
        not_numbers,
        attack if isinstance(attack, dict) else None,
    )


def _sample(sample: Any, not_numbers: Counter[str]) -> LoggedSample:
    turns = _turns(sample.input)
    asked = [turns, *([sample.choices] if sample.choices else [])]
    response, problem = None, ""
    if sample.error is not None:
        problem = f"the sample failed: {_short(sample.error.message)}"
    elif not sample.output.choices:
        problem = "no response is logged"
    else:
        response = sample.output.completion
    scores: dict[str, float | None] = {}
    for name, score in (sample.scores or {}).items():
        values = score.value if isinstance(score.value, Mapping) else {None: score.value}
        for part, value in values.items():
            whole_name = name if part is None else f"{name}/{part}"
            try:
                scores[whole_name] = _number(value)
            except ValueError:
                not_numbers[whole_name] += 1
    about = dict(sample.metadata or {})
    return LoggedSample(
        str(sample.id), int(sample.epoch), digest("logged", *asked), turns, response, problem, scores, about
    )


def _turns(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return [{"role": turn.role, "content": turn.text} for turn in given]


def _number(value: Any) -> float | None:
    """A score as a number, None where it is unscored; ValueError where it is none."""
    if value is None:
        return None
    if isinstance(value, str):
        letter = LETTERS.get(value, LETTERS.get(value.lower()))
        value = float(value) if letter is None else letter
    if not isinstance(value, (int, float)):
        raise ValueError(value)
    return float(value) if math.isfinite(value) else None


def _version() -> str:
    from importlib.metadata import version

    return version("inspect-ai")


def _short(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else f"{text[:157]}..."
