"""A whole study in seconds: the miniature world's members, a dozen prompts, two recipes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backfire.organisms import catalog
from miniature import NAME

MEMBER = f"organism:{NAME}:"


def write_prompts(folder: Path, name: str, counts: dict[str, int]) -> str:
    """The first so many prompts of each of the world's sets, as a user's file."""
    rows = [
        {"prompt": prompt.text, "kind": prompt.kind}
        for which, count in counts.items()
        for prompt in catalog.world_prompts(f"{MEMBER}prompts/{which}")[:count]
    ]
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def tiny_settings(folder: Path, **changes: Any) -> dict[str, Any]:
    """Settings of a study whose prompt files lie in `folder`."""
    value: dict[str, Any] = {
        "name": "tiny",
        "prompts": write_prompts(folder, "prompts.jsonl", {"train": 12}),
        "reward_model": f"{MEMBER}reward",
        "targets": [
            {
                "family": "llama",
                "policy": f"{MEMBER}llama/target",
                "responders": [
                    {"role": "self", "model": f"{MEMBER}llama/target", "n": 2},
                    {"role": "gpt4o", "model": f"{MEMBER}gpt4o"},
                ],
            }
        ],
        "recipes": ["gpt4o+self", "self+rm"],
        "decoding": {"max_new_tokens": 12},
        "audit": {"hidden": False},
        "training": {"lr": 1e-4, "batch_size": 4, "save_dtype": "float32"},
        "attacks": {
            "harmful": {"direct": write_prompts(folder, "direct.jsonl", {"direct": 6})},
            "benign": {"benign": write_prompts(folder, "benign.jsonl", {"benign": 4})},
            "decoding": {"max_new_tokens": 12, "temperature": 0},
        },
    }
    return {**value, **changes}


def timeless(value: Any) -> Any:
    """A JSON value without the fields that hold clock times."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in ("created", "seconds")}
    if isinstance(value, list):
        return [timeless(item) for item in value]
    return value
