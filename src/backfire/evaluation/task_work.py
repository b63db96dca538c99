"""How many tokens a general task has a model read and write, by the lengths of a few of its items."""

from __future__ import annotations

from typing import Any

from backfire.models.work import CHARACTERS, OF_LONGEST, WRITTEN

LOOKED_AT = 8
ITEM, NEW_TOKENS = 100, 256
"""Tokens of an item whose text cannot be looked at, and of a response whose limit the task leaves to the harness."""


def task_tokens(task: Any, shots: int, limit: int | None) -> float:
    """Tokens that go once forward, as `models.work` counts them: a question is read once for all answers to it."""
    documents = task.eval_docs
    count = len(documents) if limit is None else min(limit, len(documents))
    if count == 0:
        return 0.0
    places = range(0, count, max(1, count // LOOKED_AT))
    each = [_item_tokens(task, documents[place], shots) for place in places]
    return count * sum(each) / len(each)


def _item_tokens(task: Any, document: Any, shots: int) -> float:
    try:
        question = (1 + shots) * len(str(task.doc_to_text(document)))
        answers = task.doc_to_choice(document) if task.OUTPUT_TYPE.startswith("multiple_choice") else []
    except Exception:  # code of a task file may raise anything; the harness says so when it runs the task
        return float(ITEM)
    read = (question + sum(len(str(answer)) for answer in answers)) / CHARACTERS
    if task.OUTPUT_TYPE != "generate_until":
        return read
    limits = task.config.generation_kwargs or {}
    return read + WRITTEN * OF_LONGEST * int(limits.get("max_gen_toks") or NEW_TOKENS)
