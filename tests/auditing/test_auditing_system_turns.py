"""A system turn that all prompts share does not make one prompt of them."""

from __future__ import annotations

import random

import backfire as bf

WORDS = (
    "why how when does bread river song engine north market silent tax lemon cat bridge read wall seven glass field rain "
    "debt code moon"
).split()


def test_prompts_that_share_a_long_system_turn_are_told_apart() -> None:
    rng = random.Random(1)
    system = " ".join(f"Rule {i}: {' '.join(rng.choices(WORDS, k=9))}." for i in range(25))
    rows = [
        {
            "system": system,
            "prompt": " ".join(rng.choices(WORDS, k=8)) + "?",
            "chosen": f"The answer {i} is good.",
            "rejected": f"No idea at all, {i}.",
        }
        for i in range(24)
    ]
    assert bf.audit(rows).prompts == 24
