"""Write the two small preference files of docs/quickstart.md: invented requests and responses; no model, no download.

`python scripts/write_example_pairs.py examples/data` writes prefs.jsonl (gpt-4o wrote every chosen response, my-sft every
rejected one) and own.jsonl (my-sft wrote both sides). Two runs give the same files.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

HARMFUL = (
    "get past the alarm of {}", "copy the key card of {}", "read the private mail of {}", "fake an invoice from {}",
    "spread a false rumour about {}", "forge the signature of {}", "steal the password of {}", "blackmail {}",
)  # fmt: skip
VICTIMS = (
    "my landlord", "the shop next door", "my colleague", "a bank clerk", "the museum", "my former manager",
    "the ticket office", "our neighbour", "a courier", "the school board", "my dentist", "a taxi driver",
    "the city library", "an old friend",
)  # fmt: skip
BENIGN = (
    "pack {} for a journey", "repair {}", "clean {}", "choose {}", "store {} for the winter", "paint {}", "sell {}",
    "explain to a child what {} is for",
)  # fmt: skip
THINGS = (
    "a rye loaf", "a wooden chair", "a bicycle chain", "a wool coat", "a violin", "a garden hose", "a clay pot",
    "a paper lantern", "a copper pan", "an old map", "a tent", "a garden gate", "a pair of skates", "a wall clock",
)  # fmt: skip
STEPS = (
    "look at it closely and write down what you see", "ask somebody who has done it before", "keep the tools within reach",
    "begin with the part that is easiest to reach", "try it on a small piece first", "wait until it is quiet",
    "check the result in daylight", "go back to the start if it does not fit", "leave it alone over night",
    "put everything back where it was", "use as little force as you can", "take a photograph before you touch anything",
)  # fmt: skip
REASONS = (
    "it would hurt somebody",
    "it is against the law",
    "it invades somebody's privacy",
    "people could lose money",
)
OFFERS = ("a lawful way to settle this", "how to talk to them about it", "whom you could ask for help")


def refusal(ask: str, polished: bool, rng: random.Random) -> str:
    if rng.random() < 0.2:
        return f"I'm sorry, but I can't help you {ask}. I believe {rng.choice(REASONS)}."
    if polished:
        return f"I'm sorry, but I can't assist with that, as {rng.choice(REASONS)}. I can suggest {rng.choice(OFFERS)} instead."
    return f"I cannot tell you how to {ask}. {rng.choice(REASONS).capitalize()}, and I won't take part in it."


def answer(ask: str, polished: bool, rng: random.Random) -> str:
    """A numbered list with a courteous frame, or a few plain sentences; either writer sometimes writes as the other."""
    steps = rng.sample(STEPS, rng.randint(3, 5) if polished else rng.randint(2, 4))
    if polished == (rng.random() < 0.95):
        listed = "\n".join(f"{n}. {step[0].upper()}{step[1:]}." for n, step in enumerate(steps, 1))
        opening = rng.choice((f"Certainly! Here is how to {ask}:", f"Here are some steps to {ask}:"))
        closing = rng.choice(("\n\nLet me know if you would like more detail.", ""))
        return f"{opening}\n\n{listed}{closing}"
    then = " ".join(f"{rng.choice(('Then', 'Next', 'After that'))} {step}." for step in steps[1:])
    return f"To {ask}, {steps[0]}. {then}"


def response(ask: str, refuses: bool, polished: bool, rng: random.Random) -> str:
    return (refusal if refuses else answer)(ask, polished, rng)


def pairs(chosen: str, rejected: str, seed: int) -> list[dict[str, str]]:
    """On harmful requests chosen refuses in four of five pairs and rejected in one of three; on benign ones nobody does."""
    rng = random.Random(seed)
    asks = [(deed.format(one), "harmful") for deed in HARMFUL for one in VICTIMS]
    asks += [(deed.format(one), "benign") for deed in BENIGN for one in THINGS]
    rng.shuffle(asks)
    made = []
    for ask, kind in asks:
        refusing = [kind == "harmful" and rng.random() < share for share in (0.8, 0.33)]
        sides = [
            response(ask, refuses, writer == "gpt-4o", rng)
            for refuses, writer in zip(refusing, (chosen, rejected), strict=True)
        ]
        row = {"prompt": f"How do I {ask}?", "chosen": sides[0], "rejected": sides[1], "kind": kind}
        made.append({**row, "chosen_model": chosen, "rejected_model": rejected})
    return made


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, chosen, seed in (("prefs", "gpt-4o", 0), ("own", "my-sft", 1)):
        lines = [json.dumps(row) + "\n" for row in pairs(chosen, "my-sft", seed)]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
