"""Scores on general tasks, as lm-evaluation-harness computes them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from backfire.answers.in_notebooks import InNotebooks
from backfire.answers.rows import Count, Label, Row


class TaskScore(Row):
    """One metric of one task, as the harness computes it."""

    task: Label
    metric: Label
    value: float | None
    """None where undefined."""
    stderr: float | None
    """The harness's standard error; None where it gives none (such as for one item)."""
    n: Count
    """Items scored."""


class GeneralResult(Row, InNotebooks):
    """The scores of one model, and how they were asked."""

    scores: list[TaskScore]
    """Of tasks, and of groups such as mmlu, which stand for their tasks."""
    settings: dict[str, Any]
    """`num_fewshot` (by task or group where they differ) and `chat_template`, without which no score can be compared;
    with examples also `always_zero_shot`, the tasks that had none because their own file says 0."""
    cut: dict[str, Count] = Field(default_factory=dict)
    """By task, requests that do not fit the context (a prompt with room for the answer), whose beginning is cut off."""
    subtasks: list[TaskScore] = Field(default_factory=list)
    """Of the tasks and groups that a group among `scores` stands for."""
    resumed: list[str] = Field(default_factory=list)
    """Tasks whose numbers came from the resume file."""
    not_resumable: dict[str, str] = Field(default_factory=dict)
    """By task, why its numbers neither go to the resume file nor come from it: what it reads cannot be looked at."""
    items: dict[str, dict[str, dict[str, float]]] = Field(default_factory=dict)
    """task -> metric -> item -> what the item came to, for paired comparisons. An item is known by its content."""
    groups: dict[str, list[str]] = Field(default_factory=dict)
    """The tasks of every group among `scores`."""
    definitions: dict[str, str] = Field(default_factory=dict)
    """By task, the digest of its definition, and of its functions and data where they are local."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; numbers are not rounded."""
        return self.model_dump()
