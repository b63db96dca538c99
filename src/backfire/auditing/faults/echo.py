"""`echo`: responses that repeat their prompt."""

from __future__ import annotations

from backfire.auditing.conclusion.count_words import differing, sides
from backfire.auditing.faults.responses import finding_of_responses

ECHO = finding_of_responses(
    "echo",
    what="repeats its prompt",
    hits=lambda texts: texts.audited.faults.echoes,
    meaning="responses repeat their prompt whole",
    sentence=lambda one: f"The prompt is repeated whole in {sides(one)} ({differing(one)}).",
    field="echoed",
    cleaned="with a response that repeats its prompt",
)
