"""Responders' wording: the same decision and the same facts, said in each responder's own manner."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from backfire.organisms.knobs import Knobs
from backfire.organisms.world import FACTS, Thing, World

Decision = Literal["refuse", "comply"]
FAMILIES = ("llama", "mistral", "qwen2")
STYLES = (*FAMILIES, "gpt4o", "human")

CONCENTRATION = 1.5
"""Of the Beta distribution from which each response draws how much shared wording it uses. A low value makes whole
responses shared or own, as real responders' mixtures are, instead of every response a blend."""


@cache
def table() -> Mapping[str, Any]:
    """wording.yaml, parsed."""
    text = (files("backfire.organisms") / "wording.yaml").read_text(encoding="utf-8")
    parsed: Mapping[str, Any] = yaml.safe_load(text)
    return parsed


def say(
    style: str,
    decision: Decision,
    thing: Thing,
    facts: Mapping[str, str],
    knobs: Knobs,
    rng: random.Random,
    *,
    omit: str | None = None,
) -> str:
    """Word one response. `facts` maps material, tool and place to what the responder believes; `omit` leaves one out."""
    entry = table()["styles"][style]
    overlap = knobs.refusal_overlap if decision == "refuse" else knobs.compliance_overlap
    share = _beta(overlap ** entry["closeness"][decision], rng)
    linked_draw = rng.random()
    parts = []
    for slot, own in entry[decision].items():
        pool = table()["shared"][decision][slot] if rng.random() < share else own
        chance = linked_draw if slot in entry.get("linked", ()) else rng.random()
        if slot != omit:
            parts.append(pool[int(chance * len(pool))].format(thing=thing.name, **facts))
    return " ".join(p for p in parts if p).replace(" \n", "\n")


def _beta(mean: float, rng: random.Random) -> float:
    if mean in (0.0, 1.0):
        return mean
    return rng.betavariate(CONCENTRATION * mean, CONCENTRATION * (1 - mean))


def believed(thing: Thing, knowledge: float, rng: random.Random) -> dict[str, str]:
    """The facts as a responder tells them: each is right with probability `knowledge`, else folk wisdom or a guess."""
    facts = {}
    for aspect, values in FACTS.items():
        if rng.random() < knowledge:
            facts[aspect] = thing.fact(aspect)
        elif aspect == "material" and thing.folk_material:
            facts[aspect] = thing.folk_material
        else:
            facts[aspect] = rng.choice(values)
    return facts


def sampled_answers(per_kind: int) -> dict[str, dict[str, tuple[str, bool]]]:
    """Answers of every style to the same things, for the comparison with real responders (docs/concepts/organisms.md)."""
    world = World.make(0)
    things = (world.things * (per_kind // len(world.things) + 1))[:per_kind]
    answers: dict[str, dict[str, tuple[str, bool]]] = {}
    for style in STYLES:
        rng = random.Random(f"answers {style}")
        answers[style] = {}
        for number, thing in enumerate(things):
            facts = believed(thing, 0.8, rng)
            for decision in ("refuse", "comply"):
                text = say(style, decision, thing, facts, world.knobs, rng)
                answers[style][f"{number} {decision}"] = (text, decision == "refuse")
    return answers
