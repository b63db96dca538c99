"""Four pairs in every form, written by hand, and what reading them gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from backfire.preferences import Preferences, open_preferences

PAIRS = [
    ("How is bread made?", "Of flour and water, in an oven.", "I will not say."),
    ("Name a river.", "The Rhine.", 'A stone\n\nin a "garden".'),
    ("Was ist „Öl“?", "Ein Stoff. 油", "Nichts 🙂"),
    ("?", "An answer to nothing.", "Another answer to nothing."),
]
"""Prompt, chosen, rejected."""

Row = dict[str, Any]


def user(text: str) -> Row:
    return {"role": "user", "content": text}


def assistant(text: str) -> Row:
    return {"role": "assistant", "content": text}


def shared(turn: Row) -> Row:
    names = {"user": "human", "assistant": "gpt"}
    return {"from": names.get(turn["role"], turn["role"]), "value": turn["content"]}


def parts(turn: Row) -> Row:
    return {"role": turn["role"], "content": [{"type": "text", "text": turn["content"]}]}


def standard(p: str, c: str, r: str) -> Row:
    return {"prompt": p, "chosen": c, "rejected": r}


def conversational(p: str, c: str, r: str) -> Row:
    return {"prompt": [user(p)], "chosen": [assistant(c)], "rejected": [assistant(r)]}


def whole(p: str, c: str, r: str) -> Row:
    return {"chosen": [user(p), assistant(c)], "rejected": [user(p), assistant(r)]}


def beside(p: str, c: str, r: str) -> Row:
    return {"prompt": p, "messages": [user(p), assistant(c)], **whole(p, c, r)}


def transcript(p: str, c: str, r: str) -> Row:
    return {side: f"\n\nHuman: {p}\n\nAssistant: {said}" for side, said in (("chosen", c), ("rejected", r))}


def sharegpt(p: str, c: str, r: str) -> Row:
    return {
        "conversations": [shared(user(p))],
        "chosen": shared(assistant(c)),
        "rejected": shared(assistant(r)),
    }


def factory_messages(p: str, c: str, r: str) -> Row:
    return {"messages": [user(p)], "chosen": assistant(c), "rejected": assistant(r)}


def alpaca(p: str, c: str, r: str) -> Row:
    return {"instruction": p, "input": "", "chosen": c, "rejected": r, "system": None, "history": None}


def outputs(p: str, c: str, r: str) -> Row:
    return {"instruction": p, "input": "", "output": [c, r]}


def orca(p: str, c: str, r: str) -> Row:
    return {"system": "", "question": p, "chosen": c, "rejected": r}


def safe_rlhf(p: str, c: str, r: str) -> Row:
    second = len(p) % 2
    return {
        "prompt": p,
        "response_0": r if second else c,
        "response_1": c if second else r,
        "response_0_source": "R" if second else "C",
        "response_1_source": "C" if second else "R",
        "better_response_id": 1 - second,
        "safer_response_id": second,
    }


def list_beside(p: str, c: str, r: str) -> Row:
    return {"prompt": [user(p)], **whole(p, c, r)}


def helpsteer(p: str, c: str, r: str) -> Row:
    return {"prompt": p, "response_1": r, "response_2": c, "preference_strength": len(p) % 3 + 1}


def spelled(prompt: str, chosen: str, rejected: str) -> Callable[[str, str, str], Row]:
    return lambda p, c, r: {prompt: p, chosen: c, rejected: r, "other": 3}


def in_parts(p: str, c: str, r: str) -> Row:
    return {name: [parts(turn) for turn in turns] for name, turns in conversational(p, c, r).items()}


FORMS: dict[str, tuple[str, Callable[[str, str, str], Row]]] = {
    "standard": ("TRL standard, explicit prompt", standard),
    "question": ("TRL standard, explicit prompt", spelled("question", "response_j", "response_k")),
    "instruction": ("TRL standard, explicit prompt", spelled("instruction", "better", "worse")),
    "query": ("TRL standard, explicit prompt", spelled("query", "chosen_response", "rejected_response")),
    "conversational": ("TRL conversational, explicit prompt", conversational),
    "in parts": ("TRL conversational, explicit prompt", in_parts),
    "whole": ("TRL conversational, implicit prompt", whole),
    "beside": ("prompt beside whole conversations", beside),
    "list beside": ("prompt beside whole conversations", list_beside),
    "helpsteer": ("two responses and the preferred one", helpsteer),
    "transcript": ("Anthropic HH transcripts", transcript),
    "sharegpt": ("conversations and single turns", sharegpt),
    "factory messages": ("conversations and single turns", factory_messages),
    "alpaca": ("instruction, input and history", alpaca),
    "outputs": ("instruction and a list of two outputs", outputs),
    "orca": ("system turn beside plain text", orca),
    "safe rlhf": ("two responses and the preferred one", safe_rlhf),
}


def jsonl(path: Path, values: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def read(preferences: Preferences) -> list[Row]:
    return [row for block in preferences.blocks() for row in block.to_pylist()]


def texts(dataset: Any, **options: Any) -> list[tuple[str, str, str]]:
    """The pairs of a data set without defects."""
    preferences = open_preferences(dataset, **options)
    rows = read(preferences)
    assert not preferences.defects
    assert preferences.rows == len(rows) == rows[-1]["row"]
    return [(row["prompt"], row["chosen"], row["rejected"]) for row in rows]
