"""A system turn that all prompts share does not make one prompt of them."""

from __future__ import annotations

import backfire as bf

SYSTEM = "You are a careful assistant who works for a shop that sells garden tools of every kind. " * 12
THINGS = "river bird stone city tree fish metal planet fruit tool engine song poem bridge cloud king".split()


def test_prompts_that_share_a_long_system_turn_are_told_apart() -> None:
    rows = [
        {
            "system": SYSTEM,
            "prompt": f"Why does the {one} like the {other}?",
            "chosen": f"The {one} is good to every {other}.",
            "rejected": f"No idea at all, {one}.",
        }
        for one, other in zip(THINGS, reversed(THINGS), strict=True)
    ]
    with_system = bf.audit(rows).prompts
    assert with_system == bf.audit([{**row, "system": None} for row in rows]).prompts
    assert with_system > len(rows) // 2
