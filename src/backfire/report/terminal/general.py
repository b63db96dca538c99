"""General tasks: each score with its standard error, and what lost a part of its requests."""

from __future__ import annotations

from collections.abc import Iterator

from backfire.answers.general import GeneralResult
from backfire.answers.numerals import decimal
from backfire.report.terminal.parts import Part, Titled, Warned, table


def general_parts(name: str, result: GeneralResult) -> Iterator[Part]:
    """`name` is the model's."""
    shots = result.settings["num_fewshot"]
    examples = ", ".join(f"{task} {n}" for task, n in shots.items()) if isinstance(shots, dict) else shots
    template = "with" if result.settings["chat_template"] else "without"
    shown = table("task", "metric", "value", "stderr", "n", left=2)
    for score in result.scores:
        numbers = (decimal(score.value, 4), decimal(score.stderr, 4))
        shown.add_row(score.task, score.metric, *numbers, str(score.n))
    yield Titled(f"{name}: general tasks, {examples} examples, {template} chat template", shown)
    if result.resumed:
        yield f"{len(result.resumed)} of the tasks came from the resume file"
    for task, count in result.cut.items():
        yield Warned(f"{task}: {count} requests did not fit the context and lost their beginning")
    for task, reason in result.not_resumable.items():
        yield Warned(f"{task}: not taken from the resume file, nor kept in it: {reason}")
