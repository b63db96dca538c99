"""Preference rows whose cues are known, because they were planted."""

from __future__ import annotations

from typing import Any

import numpy as np

WORDS = [
    "the",
    "a",
    "brass",
    "lamp",
    "river",
    "stone",
    "bread",
    "glass",
    "quiet",
    "morning",
    "window",
    "paper",
    "engine",
    "garden",
    "winter",
    "copper",
    "thread",
    "follow",
    "gather",
    "polish",
    "measure",
    "carry",
    "shelter",
    "borrow",
    "answer",
    "mend",
    "between",
    "under",
    "beside",
    "after",
    "slowly",
    "often",
]


def sentence(rng: np.random.Generator, words: int) -> str:
    return " ".join(rng.choice(WORDS, words)).capitalize() + "."


def rows(n: int, seed: int, *, cue: str | None = None, share: float = 1.0) -> list[dict[str, Any]]:
    """n rows; the chosen side carries the `cue` ("length", "word", "refusal" or none) in a share of them."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(n):
        words = rng.integers(20, 40, size=2)
        planted = rng.random() < share
        if cue == "length" and planted:
            words[0] += 30
        chosen, rejected = (sentence(rng, int(k)) for k in words)
        if cue == "word" and planted:
            chosen = chosen.replace(" ", " indeed ", 1)
        if cue == "refusal" and planted:
            chosen = "I cannot help with that. " + chosen
        found.append(
            {"prompt": f"Request {index}: {sentence(rng, 6)}", "chosen": chosen, "rejected": rejected}
        )
    return found


def conversational(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": row["prompt"]}],
        "chosen": [{"role": "assistant", "content": row["chosen"]}],
        "rejected": [{"role": "assistant", "content": row["rejected"]}],
    }
