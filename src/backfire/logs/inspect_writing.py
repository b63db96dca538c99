"""Writing a log that Inspect's reader, its viewer and its analysis tools open, through inspect-ai's own interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backfire.errors import InputError
from backfire.logs.inspect_logs import OURS, inspect_ai
from backfire.store import whole_file

ENDINGS = (".eval", ".json")
STOPS = {"length": "max_tokens", "eos": "stop", "stop": "stop"}
"""Inspect's words for why a response ended; of one that was not generated here it is unknown."""


@dataclass(frozen=True)
class WrittenScore:
    """What a judge said of a response."""

    value: bool | None
    """None is unscored."""
    reason: str = ""


@dataclass(frozen=True)
class WrittenSample:
    """One response, as the log shows it."""

    id: str
    turns: Sequence[Mapping[str, Any]]
    """What the model was asked."""
    response: str | None
    stop_reason: str
    scores: Mapping[str, WrittenScore]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WrittenLog:
    """A whole log."""

    task: str
    model: str
    dataset: str
    samples: Sequence[WrittenSample]
    metrics: Mapping[str, Mapping[str, float]]
    """By the judge, its metrics by name."""
    decoding: Mapping[str, Any]
    about: Mapping[str, Any]
    """What backfire reads when it reads the log again."""


def write_inspect_samples(path: Path, written: WrittenLog) -> Path:
    """Write a log, whole or not at all, as its name ends (.eval or .json).

    Raises:
        InputError: another ending, or inspect-ai is not installed.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path}: the name of an Inspect log has to end in {' or '.join(ENDINGS)}")
    log = inspect_ai()
    made = _log(log, written)
    with whole_file(path) as aside:
        log.write_eval_log(made, aside.absolute().as_posix(), format=path.suffix.lower()[1:])
    return path


def _log(log: Any, written: WrittenLog) -> Any:
    from inspect_ai.model import GenerateConfig

    decoding = written.decoding
    generation = GenerateConfig(
        temperature=decoding.get("temperature"),
        top_p=decoding.get("top_p"),
        max_tokens=decoding.get("max_new_tokens"),
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return log.EvalLog(
        status="success",
        eval=log.EvalSpec(
            created=now,
            task=written.task,
            dataset=log.EvalDataset(
                name=written.dataset,
                samples=len(written.samples),
                sample_ids=[one.id for one in written.samples],
            ),
            model=written.model,
            model_generate_config=generation,
            config=log.EvalConfig(),
            packages={"backfire": version("backfire")},
            metadata={OURS: dict(written.about)},
        ),
        results=log.EvalResults(
            total_samples=len(written.samples),
            completed_samples=sum(one.response is not None for one in written.samples),
            scores=[_judged(log, judge, metrics, written) for judge, metrics in written.metrics.items()],
        ),
        stats=log.EvalStats(started_at=now, completed_at=now),
        samples=[_sample(log, written.model, one) for one in written.samples],
    )


def _judged(log: Any, judge: str, metrics: Mapping[str, float], written: WrittenLog) -> Any:
    given = [one.scores[judge].value for one in written.samples if judge in one.scores]
    return log.EvalScore(
        name=judge,
        scorer=judge,
        scored_samples=sum(value is not None for value in given),
        unscored_samples=sum(value is None for value in given),
        metrics={name: log.EvalMetric(name=name, value=value) for name, value in metrics.items()},
    )


def _sample(log: Any, model: str, one: WrittenSample) -> Any:
    from inspect_ai.model import (
        ChatCompletionChoice,
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
        ModelOutput,
    )
    from inspect_ai.scorer import Score

    kinds = {"system": ChatMessageSystem, "assistant": ChatMessageAssistant}
    turns = [
        kinds.get(turn["role"], ChatMessageUser)(content=str(turn.get("content") or "")) for turn in one.turns
    ]
    output, messages = ModelOutput(model=model), list(turns)
    if one.response is not None:
        answer = ChatMessageAssistant(content=one.response, model=model, source="generate")
        choice = ChatCompletionChoice(message=answer, stop_reason=STOPS.get(one.stop_reason, "unknown"))
        output = ModelOutput(model=model, choices=[choice])
        messages.append(answer)
    scores = {
        judge: Score.unscored(reason=given.reason or None, explanation=given.reason or None)
        if given.value is None
        else Score(value=float(given.value), explanation=given.reason or None)
        for judge, given in one.scores.items()
    }
    single = len(turns) == 1 and turns[0].role == "user"
    return log.EvalSample(
        id=one.id,
        epoch=1,
        input=turns[0].text if single else turns,
        target="",
        messages=messages,
        output=output,
        scores=scores,
        metadata=dict(one.about),
    )
